"""Work runs side by side within its limit, ends together, and its progress names the oldest piece."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proctor.lanes import Progress, side_by_side

Run = Callable[[Awaitable[Any]], Any]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_results_come_in_the_order_given(run: Run) -> None:
    second_ended = asyncio.Event()

    async def first() -> str:
        await second_ended.wait()
        return "a"

    async def second() -> str:
        second_ended.set()
        return "b"

    assert run(side_by_side({"first": first, "second": second}, jobs=2)) == {"first": "a", "second": "b"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_pieces_run_at_once_than_allowed(run: Run, jobs: int) -> None:
    running, most = 0, 0

    async def piece() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):  # let the others go on
            await asyncio.sleep(0)
        running -= 1

    run(side_by_side({str(number): piece for number in range(8)}, jobs=jobs))
    assert most == jobs


def test_an_error_ends_the_others_and_is_raised_as_it_is(run: Run) -> None:
    ended = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError("as it is")

    with pytest.raises(LookupError, match="as it is"):
        run(side_by_side({"endless": endless, "failing": failing}, jobs=2))
    assert ended == ["endless"]


def test_an_interrupt_lets_every_piece_clean_up_to_its_end(run: Run) -> None:
    """Also while others, which wait for their turn, are gone at once."""
    started, ended = asyncio.Event(), []

    async def piece() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):  # as a process that takes a moment to end
                await asyncio.sleep(0)
            ended.append("cleaned up")

    async def interrupt() -> None:
        task = asyncio.create_task(side_by_side({"first": piece, "second": piece}, jobs=1))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(interrupt())
    assert ended == ["cleaned up"]


def test_progress_names_the_oldest_piece() -> None:
    progress = Progress(42, stream=Terminal(), clock=lambda: 50.0, done=18, running={"turing": 9.0, "ada": 40.0})
    assert progress.line == "[18/42] oldest: turing, 41 s"
    progress.show()
    assert progress.line in progress.stream.getvalue()


@pytest.mark.parametrize(
    ("done", "estimate"),
    [(0, ""), (1, "; about 90 s left"), (5, "; about 10 s left"), (10, "; about 0 s left")],
)
def test_progress_tells_how_long_the_rest_will_take(done: int, estimate: str) -> None:
    """As long for each as until now: ten seconds' work for the ones that are done."""
    progress = Progress(10, stream=Terminal(), clock=lambda: 10.0, done=done, running={"ada": 7.0}, began=0.0)
    assert progress.line == f"[{done}/10] oldest: ada, 3 s{estimate}"


def test_a_long_rest_is_told_in_minutes() -> None:
    progress = Progress(31, stream=Terminal(), clock=lambda: 100.0, done=1, running={"ada": 100.0}, began=40.0)
    assert progress.line == "[1/31] oldest: ada, 0 s; about 30 min left"


def test_the_first_piece_starts_the_clock(run: Run) -> None:
    progress = Progress(2, stream=Terminal(), clock=iter(range(100)).__next__)

    async def piece() -> None:
        await asyncio.sleep(0)

    run(side_by_side({"ada": piece, "bob": piece}, jobs=1, progress=progress))
    assert progress.began is not None
    assert (progress.done, progress.running, progress.line) == (2, {}, "[2/2]")


def test_progress_is_taken_away_at_the_end(run: Run) -> None:
    stream = Terminal()

    async def piece() -> None:
        await asyncio.sleep(0)

    run(side_by_side({"ada": piece}, jobs=1, progress=Progress(1, stream=stream)))
    assert "[0/1]" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_there_is_no_progress_where_there_is_no_terminal(run: Run) -> None:
    stream = io.StringIO()

    async def piece() -> None:
        await asyncio.sleep(0)

    run(side_by_side({"ada": piece}, jobs=1, progress=Progress(1, stream=stream)))
    assert stream.getvalue() == ""
