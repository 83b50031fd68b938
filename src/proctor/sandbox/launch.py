"""What is common to every way of starting a program: its files, its environment, its limits, its last step."""

from __future__ import annotations

import marshal
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from proctor.errors import EngineError
from proctor.sandbox.caps import Caps

__all__ = ["ENTER", "LastWords", "Launch", "entering", "environment", "files_below", "limits", "pack"]

ENTER = Path(__file__).with_name("enter.py")
STDERR_SIZE = 64 * 1024  # bytes that a program may write to stderr at all, where the system can hold it to that
KEPT = 2000  # characters of them, the last, that go into a message


@dataclass(frozen=True)
class Launch:
    """A command that is ready to be started, and what it needs while it starts."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    inherited: tuple[int, ...]  # descriptors
    folder: str  # current when it starts
    own: int = 0  # processes of ours that stay around the program; 0 where the command becomes the program
    scratch: Path | None = None  # where it writes, if that has no size of its own


class LastWords:
    """A file that a program's stderr goes to, of a size that it cannot change."""

    def __enter__(self) -> LastWords:
        if sys.platform != "linux":
            self.file: BinaryIO = tempfile.TemporaryFile()
            return self
        import fcntl  # no such module everywhere

        descriptor = os.memfd_create("stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.file = open(descriptor, "r+b", buffering=0)  # noqa: PTH123 - a descriptor, closed by __exit__
        self.file.truncate(STDERR_SIZE)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self) -> str:
        """Return the last of what was written."""
        text = os.pread(self.file.fileno(), STDERR_SIZE, 0).rstrip(b"\0").decode(errors="replace")
        return text[-KEPT:].strip()


def entering(
    program: tuple[str, ...],
    *,
    ready: int,
    work: int,
    uid: int | None,
    caps: Mapping[str, int],
    domain: tuple[int, int] | None = None,
) -> tuple[str, ...]:
    """Return the command of the last step: `enter.py`, which becomes the program.

    Args:
        program: the command.
        ready: descriptor on which it says that it got there.
        work: descriptor of packed files, or of an empty file.
        uid: user to become, None for none.
        caps: for `setrlimit`, by name.
        domain: descriptors of Landlock's rules and of the filter to be bound by; None where bubblewrap sees to that.
    """
    listed = ",".join(f"{name}={number}" for name, number in caps.items())
    who = "-" if uid is None else str(uid)
    bound = "-" if domain is None else ",".join(map(str, domain))
    return (sys.executable, "-I", "-S", "-B", str(ENTER), str(ready), str(work), who, listed, bound, *program)


def limits(caps: Caps, *, count_processes: bool) -> dict[str, int]:
    """Return the caps that hold for each process, and with `count_processes` the one that holds for a user's."""
    each = {"NOFILE": caps.open_files, "FSIZE": caps.file_size, "CORE": 0}
    return each | ({"NPROC": caps.processes} if count_processes else {})


def environment(*, home: str, tmp: str, site: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return all that the program finds in its environment: nothing of ours."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": tmp,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        # Many submissions run side by side: more threads in each would only get in one another's way.
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PROCTOR_SITE": site,
        **more,
    }


def files_below(folder: Path) -> Iterator[tuple[bytes, bytes | None]]:
    """Return the files and folders below a folder: path and bytes, None for a folder; links are left out."""
    for top, names, files in os.walk(folder, followlinks=False):
        names[:] = sorted(name for name in names if not Path(top, name).is_symlink())
        for name in names:
            yield os.fsencode(Path(top, name).relative_to(folder)), None
        for name in sorted(files):
            content = _regular(Path(top, name))
            if content is not None:
                yield os.fsencode(Path(top, name).relative_to(folder)), content


def _regular(path: Path) -> bytes | None:
    """Return the bytes of a regular file; None for anything else, which is not waited for either."""
    with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    return None


def pack(folder: Path | None, *, most: int, keep: ExitStack) -> int:
    """Copy the files below a folder into one, as `enter.py` reads it, and return its descriptor.

    Args:
        folder: none gives an empty file.
        most: bytes that all may have together.
        keep: closes the file.

    Raises:
        EngineError: they have more.
    """
    packed: BinaryIO = keep.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - entered
    total = 0
    for path, content in files_below(folder) if folder else ():
        total += len(content or b"")
        if total > most:
            raise EngineError(
                f"the assignment's files are larger than the {most // 2**20} MB that fit into the sandbox",
                where=f"'{folder}'",
                todo="put large data into a folder that is read in place",
            )
        marshal.dump((path, content), packed)
    packed.flush()
    return packed.fileno()
