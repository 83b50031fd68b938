"""The keeper of the sandbox: forks a session for a notebook, signals and counts the student's processes.

Messages and answers are frames of `wire` without values:

    {"do": "prepare", "modules": [...], "ahead": [...]}    import them once, for all sessions; those of `ahead`
                                           only if they are there                  -> {"missing": [...]}
    {"do": "session"}, then a descriptor   start a session that serves this socket  -> {"pid": ...}
    {"do": "signal", "pid": ..., "signal": ...}                                     -> {}
    {"do": "sweep", "keep": [...]}         kill all processes but these             -> {"killed": ...}
    {"do": "ending", "pid": ...}           how a session ended                      -> {"status": None, or as waitpid}
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress

from . import session, wire

__all__ = ["serve"]

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl: without a process namespace orphans come here too
DUMPABLE = 4  # PR_SET_DUMPABLE
RESTRICT_SELF = 446  # the system call landlock_restrict_self
DOMAIN = "PROCTOR_DOMAIN"  # names the descriptor of the rules that a session is bound by, where Landlock holds it
EXPENDABLE = b"1000"  # oom_score_adj: when memory runs out, the student's processes go before this one
CALM = 3  # looks in a row that find nothing, before it is believed
ROUNDS = 100  # of killing, against processes that start new ones meanwhile


class _Keeper:
    """Knows how its children ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.endings: dict[int, int] = {}
        self.domain = int(os.environ.pop(DOMAIN, "-1"))
        if self.domain >= 0:
            os.set_inheritable(self.domain, False)

    def reap(self, *_: object) -> None:
        """Collect every child that has ended, orphans of the student's processes among them."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.endings[pid] = status

    def prepare(self, modules: Iterable[object], ahead: Iterable[object]) -> dict[str, object]:
        missing: list[object] = []
        for name in modules:
            try:
                importlib.import_module(str(name))
            except Exception as error:
                missing.append(f"{name}: {type(error).__name__}: {error}"[:200])
        for name in ahead:
            with suppress(Exception):
                importlib.import_module(str(name))
        session.warm_up()
        return {"missing": missing}

    def start(self) -> dict[str, object]:
        channel = session.take_socket(self.control)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            channel.close()
            return {"pid": pid}
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            _keep_memory_private(private=False)
            with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:  # noqa: PTH123 - a plain write
                file.write(EXPENDABLE)
            status = os.open("/proc/self/stat", os.O_RDONLY) if sys.platform == "linux" else -1
            self._enter_domain()
            session.serve(channel, status)
        finally:
            os._exit(0)

    def _enter_domain(self) -> None:
        """Be bound by the narrower rules, where there are any; without them no line of a student's may run."""
        if self.domain >= 0:
            if ctypes.CDLL(None).syscall(RESTRICT_SELF, self.domain, 0):
                raise OSError("the kernel refuses the rules of a session")
            os.close(self.domain)

    def sweep(self, keep: Iterable[object]) -> dict[str, object]:
        """Kill whatever is not to be kept; stopped first, so that nothing starts a successor meanwhile.

        A process that ends while it is looked for may have started another behind the look: so there are several.
        """
        kept = {os.getpid(), *keep}
        killed: set[int] = set()
        calm = 0
        for _ in range(ROUNDS):
            _stop_all()
            found = [pid for pid in _descendants() if pid not in kept]
            calm = 0 if found else calm + 1
            if calm == CALM:
                break
            for number in (signal.SIGSTOP, signal.SIGKILL):
                _signal_each(found, number)
            killed.update(found)
            self.reap()
        _signal_each([pid for pid in _descendants() if pid in kept], signal.SIGCONT)
        return {"killed": len(killed)}

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one of the student's processes, and to no other: the number may come from one of them."""
        if pid > 0 and (pid in _descendants() or sys.platform != "linux"):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def answer(self, message: dict[str, object]) -> dict[str, object]:
        """Do what a message says; KeyError if it says nothing known."""
        do = message["do"]
        if do == "prepare":
            return self.prepare(_listed(message["modules"]), _listed(message["ahead"]))
        if do == "session":
            return self.start()
        if do == "sweep":
            return self.sweep(_listed(message["keep"]))
        if do == "ending":
            self.reap()
            return {"status": self.endings.get(_whole(message["pid"]))}
        if do == "signal":
            self.signal(_whole(message["pid"]), _whole(message["signal"]))
            return {}
        raise KeyError(do)


def _stop_all() -> None:
    """Stop all processes at once, where they are all ours: the kernel lets none slip through."""
    if os.getpid() == 1:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(-1, signal.SIGSTOP)  # all but this one


def _signal_each(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _keep_memory_private(*, private: bool) -> None:
    """Say whether a process of the same user may read and write this one's memory, through /proc or otherwise."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DUMPABLE, int(not private), 0, 0, 0)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _descendants() -> list[int]:
    """Return the processes below this one that are still alive."""
    parents: dict[int, int] = {}
    for name in map(os.path.basename, os.scandir("/proc") if sys.platform == "linux" else []):
        with suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat", "rb") as file:  # noqa: PTH123 - many files, many times
                state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state not in (b"Z", b"X"):
                parents[int(name)] = int(parent)
    own: set[int] = {os.getpid()}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in own} - own
        own |= more
        grew = bool(more)
    return sorted(own - {os.getpid()})


def serve(descriptor: int) -> None:
    """Answer messages until the other end is closed."""
    control = socket.socket(fileno=descriptor)
    keeper = _Keeper(control)
    signal.signal(signal.SIGCHLD, keeper.reap)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the student's processes
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    _keep_memory_private(private=True)
    with suppress(EOFError, ConnectionError):
        while True:
            message, _ = wire.read(control)
            wire.write(control, wire.pack(keeper.answer(message), {}))
    if os.getpid() != 1:  # else the kernel does that
        keeper.sweep([])
