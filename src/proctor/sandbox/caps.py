"""What a sandbox may use and what it shows: plain data, decided by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Caps", "Place", "amount"]

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class Caps:
    """The most that the student's processes may use, all together unless it says otherwise.

    Deadlines are the caller's business.
    """

    memory: int = 4 * GIB  # bytes; torch with a small model and its data takes one
    processes: int = 128  # threads count too; a pool of workers for each of 16 cores, some times over
    open_files: int = 1024  # in one process; the usual default of Linux
    file_size: int = 256 * MIB  # bytes of one file; larger than any data set of a course's
    scratch: int = 512 * MIB  # bytes in the temporary folder and in the working folder, each
    shared_memory: int = 256 * MIB  # bytes in /dev/shm, where data loaders put batches


@dataclass(frozen=True)
class Place:
    """What a sandbox shows beside the system and this Python."""

    work: Path | None = None  # its files are copied into the current folder; links in it are left out
    packages: tuple[Path, ...] = ()  # folders or files to import by their own name; found through $PROCTOR_SITE
    readable: tuple[Path, ...] = ()  # shown at their own paths, not writable
    environment: Mapping[str, str] = field(default_factory=dict)  # added to the clean environment
    gpu: bool = False  # show NVIDIA's devices


def amount(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / GIB:.3g} GB" if size >= GIB else f"{size / MIB:.3g} MB"
