"""A socket to another process, ours or the student's: one message there, one answer back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from proctor.inside import wire

__all__ = ["Channel", "Gone", "channel_pair"]


class Gone(Exception):  # noqa: N818 - says what has become of the other end
    """The other end is closed, or sends what is no message; the text is one clause."""


class Channel:
    """Our end of a socket. Only one question at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self.socket = sock
        self._thread = ThreadPoolExecutor(1)  # its own: in a shared pool those who wait for hung code keep others out
        self._open: asyncio.Future[tuple[dict[str, Any], dict[str, Any]]] | None = None

    async def ask(
        self, message: Mapping[str, Any], values: Mapping[str, Any] | None = None, *, descriptors: Sequence[int] = ()
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Send a message, with descriptors behind it if there are any, and return the answer.

        Cancelled, it leaves the question open: `answer` waits for it further.

        Raises:
            Gone: the other end was closed, or answered what is no message.
        """
        frame = wire.pack(dict(message), values or {})
        self._put(self._ask, frame, descriptors)
        return await self.answer()

    async def hear(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a message that comes unasked.

        Raises:
            Gone: as `ask`.
        """
        self._put(self._hear)
        return await self.answer()

    def _put(self, work: Callable[..., tuple[dict[str, Any], dict[str, Any]]], *arguments: Any) -> None:
        self._open = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        self._open.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, whoever waits

    async def answer(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Wait for the answer to the open question.

        Raises:
            Gone: as `ask`.
        """
        if self._open is None:
            raise AssertionError("no question is open")
        return await asyncio.shield(self._open)

    def _ask(self, frame: wire.Frame, descriptors: Sequence[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            wire.write(self.socket, frame)
            if descriptors:
                socket.send_fds(self.socket, [b"+"], list(descriptors))
        except OSError as error:
            raise Gone(f"the process cannot be reached ({error.strerror or type(error).__name__})") from None
        return self._hear()

    def _hear(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return wire.read(self.socket)
        except EOFError:
            raise Gone("the process has ended") from None
        except OSError as error:
            raise Gone(f"the process cannot be reached ({error.strerror or type(error).__name__})") from None
        except wire.WireError as error:
            raise Gone(f"the process sent no valid message: {error}") from None

    async def close(self) -> None:
        """Close the socket; a question that is still open ends."""
        with suppress(OSError):  # the other end may have been first
            self.socket.shutdown(socket.SHUT_RDWR)
        if self._open is not None:
            await asyncio.wait({self._open})
        self._thread.shutdown(wait=False)
        self.socket.close()


def channel_pair() -> tuple[Channel, socket.socket]:
    """Return a channel and the socket at its other end, which is to be handed to a process and closed here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), theirs
