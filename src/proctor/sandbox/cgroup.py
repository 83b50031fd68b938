"""Control groups: the kernel's own count and cap of the memory and the processes of a tree.

Two layouts exist. In the old one (v1) each kind of count has a hierarchy of its own. In the new one (v2) there is a
single hierarchy, and a group may be made only where the counts have been handed down and the folder is writable: for
root almost everywhere, for others where systemd has delegated it. Without either there is no group, and the watchdog
alone counts.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cgroup", "make"]

NAME = "proctor"  # begins the name of each of our groups, before the process id of its maker
PATIENCE = 10.0  # s for killed processes to leave a group
ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@"'

V1 = {"memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "pids": ("pids.max",)}
V2 = {"memory": ("memory.max",), "pids": ("pids.max",)}
PEAKS = ("memory.peak", "memory.max_usage_in_bytes", "memory.current")  # v2, v1, and v2 before Linux 5.19
EVENTS = ("memory.events", "memory.oom_control")  # v2 and v1


@dataclass(frozen=True)
class Cgroup:
    """A group of our own."""

    folders: tuple[Path, ...]  # one in v2, one for each kind of count in v1

    @property
    def entering(self) -> tuple[str, ...]:
        """The command in front of another that has it run in the group from its first instruction."""
        return ("/bin/sh", "-c", ENTER, "proctor", *(str(folder / "cgroup.procs") for folder in self.folders), "--")

    @property
    def peak(self) -> int:
        """Bytes of memory at the peak so far, cached files included."""
        return max((_number(folder / name) for folder in self.folders for name in PEAKS), default=0)

    @property
    def pids(self) -> list[int]:
        """The processes in it; those of another process namespace are listed as 0, and left out."""
        return [int(pid) for pid in _text(self.folders[0] / "cgroup.procs").split() if pid != "0"]

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed because the group was out of memory."""
        lines = [
            line.split() for folder in self.folders for name in EVENTS for line in _text(folder / name).split("\n")
        ]
        return sum(int(line[1]) for line in lines if len(line) == 2 and line[0] == "oom_kill")

    def close(self) -> None:
        """Kill whatever is left in the group and remove it."""
        deadline = time.monotonic() + PATIENCE
        for folder in self.folders:
            while not _removed(folder) and time.monotonic() < deadline:
                for pid in self.pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.002)


def make(
    *, memory: int, processes: int, mounts: str = "/proc/self/mounts", own: str = "/proc/self/cgroup"
) -> Cgroup | None:
    """Make a group with these caps, or return None where that cannot be done.

    Args:
        memory: bytes.
        processes: and threads.
        mounts: file that lists what is mounted where.
        own: file that lists the groups of this process.
    """
    caps = {"memory": memory, "pids": processes}
    for parents, files in ((_v1_parents(mounts, own), V1), (_v2_parents(mounts, own), V2)):
        for parent in parents:
            group = _make_below(parent, files, caps)
            if group is not None:
                return group
    return None


def _v1_parents(mounts: str, own: str) -> list[Sequence[Path]]:
    """Return the folders in which to make a group, one for memory and one for processes."""
    roots = {kind: Path(mount[1]) for mount in _mounts(mounts, "cgroup") for kind in V1 if kind in mount[3].split(",")}
    paths = {kind: path for _, kinds, path in _groups(own) for kind in kinds.split(",")}
    if not roots.keys() >= V1.keys() or not paths.keys() >= V1.keys():
        return []
    return [[_below(roots[kind], paths[kind]) for kind in V1]]


def _v2_parents(mounts: str, own: str) -> list[Sequence[Path]]:
    """Return folders in which to make a group: our own and those above, the nearest first."""
    roots = [Path(mount[1]) for mount in _mounts(mounts, "cgroup2")]
    paths = [path for number, kinds, path in _groups(own) if number == "0" and not kinds]
    if not roots or not paths:
        return []
    nearest = _below(roots[0], paths[0])
    line = [nearest, *(folder for folder in nearest.parents if folder.is_relative_to(roots[0]))]
    return [[folder] for folder in line if {*V2} <= {*_text(folder / "cgroup.subtree_control").split()}]


def _mounts(path: str, kind: str) -> list[list[str]]:
    """Return device, place, type and options of what is mounted."""
    lines = (line.split() for line in _text(Path(path)).splitlines())
    return [line for line in lines if len(line) > 3 and line[2] == kind]


def _groups(path: str) -> list[tuple[str, str, str]]:
    lines = (line.split(":", 2) for line in _text(Path(path)).splitlines())
    return [(line[0], line[1], line[2]) for line in lines if len(line) == 3]


def _below(root: Path, path: str) -> Path:
    """Return our own group's folder; in a container the path may be one that only the host sees."""
    folder = root / path.lstrip("/")
    return folder if ".." not in folder.parts and folder.is_dir() else root


def _make_below(parents: Sequence[Path], files: Mapping[str, Sequence[str]], caps: Mapping[str, int]) -> Cgroup | None:
    name = f"{NAME}-{os.getpid()}-{secrets.token_hex(4)}"
    group = Cgroup(tuple(dict.fromkeys(parent / name for parent in parents)))
    try:
        for parent in parents:
            _remove_stale(parent)
            (parent / name).mkdir()
        for kind, folder in zip(files, group.folders * len(files), strict=False):
            _limit(folder, files[kind], caps[kind])
        subprocess.run([*group.entering, "/bin/true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        group.close()
        return None
    return group


def _limit(folder: Path, names: Sequence[str], cap: int) -> None:
    (folder / names[0]).write_text(str(cap))
    for name in (*names[1:], "memory.swap.max"):  # swap is no way out; not every kernel counts it
        with suppress(OSError):
            if (folder / name).exists():
                (folder / name).write_text("0" if name == "memory.swap.max" else str(cap))


def _remove_stale(parent: Path) -> None:
    """Remove groups whose maker was killed, with whatever still runs in them."""
    for folder in parent.glob(f"{NAME}-[0-9]*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            Cgroup((folder,)).close()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else 0
