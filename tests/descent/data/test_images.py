"""Real layouts made small: each test writes a few images in the published format and reads them back."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import shutil
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch.nn import functional

from descent.data import cifar10, digits, images, mnist, shapes
from descent.data.files import cache_folder
from descent.errors import DataError

REAL = os.environ.get("DESCENT_DATA", "")  # read before the tests hide it


def idx(array: NDArray[np.uint8]) -> bytes:
    """Return an array as an IDX file."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def batch(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """Return a CIFAR-10 batch, opcode for opcode as Python 2 and the NumPy of 2009 pickled it.

    Args:
        pixels: (N, 3072), N < 256.
        labels: (N,)
    """
    raw = pixels.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(K" + bytes([len(pixels)]) + b"M" + struct.pack("<H", pixels.shape[1]) + b"t"
    state = b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels" + listed + b"u."


@dataclass(frozen=True)
class Small:
    """A data set of a few images: its files, and what they hold."""

    files: dict[str, bytes]
    pixels: dict[str, NDArray[np.uint8]]  # "train" and "test": (N, C, H, W)
    labels: dict[str, NDArray[np.uint8]]

    def write(self, folder: Path) -> Path:
        """Write the files into a folder and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder


@pytest.fixture
def small_mnist() -> Small:
    draw = np.random.default_rng(0)
    pixels = {part: draw.integers(0, 256, (n, 1, 28, 28), dtype=np.uint8) for part, n in (("train", 6), ("test", 3))}
    labels = {part: draw.integers(0, 10, len(some), dtype=np.uint8) for part, some in pixels.items()}
    made: dict[str, bytes] = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        made[f"{prefix}-images-idx3-ubyte"] = idx(pixels[part][:, 0])
        made[f"{prefix}-labels-idx1-ubyte"] = idx(labels[part])
    return Small(made, pixels, labels)


@pytest.fixture
def small_cifar10() -> Small:
    draw = np.random.default_rng(1)
    pixels = {part: draw.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8) for part, n in (("train", 10), ("test", 2))}
    labels = {part: draw.integers(0, 10, len(some), dtype=np.uint8) for part, some in pixels.items()}
    made = {
        f"data_batch_{i + 1}": batch(
            pixels["train"][2 * i : 2 * i + 2].reshape(2, -1), labels["train"][2 * i : 2 * i + 2]
        )
        for i in range(5)
    }
    return Small(made | {"test_batch": batch(pixels["test"].reshape(2, -1), labels["test"])}, pixels, labels)


