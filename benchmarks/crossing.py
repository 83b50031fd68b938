"""Send 64 MB there and back between two processes: as bare bytes, and as a tensor through the wire.

Run it by `make bench-crossing`.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import torch
from machine import machine

from proctor.inside import wire

RESULT = Path(__file__).resolve().parent / "results" / "crossing.json"
SIZE = 64 * 10**6  # bytes
ROUNDS = 7


def main() -> None:
    """Measure, print, write the result."""
    tensor = torch.randn(SIZE // 4)
    raw = tensor.numpy().tobytes()
    bare = with_echo(echo_bytes, lambda sock: (sock.sendall(raw), read_exactly(sock, SIZE)))
    crossing = with_echo(echo_tensor, lambda sock: (wire.send(sock, {}, {"x": tensor}), wire.read(sock)))
    result = {
        "what": f"{SIZE // 10**6} MB there and back between two processes, best of {ROUNDS}",
        "command": "make bench-crossing",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "seconds": {"bare bytes": round(bare, 3), "a tensor": round(crossing, 3)},
        "ratio_to_bare_bytes": round(crossing / bare, 2),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['what']}: bare bytes {bare:.3f} s, a tensor {crossing:.3f} s ({crossing / bare:.2f} times)")


def with_echo(echo: Callable[[socket.socket], None], there_and_back: Callable[[socket.socket], object]) -> float:
    """Return the shortest time of an exchange with a process that sends back what it gets."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        with suppress(EOFError):
            while True:
                echo(theirs)
        os._exit(0)
    theirs.close()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        there_and_back(ours)
        times.append(time.perf_counter() - began)
    ours.close()
    os.waitpid(pid, 0)
    return min(times)


def echo_bytes(sock: socket.socket) -> None:
    """Send back what came, as bytes."""
    sock.sendall(read_exactly(sock, SIZE))


def echo_tensor(sock: socket.socket) -> None:
    """Send back what came, as values."""
    _, values = wire.read(sock)
    wire.send(sock, {}, values)


def read_exactly(sock: socket.socket, size: int) -> bytearray:
    """Return so many bytes; raise EOFError if the other end is closed before."""
    data = bytearray(size)
    view = memoryview(data)
    while view.nbytes:
        got = sock.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


if __name__ == "__main__":
    main()
