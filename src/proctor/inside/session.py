"""A student's notebook as a process: runs its cells, and leaves copies of itself for the tests.

Messages and answers are frames of `wire`; only a block carries values:

    {"do": "cell", "label": ..., "source": ...}     run one cell
        -> {"ended": "well" | "error", "outputs": [...]}
    {"do": "snapshot"}, then a descriptor           fork a copy that serves this socket
        -> {"pid": ...} or {"why": "..."} where a fork would not be faithful
    {"do": "block", ...}, with values               see `blocks`

A copy is made at the place of each test and sleeps until all cells of the student's have run. So a test sees the
notebook as it was at its place, no test sees another, and nothing that a test shows can be printed by a cell.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from . import blocks, wire
from .shell import Shell, new_shell

__all__ = ["serve", "take_socket", "warm_up"]

THREADS = 17  # the place of num_threads behind the name in a `stat` of /proc, see proc(5)

_shell: list[Shell] = []  # made once, before any session is forked


def warm_up() -> None:
    """Make the shell that every session of this sandbox starts with."""
    if not _shell:
        _shell.append(new_shell())


def take_socket(channel: socket.socket) -> socket.socket:
    """Return the socket whose descriptor follows a message."""
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not descriptors:
        raise ConnectionError("no descriptor came")
    return socket.socket(fileno=descriptors[0])


def serve(channel: socket.socket, status: int) -> None:
    """Run what comes through the socket until its other end is closed.

    Args:
        channel: the socket.
        status: descriptor of this process's `stat` in /proc, which later may be closed to it; -1 without one.
    """
    warm_up()
    shell = _shell[0]
    shell.take_over()
    random.seed()  # not the keeper's state, which every session would share
    _Session(shell, channel, status).serve()


class _Session:
    """One process, one socket."""

    def __init__(self, shell: Shell, channel: socket.socket, status: int) -> None:
        self.shell, self.channel, self.status = shell, channel, status
        self.kept: blocks.Kept = {}

    def serve(self) -> None:
        with suppress(EOFError, ConnectionError):
            while True:
                message, values = wire.read(self.channel)
                if message["do"] == "snapshot":
                    self.fork()
                else:
                    wire.write(self.channel, self.answer(message, values))

    def answer(self, message: dict[str, Any], values: dict[str, Any]) -> wire.Frame:
        if message["do"] == "block":
            return blocks.run(self.shell.user_ns, message, values, self.kept)
        with suppress(KeyboardInterrupt), _Interruptible():
            self.shell.run(message["source"], message["label"])
        ended_well, outputs = self.shell.ending()
        ended = {"ended": "well" if ended_well else "error"}
        try:
            return wire.pack(ended, {"outputs": _plain(outputs)})
        except (wire.CannotCross, RecursionError):  # a display nests too deep; prints and errors never do
            flat = [each for each in outputs if each["output_type"] in ("stream", "error")]
            return wire.pack(ended, {"outputs": _plain(flat)})

    def fork(self) -> None:
        """Leave a copy of this process behind, or say why it would not be one."""
        channel = take_socket(self.channel)
        why = _unfaithful(self.status)
        try:
            pid = 0 if why else os.fork()
        except OSError as error:  # the student has started as many processes as there may be
            why, pid = str(error), 0
        if why or pid:
            channel.close()
            wire.write(self.channel, wire.pack({"why": why} if why else {"pid": pid}, {}))
            return
        gc.freeze()  # collecting what the notebook left would copy all its memory
        self.channel.close()
        self.channel = channel
        self.shell.take_over()


def _unfaithful(status: int) -> str:
    """Return what a fork of this process would lose; empty if it loses nothing, or nobody can say."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "CUDA is in use"
    if status < 0:
        return ""
    try:
        threads = int(os.pread(status, 4096, 0).rpartition(b")")[2].split()[THREADS])
    except (OSError, ValueError, IndexError):  # the student's code has closed it, or opened another in its place
        return "its threads cannot be counted"
    return f"{threads} threads are running" if threads > 1 else ""


class _Interruptible:
    """Lets Ctrl-C through while the student's code runs, and only then: a message must not be cut in two."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _plain(value: Any) -> Any:
    """Return outputs as plain data: what a display hands over may be of any type."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is dict:
        return {str(key): _plain(each) for key, each in value.items()}
    if kind in (list, tuple):
        return [_plain(each) for each in value]
    return str(value)