def trust(monkeypatch: pytest.MonkeyPatch, table: str, small: Small) -> None:
    """Put the sums of a small data set in place of the published ones."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in small.files.items()}
    monkeypatch.setattr(images, table, replace(getattr(images, table), md5=md5))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def assert_holds(found: images.ImageSet, small: Small, part: str) -> None:
    assert found.images.dtype == torch.float32
    assert found.labels.dtype == torch.int64
    assert torch.equal((found.images * 255).round(), torch.from_numpy(small.pixels[part]).float())
    assert 0 <= found.images.min() <= found.images.max() <= 1
    assert found.labels.tolist() == small.labels[part].tolist()


# MNIST


@pytest.fixture
def mnist_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_mnist: Small) -> Path:
    """Write a small MNIST, trust it, and return its folder."""
    trust(monkeypatch, "_MNIST", small_mnist)
    return small_mnist.write(tmp_path / "data" / "MNIST" / "raw")


def test_mnist_is_read_from_torchvisions_layout(mnist_folder: Path, small_mnist: Small) -> None:
    splits = mnist(root=mnist_folder.parents[1])
    assert_holds(splits.train, small_mnist, "train")
    assert_holds(splits.test, small_mnist, "test")
    assert splits.train.source == "MNIST"
    assert splits.train.classes == tuple("0123456789")


def test_mnist_is_what_torchvision_reads(mnist_folder: Path) -> None:
    splits = mnist(root=mnist_folder.parents[1])
    for ours, train in ((splits.train, True), (splits.test, False)):
        theirs = torchvision.datasets.MNIST(mnist_folder.parents[1], train=train)
        assert torch.equal((ours.images[:, 0] * 255).round().byte(), theirs.data)
        assert torch.equal(ours.labels, theirs.targets)


def test_packed_mnist_is_read_without_writing_anything(
    mnist_folder: Path, small_mnist: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in list(mnist_folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    mnist_folder.chmod(0o555)
    before = contents(mnist_folder.parents[2])
    monkeypatch.setenv("DESCENT_DATA", str(mnist_folder.parents[1]))
    assert_holds(mnist(download=True).test, small_mnist, "test")
    assert contents(mnist_folder.parents[2]) == before


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    new = {
        "truncated": content[:-100],
        "longer": content + b"more",
        "header only": content[:6],
        "empty": b"",
        "wrong magic": b"<html>" + content[6:],
        "labels for images": path.with_name(path.name.replace("images-idx3", "labels-idx1")).read_bytes(),
        "one byte differs": content[:-1] + bytes([content[-1] ^ 1]),
    }[damage]
    path.write_bytes(new)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("truncated", "has 2,268 bytes, expected 2,368 from its first 16"),
        ("longer", "has 2,372 bytes, expected 2,368 from its first 16"),
        ("header only", "has 6 bytes, expected 16 from its first 16"),
        ("empty", r"is no IDX file with 3 axes: it begins with b'', expected b'\x00\x00\x08\x03'"),
        ("wrong magic", r"is no IDX file with 3 axes: it begins with b'<htm', expected b'\x00\x00\x08\x03'"),
        ("labels for images", r"begins with b'\x00\x00\x08\x01', expected b'\x00\x00\x08\x03'"),
        ("one byte differs", "is not the published file: its 2,368 bytes have MD5 "),
    ],
)
def test_a_damaged_mnist_file_is_refused_by_name(mnist_folder: Path, damage: str, what: str) -> None:
    path = mnist_folder / "t10k-images-idx3-ubyte"
    spoil(path, damage)
    with pytest.raises(DataError) as caught:
        mnist(root=mnist_folder.parents[1])
    assert caught.value.what.startswith("'t10k-images-idx3-ubyte' ")
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.todo


def test_an_incomplete_mnist_is_refused_and_not_replaced_by_other_digits(mnist_folder: Path) -> None:
    (mnist_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="'t10k-labels-idx1-ubyte' is missing"):
        mnist(root=mnist_folder.parents[1])


def test_mnist_without_files_is_the_embedded_digits() -> None:
    assert mnist().train.source == "scikit-learn digits"


@pytest.mark.usefixtures("offline")
def test_mnist_without_network_says_what_to_do() -> None:
    with pytest.raises(DataError) as caught:
        mnist(download=True)
    assert caught.value.what.startswith("MNIST could not be downloaded: Error downloading train-images-idx3-ubyte.gz")
    assert "Network is unreachable" in caught.value.what
    assert "without download=True and DESCENT_DOWNLOAD the embedded data stands in" in caught.value.todo
    assert contents(cache_folder()) == {}


def test_mnist_is_downloaded_once_and_then_read_from_the_cache(
    small_mnist: Small, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]
) -> None:
    address, served = server
    trust(monkeypatch, "_MNIST", small_mnist)
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small_mnist.files.items()}
    for name, content in packed.items():
        (served / name).write_bytes(content)
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    monkeypatch.setenv("DESCENT_DOWNLOAD", "1")
    assert_holds(mnist().train, small_mnist, "train")
    for path in served.iterdir():
        path.unlink()
    assert_holds(mnist().test, small_mnist, "test")
    assert [path.name for path in cache_folder().iterdir()] == ["MNIST"]


# the embedded digits


def test_the_digits_are_split_once_and_for_all() -> None:
    first, again = digits(), digits()
    assert len(first.train) == 1438
    assert len(first.test) == 359
    assert torch.equal(first.train.images, again.train.images)
    assert torch.equal(first.test.labels, again.test.labels)
    total = first.train.labels.bincount() + first.test.labels.bincount()
    assert total.tolist() == np.bincount(load_digits().target).tolist()
    share = first.test.labels.bincount() / total
    assert share.min() > 0.19
    assert share.max() < 0.21


def test_the_digits_look_like_mnist() -> None:
    for part in (digits().train, digits().test):
        assert part.images.shape == (len(part), 1, 28, 28)
        assert part.images.dtype == torch.float32
        assert part.labels.dtype == torch.int64
        assert part.images.min() == 0
        assert part.images.max() == 1
        assert part.classes == tuple("0123456789")


def test_every_digit_is_an_enlarged_image_of_scikit_learn() -> None:
    small = torch.from_numpy(load_digits().images).float()[:, None] / 16
    enlarged = functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    found = torch.cat([digits().train.images, digits().test.images])
    nearest = torch.cdist(found.flatten(1), enlarged.flatten(1)).argmin(1)
    assert nearest.unique().numel() > 1790  # a few digits may be written alike
    labels = torch.cat([digits().train.labels, digits().test.labels])
    assert torch.equal(labels, torch.from_numpy(load_digits().target)[nearest])


# CIFAR-10


@pytest.fixture
def cifar10_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_cifar10: Small) -> Path:
    """Write a small CIFAR-10, trust it, and return its folder."""
    trust(monkeypatch, "_CIFAR10", small_cifar10)
    return small_cifar10.write(tmp_path / "data" / "cifar-10-batches-py")


def test_cifar10_is_read_from_torchvisions_layout(cifar10_folder: Path, small_cifar10: Small) -> None:
    splits = cifar10(root=cifar10_folder.parent)
    assert_holds(splits.train, small_cifar10, "train")
    assert_holds(splits.test, small_cifar10, "test")
    assert splits.test.source == "CIFAR-10"
    assert splits.test.classes[:2] == ("airplane", "automobile")
    assert len(splits.test.classes) == 10


def test_the_published_sums_of_cifar10_are_torchvisions() -> None:
    theirs = torchvision.datasets.CIFAR10
    assert dict(images._CIFAR10.md5) == dict([*theirs.train_list, *theirs.test_list])
    assert images._CIFAR10.path == theirs.base_folder


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_batch_that_is_not_the_published_one_is_never_unpickled(cifar10_folder: Path, name: str) -> None:
    mark = cifar10_folder / "exploded"
    (cifar10_folder / name).write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(DataError, match=f"'{name}' is not the published file"):
        cifar10(root=cifar10_folder.parent)
    assert not mark.exists()
    pickle.loads((cifar10_folder / name).read_bytes())
    assert mark.exists()  # so the test would have seen it


def test_an_incomplete_cifar10_is_refused(cifar10_folder: Path) -> None:
    (cifar10_folder / "data_batch_2").unlink()
    with pytest.raises(DataError, match="'data_batch_2' is missing"):
        cifar10(root=cifar10_folder.parent)


@pytest.mark.usefixtures("offline")
def test_cifar10_without_network_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"CIFAR-10 could not be downloaded(.|\n)*set DESCENT_DATA"):
        cifar10(download=True)
    assert contents(cache_folder()) == {}


@pytest.fixture
def served_cifar10(
    small_cifar10: Small, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path], tmp_path: Path
) -> Path:
    """Serve a small CIFAR-10 as an archive that torchvision accepts, and return the archive."""
    address, served = server
    trust(monkeypatch, "_CIFAR10", small_cifar10)
    small_cifar10.write(tmp_path / "pack" / "cifar-10-batches-py")
    packed = Path(shutil.make_archive(str(served / "small"), "gztar", tmp_path / "pack"))
    theirs = torchvision.datasets.CIFAR10
    monkeypatch.setattr(theirs, "url", f"{address}{packed.name}")
    monkeypatch.setattr(theirs, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    return packed


@pytest.mark.usefixtures("served_cifar10")
def test_cifar10_is_downloaded_and_unpacked_into_the_cache(small_cifar10: Small) -> None:
    assert_holds(cifar10(download=True).test, small_cifar10, "test")
    assert [path.name for path in cache_folder().iterdir()] == ["cifar-10-batches-py"]


def test_an_archive_that_is_not_the_published_one_is_not_unpacked(served_cifar10: Path) -> None:
    served_cifar10.write_bytes(served_cifar10.read_bytes() + b"more")
    with pytest.raises(DataError, match="CIFAR-10 could not be downloaded: File not found or corrupted"):
        cifar10(download=True)
    assert list(cache_folder().iterdir()) == []


def test_cifar10_without_files_is_rendered_shapes_from_fixed_seeds() -> None:
    splits = cifar10()
    assert splits.train.source == "rendered shapes"
    assert splits.train.images.shape == (10_000, 3, 32, 32)
    assert splits.test.images.shape == (2_000, 3, 32, 32)
    assert torch.equal(splits.test.images[:10], shapes(10, seed=1).images)
    assert not torch.equal(splits.train.images[:10], splits.test.images[:10])


# the real files, where somebody has them


@pytest.mark.skipif(not Path(REAL, "MNIST", "raw").is_dir() or not REAL, reason="DESCENT_DATA holds no MNIST")
def test_the_published_mnist_is_accepted() -> None:
    splits = mnist(root=REAL)
    assert splits.train.images.shape == (60_000, 1, 28, 28)
    assert splits.test.images.shape == (10_000, 1, 28, 28)
    assert splits.train.labels.bincount().tolist()[:3] == [5923, 6742, 5958]  # the table on LeCun's page
