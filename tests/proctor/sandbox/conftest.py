"""A small program for the sandbox: it runs the lines that it is sent and answers what they leave in `answer`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.sandbox import Caps, Place, Room, room, rung_here, rungs, tree

HELPERS = '''\
import ctypes, errno, json, os, resource, signal, socket, sys, tempfile, threading, time

def refused(do, *arguments, **options):
    """Return the name of the error with which the system refuses something, empty if it does not."""
    try:
        do(*arguments, **options)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""

def call(name, *arguments):
    """Call the C library; return the name of the error, empty if there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    return errno.errorcode[ctypes.get_errno()] if getattr(library, name)(*arguments) < 0 else ""

'''

PROGRAM = (
    HELPERS
    + '''
def child(do):
    """Run something in a process of its own, which keeps what it gets and sleeps."""
    pid = os.fork()
    if not pid:
        try:
            kept = do()
            while True:
                signal.pause()
        finally:
            os._exit(1)
    return pid

def fill(folder, size=1 << 20):
    """Write files of this size until the system refuses; return how many bytes there are, and the refusal."""
    for number in range(64):
        try:
            with open(f"{folder}/{number}", "wb") as file:
                file.write(b"x" * size)
        except OSError as error:
            full = sum(os.stat(f"{folder}/{each}").st_size for each in range(number + 1))
            return [full, errno.errorcode[error.errno]]

def serve():
    stream = socket.socket(fileno=int(sys.argv[1])).makefile("rw")
    for line in stream:
        names = dict(globals())
        try:
            exec(json.loads(line), names)
            answer = names.get("answer")
        except Exception as error:
            answer = repr(error)
        print(json.dumps(answer), file=stream, flush=True)

serve()
'''
)

FORMS = ("own user", "user namespace")
NOWHERE, CAPS = Place(), Caps()
Open = Callable[..., AbstractAsyncContextManager["Opened"]]

WHY_NOT = {each.name: each.why for each in rungs()}
needs_bubblewrap = pytest.mark.skipif(bool(WHY_NOT["bubblewrap"]), reason=f"not here: {WHY_NOT['bubblewrap']}")
needs_landlock = pytest.mark.skipif(bool(WHY_NOT["landlock"]), reason=f"not here: {WHY_NOT['landlock']}")


class Opened:
    """A room with the small program in it."""

    def __init__(self, opened: Room) -> None:
        self.room = opened
        opened.control.setblocking(False)

    async def ask(self, source: str) -> Any:
        """Run lines inside; return what they leave in `answer`."""
        loop, said = asyncio.get_running_loop(), b""
        async with asyncio.timeout(30):
            await loop.sock_sendall(self.room.control, json.dumps(source).encode() + b"\n")
            while not said.endswith(b"\n"):
                part = await loop.sock_recv(self.room.control, 65536)
                assert part, f"the program has ended: {self.room.last_words}"
                said += part
        return json.loads(said)

    async def look_until(self, reached: Callable[[], bool]) -> None:
        """Let the loop run until something is so."""
        async with asyncio.timeout(30):
            while not reached():
                await asyncio.sleep(0)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small program, alone in its folder."""
    path = tmp_path_factory.mktemp("program") / "main.py"
    path.write_text(PROGRAM, encoding="utf-8")
    path.parent.chmod(0o755)
    return path


@pytest.fixture
def enter(program: Path) -> Open:
    """Open a room."""

    @asynccontextmanager
    async def entered(place: Place = NOWHERE, caps: Caps = CAPS, *, rung: str = "bubblewrap") -> AsyncIterator[Opened]:
        async with room([sys.executable, "-I", "-B", str(program)], place, caps, rung=rung) as opened:
            yield Opened(opened)

    return entered


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two forms of the sandbox, where this machine can make it."""
    if request.param == "own user" and rung_here().form != "own user":
        pytest.skip("only root with all its powers can become another user")
    monkeypatch.setattr(tree, "form_for", lambda *_: request.param)
    return str(request.param)


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without control groups."""
    monkeypatch.setattr(tree.cgroup, "make", lambda **_: None)


@pytest.fixture
def below() -> Callable[[], list[psutil.Process]]:
    """Return all processes below this one."""
    return lambda: psutil.Process().children(recursive=True)
