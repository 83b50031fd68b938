"""What each rung promises: which doings of student code it holds, which it refuses, and which it leaves open.

Held: the code may try, and nothing comes of it. Refused: the code gets an error, also where an honest notebook might
ask for the same; what a rung cannot hold it refuses. Open: nothing stands in the way.
What is not in this table does not depend on the rung: hidden tests run in another process on every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PROMISES", "RUNGS", "Kept", "Promise"]

Kept = Literal["held", "refused", "open"]
RUNGS = ("bubblewrap", "landlock", "trusted")  # the strongest first


@dataclass(frozen=True)
class Promise:
    """One doing of student code, and what comes of it on each rung."""

    doing: str  # as a noun phrase, without a full stop
    bubblewrap: Kept
    landlock: Kept
    trusted: Kept
    how: str  # what stands in the way, in one sentence; Landlock's way where the two differ

    def on(self, rung: str) -> Kept:
        """Return what comes of it on a rung."""
        kept: Kept = getattr(self, rung)
        return kept


PROMISES = (
    Promise(
        "reading the course, other students' work, home",
        "held",
        "held",
        "open",
        "Only the system, this Python and the released files can be opened.",
    ),
    Promise(
        "asking whether a file exists, and how large it is",
        "held",
        "open",
        "open",
        "Landlock says nothing of names and sizes; what stands in a file stays closed.",
    ),
    Promise(
        "writing outside its own folder",
        "held",
        "held",
        "open",
        "There is nothing else to write to.",
    ),
    Promise(
        "a temporary folder shared with others",
        "held",
        "refused",
        "open",
        "/tmp is private, or closed: $TMPDIR names a folder of its own.",
    ),
    Promise(
        "changing modes, owners or dates of files",
        "held",
        "refused",
        "open",
        "The calls do nothing.",
    ),
    Promise(
        "seeing other processes",
        "held",
        "refused",
        "open",
        "/proc shows its own processes, or is closed.",
    ),
    Promise(
        "signalling other processes",
        "held",
        "refused",
        "open",
        "None can be named, or the kernel refuses.",
    ),
    Promise(
        "network and sockets of other programs",
        "held",
        "refused",
        "open",
        "There is no network, or no socket at all.",
    ),
    Promise(
        "shared memory and semaphores",
        "held",
        "refused",
        "open",
        "/dev/shm is private and small, or closed.",
    ),
    Promise(
        "namespaces, mounts, keys, tracing, io_uring",
        "refused",
        "refused",
        "open",
        "A seccomp filter refuses the calls.",
    ),
    Promise(
        "memory without end",
        "held",
        "held",
        "held",
        "A control group where one can be had, else a watchdog, kills what is too large.",
    ),
    Promise(
        "processes and threads without end",
        "held",
        "held",
        "held",
        "A control group or a limit stops them, else a watchdog kills them.",
    ),
    Promise(
        "filling the disk",
        "held",
        "held",
        "open",
        "Private folders have a size, or a watchdog kills what writes too much.",
    ),
    Promise(
        "processes that stay",
        "held",
        "held",
        "held",
        "All are killed as a tree.",
    ),
    Promise(
        "files that stay",
        "held",
        "held",
        "open",
        "They go with the folder.",
    ),
)
