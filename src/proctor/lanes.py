"""Several pieces of work side by side, with a progress line that names the oldest one running.

Everything runs in one event loop: an interrupt or an error cancels what is still running, and each piece ends its own
processes in its `finally`, so none stays behind.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

__all__ = ["Progress", "side_by_side"]

Result = TypeVar("Result")

REFRESH = 1.0  # s between two progress lines


@dataclass
class Progress:
    """A line on stderr that is written over itself; nothing at all where there is no terminal."""

    total: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    running: dict[str, float] = field(default_factory=dict)  # name -> when it started, in order of start
    began: float | None = None  # when the first one started

    @property
    def line(self) -> str:
        """Such as `[18/42] oldest: demo-alan, 41 s; about 4 min left`."""
        counted = f"[{self.done}/{self.total}]"
        if not self.running:
            return counted
        name, started = next(iter(self.running.items()))
        return f"{counted} oldest: {name}, {self.clock() - started:.0f} s{self._estimate()}"

    def _estimate(self) -> str:
        """Return how long the rest takes if it goes on as before; nothing until something is done."""
        if not self.done or self.began is None:
            return ""
        left = (self.clock() - self.began) / self.done * (self.total - self.done)
        return f"; about {left:.0f} s left" if left < 100 else f"; about {left / 60:.0f} min left"

    def show(self) -> None:
        """Write the line over the last one."""
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[K{self.line}")
            self.stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[K")
            self.stream.flush()


async def side_by_side(
    work: Mapping[str, Callable[[], Awaitable[Result]]], *, jobs: int, progress: Progress | None = None
) -> dict[str, Result]:
    """Run all pieces, at most `jobs` at once, and return their results in the order given.

    The first error cancels what is still running and is raised as it is.
    """
    gate = asyncio.Semaphore(jobs)
    watch = progress or Progress(len(work))

    async def run_one(name: str, call: Callable[[], Awaitable[Result]]) -> Result:
        async with gate:
            watch.running[name] = watch.clock()
            watch.began = watch.running[name] if watch.began is None else watch.began
            try:
                return await call()
            finally:
                del watch.running[name]
                watch.done += 1

    ticker = asyncio.create_task(_tick(watch))
    tasks = [asyncio.create_task(run_one(name, call)) for name, call in work.items()]
    try:
        return dict(zip(work, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in (ticker, *tasks):
            if not task.cancelling():  # a second time would cut short how it ends its processes
                task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(ticker, *tasks, return_exceptions=True)
        watch.clear()


async def _tick(watch: Progress) -> None:
    while True:
        watch.show()
        await asyncio.sleep(REFRESH)
