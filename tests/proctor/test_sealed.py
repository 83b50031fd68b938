"""A notebook runs sealed: every test gets its own verdict against the notebook at its place, whatever students do.

Real processes, in the sandbox where there is one. What would harm the machine without a sandbox runs only in one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.errors import EngineError
from proctor.judge import Judge
from proctor.model import Outcome, Rebuilt, Run, Step
from proctor.rooms import furnished, open_room
from proctor.sandbox import Caps
from proctor.sealed import Limits, run, verdict_of_outputs

OPENING = "import os, signal\nfrom coursekit import seed, student"
SEED = 4321
QUICK = Limits(cell=1.0, total=60.0)
PATIENT = Limits(cell=30.0, total=120.0)

Runner = Callable[[Coroutine[Any, Any, Any]], Any]
Play = Callable[..., Run]


def written(source: str, name: str = "task") -> Step:
    """Return a cell in a place of the instructor's that the student fills."""
    return Step("solution", "code", source, source, name, name)


def added(source: str, number: int = 9) -> Step:
    return Step("added", "code", source, source, label=f"your cell {number}")


def given(source: str, name: str = "given") -> Step:
    return Step("given", "code", source, source, name, name)


def asked(source: str, name: str = "test", *, points: float = 2.0) -> Step:
    return Step("test", "code", source, source, name, name, points)


def calls(expression: str, expected: str, name: str = "test", says: str = "wrong") -> Step:
    """Return a sealed test that compares what an expression gives in the student's notebook."""
    return asked(f"with student:\n    got = {expression}\nassert got == {expected}, {says!r}", name)


async def _play(
    *steps: Step, rung: str, limits: Limits, caps: Caps, options: dict[str, Any], judged: bool, again: bool
) -> Run:
    rebuilt = Rebuilt("tiny", (given(OPENING, "opening"), *steps), opening=OPENING)
    async with (
        Judge.start(OPENING, seed=SEED) as judge,
        open_room(furnished([OPENING]), caps=caps, rung=rung) as (room, keeper),
    ):
        common = {"room": room, "keeper": keeper, "judge": judge if judged else None, "chance": "1/tiny"}
        seen = await run(rebuilt, limits=limits, **common, **options)
        if again:
            clean = await run(Rebuilt("next", (given(OPENING), calls("1", "1"))), limits=PATIENT, **common)
            assert [each.state for each in clean.outcomes] == ["passed"], "the room can be used by another notebook"
        assert psutil.Process(keeper_of(room)).is_running()
        return seen


def keeper_of(room: Any) -> int:
    return int(room._process.pid)


@pytest.fixture
def play(run: Runner, rung: str) -> Play:
    """Run the cells of a notebook, on each rung."""

    def go(
        *steps: Step,
        limits: Limits = PATIENT,
        caps: Caps = Caps(),
        judged: bool = True,
        again: bool = False,
        **options: Any,
    ) -> Run:
        return run(
            _play(*steps, rung=rung, limits=limits, caps=caps, options=options, judged=judged, again=again)
        )

    return go


@pytest.fixture
def held(play: Play, rung: str) -> Play:
    """Run the cells of a notebook that only a sandbox can hold."""
    if rung != "bubblewrap":
        pytest.skip("only a sandbox can hold it")
    return play


@pytest.fixture
def cheaply(run: Runner) -> Play:
    """Run the cells of a notebook on the rung that starts fastest."""
    return None


def states(seen: Run) -> dict[str, str]:
    return {outcome.cell: outcome.state for outcome in seen.outcomes}


def messages(seen: Run) -> dict[str, str]:
    return {outcome.cell: outcome.message for outcome in seen.outcomes}


def printed(seen: Run, index: int) -> str:
    return "".join(str(each.get("text", "")) for each in seen.outputs[index])
