"""How much a student's program has written in a folder that has no size of its own. Linux only.

Counting takes a walk through the folder, so it is done only when the disk has lost more than the program may use:
whoever took that, the rest is looked at then. What was deleted and is still open counts, too. A folder that the
program closed or nested too deep to be looked at counts as too much.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from proctor.disk import remove_below
from proctor.sandbox.caps import amount

__all__ = ["Scratch"]

MOST_FILES = 50_000  # a course's data sets have some hundred
DEEPEST = 64  # folders in one another; each holds a descriptor while it is walked through
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW if os.name == "posix" else os.O_RDONLY
BLOCK = 512  # bytes, the unit of st_blocks on Linux


class Scratch:
    """A folder and the most that may be in it.

    Args:
        folder: with all that the program writes; its own files stand in it already.
        most: bytes.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.since = time.time_ns()  # what changed later is the program's
        self._hidden: set[Path] = set()  # folders that could not be looked at
        self._free, self._names = self._left()

    def excess(self, pids: Iterable[int]) -> str:
        """Return what is too much, as a clause; empty if nothing is.

        Args:
            pids: processes that may hold files which were deleted.
        """
        free, names = self._left()
        self._free, self._names = max(free, self._free), max(names, self._names)
        if self._free - free <= self.most and self._names - names <= MOST_FILES:
            return ""
        sizes = {(seen.st_dev, seen.st_ino): seen.st_blocks * BLOCK for *_, seen in self._files()}
        if len(sizes) > MOST_FILES:
            return f"it wrote more than {MOST_FILES:,} files"
        sizes |= {(seen.st_dev, seen.st_ino): seen.st_blocks * BLOCK for pid in pids for seen in _deleted(pid)}
        is_too_much = self._hidden or sum(sizes.values()) > self.most
        return f"it wrote more than {amount(self.most)} to disk" if is_too_much else ""

    def clear(self) -> None:
        """Remove what was written, links not followed; nothing may be running there any more."""
        for name, descriptor, seen in self._files():
            if seen.st_ctime_ns >= self.since:
                os.unlink(name, dir_fd=descriptor)
        for folder in self._hidden:
            remove_below(folder)
        self._free, self._names = self._left()

    def _left(self) -> tuple[int, int]:
        """Return how many bytes and names the disk still takes."""
        seen = os.statvfs(self.folder)
        return seen.f_bavail * seen.f_frsize, seen.f_favail

    def _files(self) -> Iterator[tuple[str, int, os.stat_result]]:
        """Yield name, descriptor of the folder, and status of each file; keep in mind what cannot be looked at."""
        self._hidden.clear()
        descriptor = os.open(self.folder, FOLDER)
        try:
            yield from self._below(descriptor, self.folder, DEEPEST)
        finally:
            os.close(descriptor)

    def _below(self, descriptor: int, folder: Path, deeper: int) -> Iterator[tuple[str, int, os.stat_result]]:
        for name in os.listdir(descriptor):
            with suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(seen.st_mode):
                    yield from self._inside(name, descriptor, folder / name, deeper - 1)
                else:
                    yield name, descriptor, seen

    def _inside(self, name: str, above: int, folder: Path, deeper: int) -> Iterator[tuple[str, int, os.stat_result]]:
        """Look into a folder; what was put in its place meanwhile is not followed."""
        try:
            descriptor = os.open(name, FOLDER, dir_fd=above)
        except OSError as error:
            if error.errno == errno.EACCES:
                self._hidden.add(folder)
            return
        try:
            if deeper:
                yield from self._below(descriptor, folder, deeper)
            else:
                self._hidden.add(folder)
        finally:
            os.close(descriptor)


def _deleted(pid: int) -> Iterator[os.stat_result]:
    """Yield the files that a process holds open and that have no name any more."""
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - beside stat
            with suppress(OSError):
                seen = Path(f"/proc/{pid}/fd/{name}").stat()
                if stat.S_ISREG(seen.st_mode) and not seen.st_nlink:
                    yield seen
