"""Files and folders that survive a kill: written whole or not at all, and cleaned up by whoever comes next."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["alone_in", "own_folder", "remove_below", "sync_folder", "write_whole"]


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a whole file in place of another, or of none, in one step.

    Its name until then is fixed: what a killed run left is overwritten by the next.

    Args:
        path: of the file; its folder is there.
        content: all of it.
        mode: who may read it.

    Raises:
        OSError: the disk is full or the folder not writable; what was there before is still there.
    """
    new = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(new, flags, mode), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(mode)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's own list of names to the disk, where the system can."""
    if os.name == "nt":
        return  # Windows opens no folders, and keeps the order of renames by itself
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def own_folder(kind: str) -> Iterator[Path]:
    """Give an empty temporary folder that goes away, if not by this process then by the next that asks for one.

    It is locked as long as this process lives; the lock of a killed one is the kernel's to give back.

    Args:
        kind: what it is for, a word in its name.
    """
    place, prefix = Path(tempfile.gettempdir()), f"proctor-{kind}-"
    for folder in place.glob(f"{prefix}*"):
        if (lock := _lock(folder)) is not None:
            remove_below(folder)
            os.close(lock)
    new = Path(tempfile.mkdtemp(prefix=".proctor-", dir=place))
    lock = _lock(new)  # before anybody can find it by its name
    folder = new.rename(place / f"{prefix}{secrets.token_hex(4)}")
    try:
        yield folder
    finally:
        remove_below(folder)
        if lock is not None:
            os.close(lock)


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Hold a folder for this process, and say whether no other one holds it; True as well where nothing can tell.

    The hold of a killed process is the kernel's to give back.
    """
    if sys.platform == "win32":
        yield True
        return
    import fcntl  # no such module everywhere

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    is_free = True
    try:
        with suppress(OSError):  # of a disk that knows no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_free = False
        yield is_free
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a folder of this user's that nobody has locked, and return its descriptor; else None."""
    if sys.platform == "win32":
        return None
    import fcntl  # no such module everywhere

    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
        except OSError:
            pass
        os.close(descriptor)
    return None


def remove_below(folder: Path) -> None:
    """Remove a folder that a student wrote in: closed and deeply nested folders, too; nothing in it is followed."""
    with suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    for name, *options in (("chmod", "-R", "u+rwX"), ("rm", "-rf", "--")):
        command = [shutil.which(name, path=os.defpath) or name, *options, str(folder)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
