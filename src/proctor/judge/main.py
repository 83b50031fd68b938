"""The judge's process: runs the opening cell once, then forks for every test, so that no test sees another.

Started as `python -m proctor.judge.main DESCRIPTOR`. Messages and answers are frames of `wire` without values:

    {"do": "open", "source": ...}                             -> {"error": "..."}, empty if all is well
    {"do": "try", "trial": ..., "modules": [...]}, then two descriptors: the student's side, and a socket for the
        verdict                                               -> {"pid": ...}
    {"do": "ending", "pid": ...}: which signal ended a fork   -> {"signal": 0, or its number}

The verdict is one more frame, sent by the fork: the fields of `trial.Said` as values, and in the message the modules
that this test was the first to import. They come back with the next test, so that each is imported once and not in
every fork: `torch.optim` alone takes a second.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from proctor.inside import wire
from proctor.judge.split import import_statements
from proctor.judge.trial import Said, Trial, try_test

__all__ = ["serve"]

MEMORY = 8 * 2**30  # bytes that one test may take of its own; the largest reply is a thirtieth of it


class _Judge:
    """What the opening cell left behind."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.space: dict[str, Any] = {"__name__": "__main__"}
        self.imports: tuple[str, ...] = ()
        self.endings: dict[int, int] = {}  # status, as of `waitpid`, of the forks that did not end by themselves

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["do"] == "open":
            return self.open(str(message["source"]))
        return self.ending(message["pid"]) if message["do"] == "ending" else self.start(message)

    def open(self, source: str) -> dict[str, Any]:
        try:
            self.imports = import_statements(source)[0]
            exec(compile(source, "<opening>", "exec", dont_inherit=True), self.space)
        except Exception:
            return {"error": traceback.format_exc(limit=-3)[-2_000:]}
        return {"error": ""}

    def start(self, message: dict[str, Any]) -> dict[str, Any]:
        _, descriptors, _, _ = socket.recv_fds(self.control, 1, 2)
        student, verdict = (socket.socket(fileno=each) for each in descriptors)
        for name in message["modules"]:
            with suppress(Exception):
                importlib.import_module(name)
        self.collect()
        pid = os.fork()
        if pid == 0:
            try:
                gc.freeze()  # collecting what the parent left would copy all its memory
                self.control.close()
                resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
                before = set(sys.modules)
                said = asdict(self.judge(Trial(**message["trial"]), student))
                wire.write(verdict, wire.pack({"modules": sorted(set(sys.modules) - before)}, said))
            finally:
                os._exit(0)
        student.close()
        verdict.close()
        self.endings.pop(pid, None)  # of another that had the same number
        return {"pid": pid}

    def collect(self) -> None:
        """Take note of the forks that have ended; the ordinary ones leave nothing to note."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self.endings |= dict([ended]) if ended[1] else {}

    def ending(self, pid: int) -> dict[str, Any]:
        """Return which signal ended a fork that has closed its socket; one that is ending already no longer changes."""
        with suppress(ChildProcessError):  # it is noted
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
            self.endings[pid] = status
        return {"signal": self.endings.pop(pid, 0) & 0x7F}

    def judge(self, trial: Trial, student: socket.socket) -> Said:
        student.settimeout(trial.block_limit)
        return try_test(trial, student, space=self.space, opening=self.imports)


def serve(descriptor: int) -> None:
    """Answer messages until the other end is closed."""
    control = socket.socket(fileno=descriptor)
    judge = _Judge(control)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that started it ends it
    with suppress(EOFError, ConnectionError):
        while True:
            message, _ = wire.read(control)
            wire.write(control, wire.pack(judge.answer(message), {}))


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # noqa: PTH109 - the assignment's own modules; last, so that they hide none
    serve(int(sys.argv[1]))
