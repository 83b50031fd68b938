"""A notebook runs in one process of a keeper's; every test cell gets its own outcome, and no process stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from proctor.keeper import Keeper
from proctor.model import Outcome
from proctor.plain import run as run_notebook
from proctor.plain import test_cells as cells_with_tests
from proctor.rooms import Furniture, open_room
from proctor.sandbox import Caps
from proctor.sealed import Limits

Gone = Callable[[int], bool]
Run = Callable[[Awaitable[Any]], Any]
QUICK = Limits(cell=1.0, total=60.0)


def given(source: str) -> NotebookNode:
    return new_code_cell(source)


def graded(name: str, source: str, *, points: float = 2.0) -> NotebookNode:
    marks = {"grade": True, "solution": False, "locked": True, "grade_id": name, "points": points, "schema_version": 3}
    return new_code_cell(source, metadata={"nbgrader": marks})


@asynccontextmanager
async def opened(rung: str = "trusted") -> AsyncIterator[Keeper]:
    furniture = Furniture(environment={"DESCENT_SEED": "123"})
    async with open_room(furniture, caps=Caps(), rung=rung) as (_, keeper):
        yield keeper


def outcomes(run: Run, *cells: NotebookNode, rung: str = "trusted", limits: Limits = QUICK) -> dict[str, Outcome]:
    async def go() -> tuple[Outcome, ...]:
        async with opened(rung) as keeper:
            return await run_notebook(new_notebook(cells=list(cells)), keeper=keeper, limits=limits)

    return {outcome.cell: outcome for outcome in run(go())}


def test_each_test_cell_gets_its_own_outcome(run: Run, rung: str) -> None:
    seen = outcomes(
        run,
        given("import os, sys\nx = 1"),
        graded("right", "assert x == 1"),
        graded("wrong", "assert x == 2, 'x is 1,\\nexpected 2'", points=3.0),
        graded("silent", "assert x == 2"),
        graded("missing", "y"),
        graded("exiting", "exit()"),
        graded("warned", "print('a warning', file=sys.stderr)"),
        graded("valued", "x"),
        graded("seeded", "assert os.environ['DESCENT_SEED'] == '123'"),
        graded("endless", "while True: pass"),
        graded("after", "assert x == 1"),
        rung=rung,
    )
    assert list(seen) == [
        "right", "wrong", "silent", "missing", "exiting", "warned", "valued", "seeded", "endless", "after",
    ]  # fmt: skip
    assert seen["right"] == Outcome("right", "passed", 2.0, 2.0)
    assert seen["wrong"] == Outcome("wrong", "failed", 0.0, 3.0, "x is 1,\nexpected 2")
    assert seen["silent"].message == "AssertionError: "
    assert seen["missing"].message == "NameError: name 'y' is not defined"
    assert (seen["exiting"].state, seen["exiting"].message) == ("failed", "SystemExit: ")
    assert seen["warned"].state == "passed", "stderr never costs points"
    assert "assign it to a name" in seen["valued"].message
    assert seen["seeded"].state == "passed"
    assert seen["endless"] == Outcome("endless", "timed out", 0.0, 2.0, "ran past 1 s and was stopped")
    assert seen["after"].state == "passed", "an endless cell does not end the rest"


def test_a_dying_process_crashes_its_cell_and_no_other(run: Run) -> None:
    seen = outcomes(run, graded("before", "pass"), graded("dying", "import os; os._exit(1)"), graded("after", "pass"))
    assert [outcome.state for outcome in seen.values()] == ["passed", "crashed", "not judged"]
    assert seen["dying"].message == "the notebook's process ended while this cell ran"
    assert seen["after"].message == "the notebook's process was gone before this cell could run"


def test_a_cell_that_ignores_the_interrupt_is_killed(run: Run, tmp_path: Path, gone: Gone) -> None:
    stubborn = f"""
import os, pathlib, signal
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""

    async def go() -> tuple[Outcome, ...]:
        async with opened() as keeper:
            cells = [graded("stubborn", stubborn), graded("after", "pass")]
            seen = await run_notebook(new_notebook(cells=cells), keeper=keeper, limits=QUICK)
            assert gone(int((tmp_path / "pid").read_text())), "before the next notebook starts"
            return seen

    assert [outcome.state for outcome in run(go())] == ["timed out", "not judged"]


def test_the_whole_notebook_has_a_deadline_too(run: Run) -> None:
    cells = [graded(f"slow-{number}", "while True: pass") for number in range(3)]
    seen = outcomes(run, *cells, limits=Limits(cell=1.0, total=1.2))
    says = [outcome.message for outcome in seen.values()]
    assert says == ["ran past 1 s and was stopped", *2 * ["ran past 0 s and was stopped"]]


def test_cancelling_kills_the_process(run: Run, tmp_path: Path, gone: Gone) -> None:
    started = tmp_path / "pid"
    cell = graded("endless", f"import os\nopen({str(started)!r}, 'w').write(str(os.getpid()))\nwhile True: pass")

    async def cancel_when_running() -> None:
        async with opened() as keeper:
            task = asyncio.create_task(run_notebook(new_notebook(cells=[cell]), keeper=keeper))
            while not task.done() and not (started.exists() and started.read_text()):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gone(int(started.read_text()))

    run(cancel_when_running())


def test_the_notebook_itself_is_not_changed(run: Run) -> None:
    notebook = new_notebook(cells=[graded("wrong", "assert False, 'no'")])

    async def go() -> None:
        async with opened() as keeper:
            await run_notebook(notebook, keeper=keeper, limits=QUICK)

    run(go())
    assert notebook.cells[0].outputs == []


def test_one_keeper_serves_notebook_after_notebook(run: Run) -> None:
    """As for the rows of `answers.md`: what one leaves behind, the next does not see."""

    async def go() -> list[str]:
        async with opened() as keeper:
            books = [new_notebook(cells=[given(source), graded("a", "assert x == 1")]) for source in ("x = 1", "")]
            return [(await run_notebook(book, keeper=keeper))[0].message for book in books]

    assert run(go()) == ["", "NameError: name 'x' is not defined"]


def test_graded_code_that_is_no_solution_is_a_test() -> None:
    answer = graded("task", "x = 1")
    answer.metadata["nbgrader"]["solution"] = True
    notebook = new_notebook(cells=[given("x = 1"), graded("b", "pass"), answer, graded("a", "pass")])
    assert list(cells_with_tests(notebook)) == ["b", "a"]
