"""Labelled images: handwritten digits and small photographs, each with a stand-in that needs no network."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from descent.data.files import Folder, locate, read, tell, verify
from descent.data.rendered import shapes
from descent.data.sets import ImageSet, Splits
from descent.errors import DataError

__all__ = ["cifar10", "digits", "mnist"]

_DIGITS = tuple("0123456789")
_PHOTOGRAPHS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RENDERED = {"train": (10_000, 0), "test": (2_000, 1)}  # number of pictures and seed, in place of CIFAR-10


def _fetch_mnist(root: Path) -> None:
    from torchvision.datasets import MNIST  # takes a second to import, and is needed to download only

    MNIST(root, download=True)


def _fetch_cifar10(root: Path) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    # CIFAR10(root, download=True) would also unpickle it all
    download_and_extract_archive(CIFAR10.url, root, filename=CIFAR10.filename, md5=CIFAR10.tgz_md5)


_MNIST = Folder(
    "MNIST",
    "MNIST/raw",
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    _fetch_mnist,
)
_CIFAR10 = Folder(
    "CIFAR-10",
    "cifar-10-batches-py",
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    _fetch_cifar10,
)


def _image_set(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], classes: tuple[str, ...], source: str) -> ImageSet:
    """Return bytes (N, C, H, W) as numbers in [0, 1]."""
    images = torch.from_numpy(pixels.astype(np.float32)).div_(255)
    return ImageSet(images, torch.from_numpy(labels.astype(np.int64)), classes, source)


def _idx(path: Path, *, axes: int, md5: str) -> NDArray[np.uint8]:
    """Return the array in an IDX file of bytes.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes; each axis's length as four bytes, the most
    significant first; the bytes, the last axis fastest.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "File formats".
    """
    content, start, magic = read(path), 4 + 4 * axes, bytes((0, 0, 8, axes))
    if content[:4] != magic:
        raise DataError(
            f"'{path.name}' is no IDX file with {axes} axes: it begins with {content[:4]!r}, expected {magic!r}",
            where=str(path),
            todo="look into it (a web page saved under its name?) and replace it by a good copy",
        )
    shape = tuple(int(side) for side in np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), dtype=">u4"))
    if len(content) != start + math.prod(shape):
        raise DataError(
            f"'{path.name}' has {len(content):,} bytes, expected {start + math.prod(shape):,} from its first {start}",
            where=str(path),
            todo="copy it again: it was cut short or something was added",
        )
    verify(content, md5=md5, path=path)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def digits() -> Splits[ImageSet]:
    """Return the 1,797 handwritten digits that ship with scikit-learn, enlarged from 8x8 to 28x28.

    Enlarged bilinearly (corners not aligned), with values in [0, 1].
    The split is fixed: of the images of each digit, in scikit-learn's order, every fifth goes to the test part.
    In that order the sheets of about a dozen writers follow one another, so both parts hold digits of the same
    writers: an accuracy on the test part is one for familiar hands, some points above that for strangers'.

    Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository (1998).
    """
    from sklearn.datasets import load_digits  # takes half a second to import

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16  # (1797, 1, 8, 8), from counts of 0 to 16
    images = functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False).clamp(0, 1)
    labels = torch.from_numpy(bunch.target).long()  # (1797,)
    turn = (
        functional.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    )  # (1797,)  1 for the first of its class
    held_out = turn % 5 == 3
    train, test = (
        ImageSet(images[part], labels[part], _DIGITS, "scikit-learn digits") for part in (~held_out, held_out)
    )
    return Splits(train, test)


def mnist(*, root: str | Path | None = None, download: bool | None = None) -> Splits[ImageSet]:
    """Return the handwritten digits of MNIST, 60,000 and 10,000 of 1x28x28; the scikit-learn digits without it.

    Args:
        root: where to look first, in torchvision's layout: `root/MNIST/raw`, unpacked or as `.gz`.
        download: whether to download what is not on disk; None asks `DESCENT_DOWNLOAD`.

    Raises:
        DataError: a file is damaged or missing, or the download failed.
        SettingError: `root` or an environment variable cannot be used.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998).
    """
    folder = locate(_MNIST, root=root, download=download)
    if folder is None:
        tell("MNIST is not on this disk, so the scikit-learn digits stand in; mnist(download=True) fetches it")
        return digits()
    tell(f"MNIST read from {folder}")
    train_x, train_y, test_x, test_y = (
        _idx(folder / name, axes=3 if "images" in name else 1, md5=md5) for name, md5 in _MNIST.md5.items()
    )
    return Splits(
        _image_set(train_x[:, None], train_y, _DIGITS, "MNIST"), _image_set(test_x[:, None], test_y, _DIGITS, "MNIST")
    )


def _batches(folder: Path, *, start: str) -> ImageSet:
    """Return the images of all batches whose name starts so; nothing is unpickled before its sum is verified."""
    pixels, labels = [], []
    for name, md5 in _CIFAR10.md5.items():
        if name.startswith(start):
            content = read(folder / name)
            verify(content, md5=md5, path=folder / name)
            batch = pickle.loads(content, encoding="latin1")  # written by Python 2
            pixels.append(batch["data"].reshape(-1, 3, 32, 32))
            labels.append(np.array(batch["labels"], dtype=np.uint8))
    return _image_set(np.concatenate(pixels), np.concatenate(labels), _PHOTOGRAPHS, "CIFAR-10")


def cifar10(*, root: str | Path | None = None, download: bool | None = None) -> Splits[ImageSet]:
    """Return the photographs of CIFAR-10, 50,000 and 10,000 of 3x32x32; without it 10,000 and 2,000 rendered shapes.

    Args:
        root: where to look first, in torchvision's layout: `root/cifar-10-batches-py`.
        download: whether to download what is not on disk; None asks `DESCENT_DOWNLOAD`.

    Raises:
        DataError: a file is damaged or missing, or the download failed.
        SettingError: `root` or an environment variable cannot be used.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """
    folder = locate(_CIFAR10, root=root, download=download)
    if folder is None:
        tell("CIFAR-10 is not on this disk, so rendered shapes stand in; cifar10(download=True) fetches it")
        train, test = (shapes(n, seed=seed) for n, seed in (_RENDERED["train"], _RENDERED["test"]))
        return Splits(train, test)
    tell(f"CIFAR-10 read from {folder}")
    return Splits(_batches(folder, start="data_batch"), _batches(folder, start="test_batch"))
