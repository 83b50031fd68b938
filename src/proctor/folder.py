"""Look into a folder that a stranger filled: nothing is followed, and nothing takes the place of what was looked at.

It may hold links, pipes, devices and any number of files, and may change meanwhile. So folders are held open and
entered by descriptor, and a file is checked before and after it is opened. Where the system cannot open by descriptor
(Windows), paths are joined instead.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from proctor.errors import EngineError, SubmissionError

__all__ = ["Place", "Survey", "held", "opened", "quoted", "survey", "unreadable"]

Place = int | Path  # a folder held open, or where it is
BY_DESCRIPTOR = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
FILE = os.O_RDONLY | _SAFE | getattr(os, "O_BINARY", 0)
FOLDER = os.O_RDONLY | _SAFE | getattr(os, "O_DIRECTORY", 0)

DEEPEST = 10  # folders below the submission's own
MOST_ENTRIES = 2_000  # files and folders
MOST_BYTES = 200 * 2**20  # of all files together
MOST_NAMED = 10  # files that are named when they are left out
LONGEST_NAME = 80  # characters of a file's name in a note
CHECKPOINTS = ".ipynb_checkpoints"  # written by Jupyter beside each notebook
KINDS = (
    (stat.S_ISLNK, "it is a symbolic link"),
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
)
Entry = tuple[str, str, int]  # path, reason to leave it out (empty for a folder that is entered), bytes


@dataclass(frozen=True)
class Survey:
    """What lies in the folder beside the files that are used."""

    notes: tuple[str, ...]  # what is left out and why
    notebooks: tuple[str, ...]  # paths of notebooks among that


@contextmanager
def held(folder: Path) -> Iterator[Place]:
    """Hold `submitted/STUDENT/NAME` open; neither it nor the folder above it may be a link.

    Raises:
        SubmissionError: it is not there, or no folder.
        EngineError: it cannot be read.
    """
    with ExitStack() as stack:
        try:
            outer = _enter(None, folder.parent)
            stack.callback(_leave, outer)
            inner = _enter(outer, Path(folder.name))
            stack.callback(_leave, inner)
        except FileNotFoundError:
            todo = "ask the student for the notebook"
            raise SubmissionError("nothing was handed in", where=f"'{folder}'", todo=todo) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                what = "the submission is not a folder but a link or a file"
                raise SubmissionError(what, where=f"'{folder}'", todo="put the files themselves there") from None
            raise unreadable(folder, error) from error
        yield inner


@contextmanager
def opened(place: Place, name: str) -> Iterator[int | None]:
    """Open an ordinary file of the folder, and no other that takes its place meanwhile; None if there is none.

    Raises:
        SubmissionError: it is not an ordinary file.
        OSError: it cannot be read.
    """
    try:
        seen = _look(place, name)
    except FileNotFoundError:
        yield None
        return
    if why := _unfit(seen):
        raise SubmissionError(f"'{name}' is not read: {why}", todo="hand in the file itself")
    handle = _open(place, name)
    try:
        now = os.fstat(handle)
        if (now.st_dev, now.st_ino) != (seen.st_dev, seen.st_ino) or _unfit(now):
            raise _swapped(name)
        yield handle
    finally:
        os.close(handle)


def survey(folder: Path, used: Collection[str]) -> Survey:
    """Look at no more entries than allowed, and say which of them are left out.

    Args:
        folder: `submitted/STUDENT/NAME`.
        used: names of files at its top that need no note.
    """
    with held(folder) as place, closing(_entries(place, "", 0)) as entries:
        seen = list(itertools.islice(entries, MOST_ENTRIES + 1))
    left_out = sorted((path, why) for path, why, _ in seen[:MOST_ENTRIES] if why and path not in used)
    notes = [f"{quoted(path)} was left out: {why}" for path, why in left_out[:MOST_NAMED]]
    if len(left_out) > MOST_NAMED:
        notes.append(f"files left out beside these: {len(left_out) - MOST_NAMED}")
    if len(seen) > MOST_ENTRIES:
        notes.append(f"the folder holds more than {MOST_ENTRIES:,} files: the others were not looked at")
    if sum(size for _, _, size in seen) > MOST_BYTES:
        notes.append(f"the files are larger than {MOST_BYTES // 2**20} MB in all")
    return Survey(tuple(notes), tuple(path for path, _ in left_out if path.lower().endswith(".ipynb")))


def unreadable(path: Path, error: OSError) -> EngineError:
    """Return the error for a file or folder that the disk or its permissions keep from us."""
    reason = error.strerror or type(error).__name__
    return EngineError(f"a submission cannot be read: {reason}", where=f"'{path}'", todo="see to its permissions")


def quoted(path: str) -> str:
    """Return a stranger's file name so that it can be printed: no control characters, and not too long."""
    plain = "".join(character if character.isprintable() else "\ufffd" for character in path)
    return f"'{plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + '…'}'"


def _enter(place: Place | None, name: Path) -> Place:
    """Open a folder, but not through a link in the last part of its name."""
    if BY_DESCRIPTOR:
        return os.open(name, FOLDER, dir_fd=place if isinstance(place, int) else None)
    path = place / name if isinstance(place, Path) else name
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return path


def _leave(place: Place) -> None:
    if isinstance(place, int):
        os.close(place)


def _look(place: Place, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=place, follow_symlinks=False) if isinstance(place, int) else (place / name).lstat()


def _open(place: Place, name: str) -> int:
    try:
        return os.open(name, FILE, dir_fd=place) if isinstance(place, int) else os.open(place / name, FILE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):  # a link, nothing, a socket
            raise _swapped(name) from None
        raise


def _swapped(name: str) -> SubmissionError:
    return SubmissionError(f"'{name}' was replaced while it was read", todo="hand it in again")


def _unfit(seen: os.stat_result) -> str:
    """Return why this is not an ordinary file; empty if it is one."""
    for is_kind, why in KINDS:
        if is_kind(seen.st_mode):
            return why
    if not stat.S_ISREG(seen.st_mode):
        return "it is a device"
    return "it is a hard link, one file under several names" if seen.st_nlink > 1 else ""


def _entries(place: Place, above: str, depth: int) -> Generator[Entry]:
    with os.scandir(place) as entries:
        for entry in entries:
            path = above + entry.name
            try:
                seen = entry.stat(follow_symlinks=False)
            except OSError:
                yield path, "it could not be looked at", 0
                continue
            if stat.S_ISDIR(seen.st_mode):
                yield from _below(place, entry.name, path, depth)
            else:
                size = seen.st_size if stat.S_ISREG(seen.st_mode) else 0
                yield path, _unfit(seen) or "only the assignment's notebooks are graded", size


def _below(place: Place, name: str, path: str, depth: int) -> Generator[Entry]:
    """Yield a folder and what is in it."""
    if depth == DEEPEST:
        yield path, f"it lies more than {DEEPEST} folders deep", 0
        return
    yield path, "", 0  # counts, too: a million empty folders are as slow as files
    if name == CHECKPOINTS:
        return
    try:
        inner = _enter(place, Path(name))
    except OSError:
        yield path, "it could not be opened", 0
        return
    try:
        yield from _entries(inner, f"{path}/", depth + 1)
    finally:
        _leave(inner)
