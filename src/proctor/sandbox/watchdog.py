"""The watchdog: counts the memory and the processes of a tree, and kills what is too much. Linux only.

Forked snapshots of a notebook share most of their memory, so the sum of their resident sizes says little. Their
proportional sizes (PSS) add up, but reading one takes milliseconds: so they are read only when the plain sum is above
the cap, and only of processes that ran since the last look; before anything is killed, all are read again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from proctor.sandbox.caps import amount
from proctor.sandbox.scratch import Scratch

__all__ = ["Watchdog"]

INTERVAL = 0.2  # s between looks; in that time a process can fill about a gigabyte
SOON, PATIENCE = 0.005, 2.0  # s between looks, and in all, until what was killed is gone
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096  # bytes


@dataclass(frozen=True)
class _Process:
    """What one look found out about a process."""

    pid: int
    parent: int
    threads: int
    resident: int  # bytes
    ran: tuple[int, int]  # clock ticks: when it started, and for how long it ran

    @classmethod
    def read(cls, pid: int) -> _Process | None:
        """Return what the kernel says; None if the process is gone or a zombie."""
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if not fields or fields[0] in (b"Z", b"X"):
            return None
        parent, used, more, threads, start, pages = (
            int(fields[at]) for at in (1, 11, 12, 17, 19, 21)
        )  # proc(5), less 3
        return cls(pid, parent, threads, pages * PAGE, (start, used + more))


class Watchdog:
    """Watches the tree below one process.

    Args:
        root: the program, which is killed only if it is alone too large.
        memory: bytes that the tree may use.
        processes: and threads that it may have.
        members: lists processes among which the tree is found.
        scratch: the folder that it writes in, where nothing else caps its size.
    """

    def __init__(
        self,
        root: int,
        *,
        memory: int,
        processes: int,
        members: Callable[[], Iterable[int]],
        scratch: Scratch | None = None,
    ) -> None:
        self.root, self.memory, self.processes, self.members = root, memory, processes, members
        self.scratch = scratch
        self.peak = 0  # bytes; not above this, since below the cap shared pages count more than once
        self.reasons: list[str] = []  # one for each look that killed
        self._shares: dict[int, tuple[tuple[int, int], int]] = {}  # by process: when it had run, its share in bytes

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)

    def look(self) -> None:
        """Count once, and kill what is too much."""
        tree = self._tree()
        if sum(process.threads for process in tree.values()) > self.processes:
            self._thin_out(tree)
            return
        used = self._used(tree)
        self.peak = max(self.peak, used)
        if used > self.memory:
            self._kill_largest()
        if self.scratch and (much := self.scratch.excess(tree)):
            self._kill_writers(tree, much, self.scratch)

    def _tree(self) -> dict[int, _Process]:
        """Return the root and all below it."""
        known = {pid: process for pid in self.members() if (process := _Process.read(pid))}
        below: dict[int, list[_Process]] = {}
        for process in known.values():
            below.setdefault(process.parent, []).append(process)
        tree = {self.root: known[self.root]} if self.root in known else {}
        waiting = list(tree)
        while waiting:
            children = below.pop(waiting.pop(), [])
            tree |= {child.pid: child for child in children}
            waiting += [child.pid for child in children]
        return tree

    def _used(self, tree: Mapping[int, _Process]) -> int:
        resident = sum(process.resident for process in tree.values())
        if resident <= self.memory:
            return resident
        known, self._shares = self._shares, {}
        for pid, process in tree.items():
            old = known.get(pid)
            self._shares[pid] = old if old and old[0] == process.ran else (process.ran, _share(pid))
        if sum(share for _, share in self._shares.values()) > self.memory:
            self._shares = {pid: (process.ran, _share(pid)) for pid, process in tree.items()}
        return sum(share for _, share in self._shares.values())

    def _kill_largest(self) -> None:
        shares = {pid: share for pid, (_, share) in self._shares.items() if pid != self.root}
        self.reasons.append(f"it used more than {amount(self.memory)} of memory")
        _kill(max(shares, key=shares.__getitem__) if shares else self.root)

    def _kill_writers(self, tree: Mapping[int, _Process], much: str, scratch: Scratch) -> None:
        """Kill all that may have written, and when they are gone make room: what runs next must not pay for it."""
        self.reasons.append(much)
        deadline = time.monotonic() + PATIENCE
        while (writers := tree.keys() - {self.root}) and time.monotonic() < deadline:
            for pid in writers:
                _kill(pid)
            time.sleep(SOON)
            tree = self._tree()
        if not writers:
            scratch.clear()

    def _thin_out(self, tree: Mapping[int, _Process]) -> None:
        """Kill families, the most populous first and among equals the newest, until the rest is few enough."""
        self.reasons.append(f"it had more than {self.processes} processes and threads at once")
        families = sorted(
            _families(tree, self.root),
            key=lambda family: (_threads(family), family[0].ran[0], family[0].pid),
            reverse=True,
        )
        count = _threads(list(tree.values()))
        for family in families:
            if count <= self.processes:
                return
            for process in family:
                _kill(process.pid)
            count -= _threads(family)


def _families(tree: Mapping[int, _Process], root: int) -> list[list[_Process]]:
    """Return the tree without its root, divided by the root's children."""
    families: dict[int, list[_Process]] = {}
    for process in tree.values():
        head = process
        while head.parent != root and head.parent in tree and head.pid != root:
            head = tree[head.parent]
        if process.pid != root:
            families.setdefault(head.pid, []).append(process)
    return list(families.values())


def _threads(processes: list[_Process]) -> int:
    return sum(process.threads for process in processes)


def _share(pid: int) -> int:
    """Return a process's proportional share of its memory in bytes; 0 if it is gone or not for us to see."""
    lines = (line.split() for line in _read(f"/proc/{pid}/smaps_rollup").splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == b"Pss:"), 0)


def _read(path: str) -> bytes:
    """Return what a file of the kernel's says; nothing if its process is gone."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hundreds, five times a second
            return file.read()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
