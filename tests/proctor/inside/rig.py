"""The first process of a sandbox, real, without a sandbox around it; and the student's processes that it starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from proctor.inside import keeper, wire

MAIN = Path(keeper.__file__).with_name("main.py")
SITE = MAIN.parents[2]  # where notebooks find `descent`
PATIENCE = 60.0  # s after which a test fails instead of hanging

Answer = tuple[dict[str, Any], dict[str, Any]]


class End:
    """Our end of a socket to a process."""

    def __init__(self, sock: socket.socket, pid: int = 0) -> None:
        sock.settimeout(PATIENCE)
        self.sock, self.pid = sock, pid

    def ask(
        self, message: dict[str, Any], values: dict[str, Any] | None = None, *, descriptors: Sequence[int] = ()
    ) -> Answer:
        """Send a message and return the answer."""
        wire.send(self.sock, message, values or {})
        if descriptors:
            socket.send_fds(self.sock, [b"+"], list(descriptors))
        return wire.read(self.sock)


class Notebook(End):
    """A process of the student's."""

    def cell(self, source: str, label: str = "one") -> tuple[str, list[dict[str, Any]]]:
        """Run a cell; return how it ended and its outputs."""
        answer, values = self.ask({"do": "cell", "label": label, "source": source})
        return answer["ended"], values["outputs"]

    def says(self, source: str) -> str:
        """Run a cell that must end well; return what it prints and the value of its last line, as text."""
        ended, outputs = self.cell(source)
        texts = [each.get("text") or each.get("data", {}).get("text/plain") or str(each) for each in outputs]
        assert ended == "well", outputs
        return "".join(texts)

    def block(self, source: str, *wants: str, values: dict[str, Any] | None = None, **options: Any) -> Answer:
        """Run a block."""
        message = {"do": "block", "source": source, "wants": list(wants), "imports": [], "chance": 1, "shown": True}
        return self.ask(message | options, values)

    def copy(self) -> Notebook:
        """Leave a copy of the process behind and return it."""
        ours, theirs = socket.socketpair()
        answer, _ = self.ask({"do": "snapshot"}, descriptors=[theirs.fileno()])
        theirs.close()
        return Notebook(ours, answer.get("pid", 0))  # hostile code may have answered first


class Room(End):
    """The keeper."""

    def notebook(self) -> Notebook:
        """Start a process of the student's."""
        ours, theirs = socket.socketpair()
        answer, _ = self.ask({"do": "session"}, descriptors=[theirs.fileno()])
        theirs.close()
        return Notebook(ours, answer["pid"])

    def sweep(self, *keep: int) -> int:
        """Kill all of the student's processes but these; return how many."""
        return self.ask({"do": "sweep", "keep": list(keep)})[0]["killed"]


@contextmanager
def room(folder: Path, *modules: str) -> Iterator[Room]:
    """Start a keeper that has imported some modules; at the end, kill it and all that it started."""
    ours, theirs = socket.socketpair()
    quiet = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "PROCTOR_SITE": str(SITE)}
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", str(MAIN), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env={**own, **quiet},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()
    started = Room(ours, process.pid)
    try:
        missing = started.ask({"do": "prepare", "modules": list(modules), "ahead": []})[0]["missing"]
        assert missing == []
        yield started
    finally:
        _end(process)
        ours.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group at once, which the kernel lets no fork slip through, then what left the group."""
    with suppress(psutil.NoSuchProcess):
        keeper_process = psutil.Process(process.pid)
        keeper_process.suspend()
        known = keeper_process.children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        for each in known:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()
