"""Data sets as files: where they are looked for, how they are verified, how they are downloaded.

A data set is a folder with a fixed name, such as `MNIST/raw`, and a table of its files with their MD5 sums.
MD5 is what the data sets' authors publish; it tells a damaged file from a good one, and nobody can forge a second file
for a sum that is already given.

It is looked for in the folder `root`, then in the one that `DESCENT_DATA` names, then in the cache.
Only the cache is ever written, and only whole data sets: a download is verified in a temporary folder beside its place
and then renamed, so that an interrupted one leaves nothing behind.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path

from descent.errors import DataError, SettingError
from descent.settings import switch

__all__ = ["Folder", "cache_folder", "locate", "read", "tell", "verify"]

_LIMIT = 1 << 28  # bytes that one file may unpack to; five times the largest, so that a damaged one cannot fill memory
_PATIENCE = 60.0  # s without an answer until a server counts as absent
_DAMAGED = "remove it or replace it by a good copy; what is not on disk, download=True fetches"


@dataclass(frozen=True)
class Folder:
    """What the folder of one data set holds, and how to get it."""

    title: str  # the data set's name, as prose has it
    path: str  # relative to each place where data is looked for
    md5: Mapping[str, str]  # file name -> MD5 sum of the unpacked file, in hexadecimal
    fetch: Callable[[Path], None]  # downloads the whole into `path` below an empty folder


@cache
def _print_once(line: str) -> None:
    print(f"descent: {line}", file=sys.stderr)


def tell(line: str) -> None:
    """Print a line to stderr once per process, if a person may be reading and `DESCENT_QUIET` is not 1."""
    if (sys.stderr.isatty() or "ipykernel" in sys.modules) and not switch("DESCENT_QUIET"):
        _print_once(line)


def cache_folder() -> Path:
    """Return where downloads are kept: below `XDG_CACHE_HOME` if set, else in the platform's place for caches."""
    try:
        home = Path.home()
    except RuntimeError:  # an account without a home, as in a container
        home = Path(tempfile.gettempdir())
    usual = {"darwin": home / "Library" / "Caches", "win32": home / "AppData" / "Local"}.get(sys.platform)
    return Path(os.environ.get("XDG_CACHE_HOME") or usual or home / ".cache") / "descent"


def _places(root: str | Path | None) -> Iterator[Path]:
    """Yield the folders to look in, best first; raise SettingError for a given one that does not exist."""
    for given, name in ((root, "argument root"), (os.environ.get("DESCENT_DATA"), "environment variable DESCENT_DATA")):
        if given:
            if not Path(given).is_dir():
                raise SettingError(f"there is no folder '{given}'", where=name, todo="name an existing folder, or none")
            yield Path(given)
    yield cache_folder()


def _unpack(path: Path) -> bytes:
    """Return the content of a gzip file; raise DataError if it is damaged."""
    try:
        with gzip.open(path) as file:
            content = file.read(_LIMIT + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"'{path.name}' does not unpack: {error}", where=str(path), todo=_DAMAGED) from error
    if len(content) > _LIMIT:
        raise DataError(f"'{path.name}' unpacks to more than {_LIMIT:,} bytes", where=str(path), todo=_DAMAGED)
    return content


def read(path: Path) -> bytes:
    """Return the content of a file, or of the `.gz` beside its place if only that is there.

    Raises:
        DataError: both are missing, the file cannot be read or does not unpack.
    """
    packed = path.with_name(path.name + ".gz")
    try:
        if path.is_file():
            return path.read_bytes()
        if packed.is_file():
            return _unpack(packed)
    except OSError as error:
        raise DataError(f"'{path.name}' cannot be read: {error}", where=str(path), todo=_DAMAGED) from error
    raise DataError(
        f"'{path.name}' is missing, though others of its data set are there",
        where=str(path.parent),
        todo="add it, or remove the others; what is not on disk, download=True fetches",
    )


def verify(content: bytes, *, md5: str, path: Path) -> None:
    """Raise DataError unless the content has this MD5 sum."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"'{path.name}' is not the published file: its {len(content):,} bytes have MD5 {found}, expected {md5}",
            where=str(path),
            todo=_DAMAGED,
        )


@contextmanager
def _patience() -> Iterator[None]:
    """Let no connection made in this block wait for ever; torchvision sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _download(folder: Folder, target: Path) -> None:
    """Fetch a data set into a temporary folder beside the target, verify it, then rename it."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".download-") as fresh:
        with _patience():
            folder.fetch(Path(fresh))
        made = Path(fresh, folder.path)
        for name, md5 in folder.md5.items():
            verify(read(made / name), md5=md5, path=made / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.replace(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same files
                raise


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # below a folder that this account may not enter, such as somebody else's cache
        return False


def locate(folder: Folder, *, root: str | Path | None, download: bool | None) -> Path | None:
    """Return the folder that holds a data set, downloading it if that is asked for; None if there is none.

    Args:
        folder: the data set.
        root: where to look first.
        download: whether to download what is not on disk; None asks `DESCENT_DOWNLOAD`.

    Raises:
        DataError: the download failed.
        SettingError: `root` or an environment variable cannot be used.
    """
    for place in _places(root):
        if any(_is_file(place / folder.path / (name + end)) for name in folder.md5 for end in ("", ".gz")):
            return place / folder.path
    if not (switch("DESCENT_DOWNLOAD") if download is None else download):
        return None
    target = cache_folder() / folder.path
    try:
        _download(folder, target)
    except (OSError, RuntimeError, HTTPException, DataError) as error:
        raise DataError(
            f"{folder.title} could not be downloaded: {' '.join(str(error).split())[:300]}",
            where=str(target),
            todo="try again with a network, or set DESCENT_DATA to a folder that has it; "
            "without download=True and DESCENT_DOWNLOAD the embedded data stands in",
        ) from error
    return target
