"""The judge's process: runs the opening cell once, then forks for every test, so that no test sees another.

Started as `python -m proctor.judge.main DESCRIPTOR`. Messages and answers are frames of `wire` without values:

    {"do": "open", "source": ...}                             -> {"error": "..."}, empty if all is well
    {"do": "try", "trial": ..., "modules": [...]}, then two descriptors: the student's side, and a socket for the
        verdict                                               -> {"pid": ...}

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
        pid = os.fork()
        if pid == 0:
            try:
                gc.freeze()  # collecting what the parent left would copy all its memory
                self.control.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
                before = set(sys.modules)
                said = asdict(self.judge(Trial(**message["trial"]), student))
                wire.write(verdict, wire.pack({"modules": sorted(set(sys.modules) - before)}, said))
            finally:
                os._exit(0)
        student.close()
        verdict.close()
        return {"pid": pid}

    def judge(self, trial: Trial, student: socket.socket) -> Said:
        student.settimeout(trial.block_limit)
        return try_test(trial, student, space=self.space, opening=self.imports)


def serve(descriptor: int) -> None:
    """Answer messages until the other end is closed."""
    control = socket.socket(fileno=descriptor)
    judge = _Judge(control)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave nothing to collect
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that started it ends it
    with suppress(EOFError, ConnectionError):
        while True:
            message, _ = wire.read(control)
            answer = judge.open(str(message["source"])) if message["do"] == "open" else judge.start(message)
            wire.write(control, wire.pack(answer, {}))


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # noqa: PTH109 - the assignment's own modules; last, so that they hide none
    serve(int(sys.argv[1]))
