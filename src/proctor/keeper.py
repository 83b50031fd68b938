"""The processes in a sandbox, from outside: the keeper, which starts and ends them, and sessions of notebooks."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from proctor.channel import Channel, Gone, channel_pair
from proctor.errors import EngineError

__all__ = ["ANSWER", "Ending", "Keeper", "Session"]

GRACE = 2.0  # s for an interrupted cell to end by itself
SOON = 0.01  # s between two looks for what must happen at once
LOOK = 1.0  # s between two looks whether a process is still there
ANSWER = 30.0  # s for the keeper, which only forks and signals, and may have to import nothing any more
IMPORTS = 180.0  # s for the keeper's imports from a cold disk

Ending = Literal["well", "error", "late", "stuck"]  # stuck: it does not answer even when interrupted


class Keeper:
    """The first process of a sandbox, from outside."""

    def __init__(self, control: Channel) -> None:
        self._control = control
        self._turn = asyncio.Lock()

    async def prepare(self, modules: Collection[str], *, ahead: Collection[str] = ()) -> tuple[str, ...]:
        """Import modules once, for all sessions; return those that failed, with the reason.

        Those of `ahead` are imported too if they are there, and not missed if they are not.
        """
        message = {"do": "prepare", "modules": list(modules), "ahead": list(ahead)}
        answer = await self._ask(message, limit=IMPORTS)
        return tuple(map(str, answer["missing"]))

    async def session(self) -> Session:
        """Start a process for a notebook."""
        ours, theirs = channel_pair()
        try:
            answer = await self._ask({"do": "session"}, descriptors=(theirs.fileno(),))
        finally:
            theirs.close()
        return Session(ours, answer["pid"])

    async def interrupt(self, pid: int) -> None:
        """Send what Ctrl-C sends."""
        await self._ask({"do": "signal", "pid": pid, "signal": int(signal.SIGINT)})

    async def sweep(self, keep: Collection[int] = ()) -> None:
        """Kill all processes of the student's but these."""
        await self._ask({"do": "sweep", "keep": list(keep)})

    async def ending(self, pid: int) -> str:
        """Return how a session ended, as a clause; empty if nothing is known.

        The kernel closes the sockets of a process before its parent can collect it, so it may have to be waited for.
        """
        status = None
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                status = await self._status(pid)
        if status is None or status & 0x7F == 0:
            return ""
        with suppress(ValueError):
            return f"by {signal.Signals(status & 0x7F).name}"
        return ""

    async def _status(self, pid: int) -> int:
        """Wait until a session has ended, and return its status as of `waitpid`."""
        while (status := (await self._ask({"do": "ending", "pid": pid}))["status"]) is None:
            await asyncio.sleep(SOON)
        return int(status)

    @asynccontextmanager
    async def watching(self, session: Session) -> AsyncIterator[None]:
        """Close a session's socket when its process is gone: what it started may hold the other end open."""

        async def watch() -> None:
            await asyncio.sleep(LOOK)
            while (await self._ask({"do": "ending", "pid": session.pid}))["status"] is None:
                await asyncio.sleep(LOOK)
            with suppress(OSError):
                session.channel.socket.shutdown(socket.SHUT_RDWR)

        watcher = asyncio.create_task(watch())
        try:
            yield
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError, EngineError):  # whoever waits for the session meets that fault too
                await watcher

    async def _ask(
        self, message: Mapping[str, Any], *, descriptors: tuple[int, ...] = (), limit: float = ANSWER
    ) -> dict[str, Any]:
        try:
            async with self._turn, asyncio.timeout(limit):
                answer, _ = await self._control.ask(message, descriptors=descriptors)
                return answer
        except (Gone, TimeoutError) as error:
            raise EngineError(
                f"the sandbox does not answer ({str(error) or f'{limit:.0f} s'})",
                where=str(message["do"]),
                todo="grade again",
            ) from error


@dataclass
class Session:
    """A student's process: a notebook, or a copy of one at the place of a test."""

    channel: Channel
    pid: int

    def is_alive(self) -> bool:
        """Return whether the process waits for a question."""
        try:
            self.channel.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # closed, or it talks unasked

    async def run_cell(
        self, keeper: Keeper, label: str, source: str, *, limit: float
    ) -> tuple[Ending, tuple[Mapping[str, Any], ...]]:
        """Run a cell and return how it ended, with its outputs; at the limit it is interrupted.

        Raises:
            Gone: it ended the process.
        """
        late = False
        message = {"do": "cell", "label": label, "source": source}
        try:
            async with asyncio.timeout(limit), keeper.watching(self):
                answer, values = await self.channel.ask(message)
        except TimeoutError:
            late = True
            await keeper.interrupt(self.pid)
        if late:
            try:
                async with asyncio.timeout(GRACE):
                    answer, values = await self.channel.answer()
            except TimeoutError:
                return "stuck", ()
        ended: Ending = "late" if late else "well" if answer.get("ended") == "well" else "error"
        return ended, _outputs(values.get("outputs"))


def _outputs(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the outputs of a cell; what is none is left out, since the student's process sends them."""
    return tuple(each for each in value if type(each) is dict) if type(value) is list else ()
