"""A room: the one process tree in which the code of one submission runs, from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress

from proctor.errors import EngineError
from proctor.sandbox import bubblewrap, cgroup, landlock, trusted
from proctor.sandbox.caps import Caps, Place, amount
from proctor.sandbox.launch import LastWords, Launch
from proctor.sandbox.rungs import Rung, form_for, rungs
from proctor.sandbox.scratch import Scratch
from proctor.sandbox.watchdog import Watchdog

__all__ = ["Room", "room"]

STARTUP = 60.0  # s for bubblewrap and a bare Python; 0.1 when the disk is warm
PATIENCE = 30.0  # s for a killed tree to be gone; freeing a GPU takes some


class Room:
    """A running program and all that it started. Made by `room`."""

    def __init__(self, caps: Caps, keep: ExitStack) -> None:
        self.control, self._theirs = socket.socketpair()  # ours is the caller's, who may close it
        self._caps, self._keep = caps, keep
        self._words = keep.enter_context(LastWords())
        self._process: subprocess.Popen[bytes] | None = None
        self._group: cgroup.Cgroup | None = None
        self._handle: int | None = None  # of the program; stays its own when the number of the process is used again
        self._watchdog: Watchdog | None = None
        self._watching: asyncio.Task[None] | None = None
        self._sealed = False  # a process namespace of its own
        self._scratch: Scratch | None = None  # what it writes, where that has no size of its own
        self._peak, self._kills = 0, 0
        self._reasons: list[str] = []
        keep.callback(self.control.close)
        keep.callback(self._theirs.close)

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        if self._handle is not None:
            return not _has_ended(self._handle, wait=0)
        return self._process is not None and self._process.poll() is None

    @property
    def peak(self) -> int:
        """Bytes of memory at the peak so far, all processes together; without a control group at most this."""
        self._take_note()
        return self._peak

    @property
    def killed(self) -> tuple[str, ...]:
        """Why processes were killed so far, one clause for each time."""
        self._take_note()
        return tuple(self._reasons)

    @property
    def last_words(self) -> str:
        """The end of what the program wrote to stderr, for a message of ours."""
        return self._words.read()

    def _take_note(self) -> None:
        if self._watchdog:
            self._reasons += self._watchdog.reasons
            self._watchdog.reasons.clear()
            self._peak = max(self._peak, 0 if self._group else self._watchdog.peak)  # the kernel counts better
        if self._group:
            self._peak = max(self._peak, self._group.peak)
            if (kills := self._group.kills) > self._kills:
                self._kills = kills
                self._reasons.append(f"it used more than {amount(self._caps.memory)} of memory")

    async def _start(self, program: Sequence[str], place: Place, rung: str) -> None:
        try:
            process, ready, info = self._launched([*program, str(self._theirs.fileno())], place, rung)
        except OSError as error:
            raise _not_started(str(error)) from error
        self._theirs.close()
        said, told = b"", b""
        with suppress(TimeoutError):
            async with asyncio.timeout(STARTUP):
                said = await _all(ready)
                told = await _all(info)
        if said != b"ready" or (self._sealed and not told):
            raise _not_started(self.last_words or f"it said nothing until it ended, or for {STARTUP:.0f} s")
        self._watch(json.loads(told)["child-pid"] if self._sealed else process.pid)

    def _launched(
        self, program: Sequence[str], place: Place, rung: str
    ) -> tuple[subprocess.Popen[bytes], socket.socket, socket.socket]:
        """Start the command; return it, and our ends of the lines on which it is going to say how far it came."""
        with ExitStack() as opening:
            ready, info = _pair(self._keep, opening), _pair(self._keep, opening)
            launch = self._launch(program, place, rung, (ready[1].fileno(), info[1].fileno()), opening)
            self._group = cgroup.make(memory=self._caps.memory, processes=self._caps.processes + launch.own)
            self._sealed = launch.own > 0
            self._scratch = Scratch(launch.scratch, self._caps.scratch) if launch.scratch else None
            self._process = subprocess.Popen(
                [*(self._group.entering if self._group else ()), *launch.command],
                env=launch.environment,
                cwd=launch.folder,
                pass_fds=(self._theirs.fileno(), *launch.inherited),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words.file,
                start_new_session=True,
            )
        return self._process, ready[0], info[0]

    def _launch(
        self, program: Sequence[str], place: Place, rung: str, descriptors: tuple[int, int], opening: ExitStack
    ) -> Launch:
        if rung == "trusted":
            return trusted.launch(program, place, self._caps, ready=descriptors[0], opening=opening, keep=self._keep)
        here = next((each for each in rungs() if each.name == rung), Rung(rung, "no such sandbox is known"))
        if here.why:
            raise EngineError(
                f"there is no sandbox {rung!r} here",
                where=here.why,
                todo="see what this machine can do: proctor doctor; or trust the code: --trusted",
            )
        if rung == "landlock":
            return landlock.launch(program, place, self._caps, ready=descriptors[0], opening=opening, keep=self._keep)
        form = form_for(here, program, place)
        options = bubblewrap.Options(here.bwrap, form, *descriptors)
        return bubblewrap.launch(program, place, self._caps, options=options, keep=opening)

    def _watch(self, root: int) -> None:
        """Watch the program, by its process id."""
        if sys.platform != "linux":
            return
        with suppress(OSError):  # of a kernel that knows no such handles
            self._handle = os.pidfd_open(root)
        caps = self._caps
        self._watchdog = Watchdog(
            root, memory=caps.memory, processes=caps.processes, members=self._members, scratch=self._scratch
        )
        self._watching = asyncio.create_task(self._watchdog.watch())

    def _members(self) -> list[int]:
        """Return the processes that may belong to the tree: its control group, else all that there are."""
        if self._group:
            return self._group.pids
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - five times a second

    async def _close(self) -> None:
        """Kill everything and wait for it, without a place where a cancellation could come between."""
        try:
            if self._process:
                self._end(self._process)
            self._take_note()
        finally:
            if self._group:
                self._group.close()
                self._group = None
            if self._watching:
                self._watching.cancel()
                await asyncio.wait({self._watching})
        if self._watching and not self._watching.cancelled():
            self._watching.result()  # a fault of the watchdog's is one of ours

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the program; with the first of a process namespace all others go, and bubblewrap sees it and ends."""
        if self._handle is not None and self._sealed:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            _has_ended(self._handle, wait=PATIENCE)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        if process.returncode is None:
            trusted.kill_below(process.pid)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"a killed process has not ended for {PATIENCE:.0f} s",
                where=f"process {process.pid}",
                todo="a disk or a GPU may hang: look at the machine",
            ) from None
        finally:
            self._forget_handle()

    def _forget_handle(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@asynccontextmanager
async def room(program: Sequence[str], place: Place, caps: Caps, *, rung: str) -> AsyncIterator[Room]:
    """Run a program in a sandbox; whatever happens, nothing of it is left afterwards.

    Args:
        program: a command of absolute paths. The number of the descriptor of its socket is added to it. Folders of the
            files that it names are shown, not writable.
        place: what else is shown.
        caps: what it may use.
        rung: "bubblewrap", "landlock", or "trusted" for no sandbox.

    Raises:
        EngineError: it does not start; the message holds what bubblewrap says.
    """
    if os.name == "nt":
        raise EngineError(
            "students' code cannot be run on Windows",
            where=f"rung {rung!r}",
            todo="use Linux, or WSL 2 with bubblewrap",
        )
    with ExitStack() as keep:
        opened = Room(caps, keep)
        try:
            await opened._start(program, place, rung)
            yield opened
        finally:
            await opened._close()


def _not_started(why: str) -> EngineError:
    what = f"the sandbox does not start: {why.splitlines()[-1]}"
    return EngineError(what, where=why, todo="put right what it says, then grade again")


def _pair(keep: ExitStack, opening: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return two ends of a line, ours and one for the time of the start."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return keep.enter_context(ours), opening.enter_context(theirs)


def _has_ended(handle: int, *, wait: float) -> bool:
    """Return whether a process has ended, whoever collects it; wait so many seconds for it."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(1000 * wait))


async def _all(sock: socket.socket) -> bytes:
    """Return all that is said until the other end is closed."""
    said = b""
    while part := await asyncio.get_running_loop().sock_recv(sock, 4096):
        said += part
    return said
