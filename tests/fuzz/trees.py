"""Submission folders with anything in them that a file system can hold."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .mutate import as_text
from .notebooks import small, spoiled, spoiled_tree

__all__ = ["NOTEBOOK", "fill", "listing", "unlock"]

NOTEBOOK = "tiny.ipynb"  # the one that is wanted
STAMP = "timestamp.txt"
Put = Callable[[random.Random, Path], None]  # makes something of this path

NAMES = (
    *(b"torch.py", b"sitecustomize.py", b"nbgrader_config.py", b"-rf", b" ", b"~", b"%s%n", b"a" * 255, b"..."),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"e\xcc\x81", b"\xe2\x80\xae.ipynb", b"\x1b[2Jx", b"two\nlines", b"tab\t", b"\\"),
    *(b"Tiny.ipynb", b"tiny (1).ipynb", b"tiny-Copy1.ipynb", b"tiny.ipynb.txt", b"tiny.ipynb ", b"tiny", b"TINY.IPYNB"),
    *(b".ipynb", b"\xff.ipynb", b".ipynb_checkpoints", b"gradebook.db", b"other.ipynb", b"'tiny'.ipynb"),
)  # fmt: skip
ZONES = (b"Z", b" \xc3\xa9", b" +99:99", b" America", b" UTC/", b" localtime", b".3813017777Z", b".381301 UTC")
NINE = b"2026-02-03 09:12:53"
STAMPS = (
    *(b"", b"\0", b"\xff\xfe", b"soon", b" \n ", b"9" * 300, b"20260203", b"2026-W05-2", b"2026-02-30 00:00:00 UTC"),
    *(b"0001-01-01 00:00:00 +1400", b"9999-12-31 23:59:59 -2359", b"\xef\xbb\xbf2026-02-03 09:12:53 UTC", NINE),
    *(NINE + zone for zone in (b" ../etc/passwd", b" /dev/zero", b" UTC\0", b" " + b"a/" * 80, b" .")),
    *(NINE + zone for zone in ZONES),
    *(NINE + b" Europe/Vienna\n", b"2026-02-03  UTC", b"2026-02-03 24:00:00 UTC"),
)  # fmt: skip
MODES = (0o000, 0o200, 0o111, 0o777, 0o6777, 0o400)


def fill(rng: random.Random, folder: Path) -> None:
    """Make a submission: its notebook as it is, spoiled or something else, and other things beside it.

    Args:
        rng: draws.
        folder: `submitted/STUDENT/NAME`, which is made, or put in its place what is no folder, or nothing.
    """
    folder.parent.mkdir(parents=True)
    if rng.random() < 0.01:
        return
    if rng.random() < 0.05:
        with suppress(OSError):  # a name too long for a socket: then nothing was handed in
            rng.choice(KINDS)(rng, folder)
        return
    folder.mkdir()
    for _ in range(rng.choice((0, 0, 1, 3, 12))):
        _place(rng, _below(rng, folder) / _name(rng))
    if rng.random() < 0.6:
        _place(rng, folder / STAMP, ordinary=0.9)
    if rng.random() < 0.9:
        _place(rng, folder / NOTEBOOK, ordinary=0.8)


def _name(rng: random.Random) -> str:
    letters = bytes(rng.randrange(1, 256) for _ in range(rng.randint(1, 12))).replace(b"/", b"_")
    return os.fsdecode(rng.choice((rng.choice(NAMES), letters)))


def _below(rng: random.Random, top: Path) -> Path:
    """Return the folder itself, or a new one below it, perhaps far: never one behind a link, which may lead out."""
    path = top
    with suppress(OSError):  # something is there, or there can be no such name
        for _ in range(rng.choice((0, 0, 0, 1, 2, 12))):
            below = path / rng.choice(("d", _name(rng)))
            below.mkdir()
            path = below
    return path


def _place(rng: random.Random, path: Path, *, ordinary: float = 0.5) -> None:
    """Put something there, unless something is in the way, and perhaps lock it."""
    with suppress(OSError, ValueError):  # no such name here, or one that is taken
        (_file if rng.random() < ordinary else rng.choice(KINDS))(rng, path)
        if rng.random() < 0.1 and not path.is_symlink():
            path.chmod(rng.choice(MODES))


def _file(rng: random.Random, path: Path) -> None:
    with path.open("xb") as file:
        file.write(_content(rng, path.name))


def _content(rng: random.Random, name: str) -> bytes:
    if name == STAMP:
        return rng.choice((*STAMPS, rng.randbytes(rng.randint(0, 40))))
    if name == NOTEBOOK and rng.random() < 0.6:
        return as_text(rng, spoiled_tree(rng, small())).encode("utf-8", "surrogatepass")
    return rng.choice((b"", rng.randbytes(30), b"import os", spoiled(rng, small()), spoiled(rng, small())))


def _symbolic(rng: random.Random, path: Path) -> None:
    targets = ("/etc/passwd", "/dev/zero", "/proc/self", "..", ".", str(path), "nowhere", "/dev/null/x", NOTEBOOK)
    path.symlink_to(rng.choice(targets))


def _hard(rng: random.Random, path: Path) -> None:
    other = path.with_name("first name")
    _file(rng, other)
    path.hardlink_to(other)


def _pipe(_: random.Random, path: Path) -> None:
    os.mkfifo(path)


def _socket(_: random.Random, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:  # the name outlives it
        listener.bind(os.fsencode(os.path.relpath(path)))


def _folder(_: random.Random, path: Path) -> None:
    path.mkdir()


def _hole(_: random.Random, path: Path) -> None:
    with path.open("xb") as file:
        file.truncate(300 * 2**20)


KINDS: tuple[Put, ...] = (_symbolic, _symbolic, _hard, _pipe, _socket, _folder, _hole)


def listing(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return mode, size and time of change of everything at and below a path; no link is followed."""
    seen = {path: path.lstat() for path in (folder, *_everything(folder)) if os.path.lexists(path)}
    return {path: (each.st_mode, each.st_size, each.st_mtime_ns) for path, each in seen.items()}


def _everything(top: Path) -> Iterator[Path]:
    """Yield what is below a path, folders before what is in them; nothing if the path is a link."""
    for folder, names, files in () if top.is_symlink() else os.walk(top):
        yield from (Path(folder, name) for name in (*names, *files))


def unlock(folder: Path) -> None:
    """Let everything below a folder be deleted again; each folder is opened before it is entered."""
    for path in _everything(folder):
        if not path.is_symlink():
            path.chmod(0o700)
