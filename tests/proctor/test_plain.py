"""A notebook runs in a real kernel; every test cell gets its own outcome, and no kernel stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from proctor.model import Outcome
from proctor.plain import Limits
from proctor.plain import run as run_notebook

Gone = Callable[[int], bool]
Run = Callable[[Awaitable[Any]], Any]
QUICK = Limits(cell=2.0, total=60.0)


def given(source: str) -> NotebookNode:
    return new_code_cell(source)


def graded(name: str, source: str, *, points: float = 2.0) -> NotebookNode:
    marks = {"grade": True, "solution": False, "locked": True, "grade_id": name, "points": points, "schema_version": 3}
    return new_code_cell(source, metadata={"nbgrader": marks})


def outcomes(run: Run, *cells: NotebookNode, seed: int = 0, limits: Limits = QUICK) -> dict[str, Outcome]:
    seen = run(run_notebook(new_notebook(cells=list(cells)), seed=seed, limits=limits))
    return {outcome.cell: outcome for outcome in seen}


def test_each_test_cell_gets_its_own_outcome(run: Run) -> None:
    seen = outcomes(
        run,
        given("import os, sys\nx = 1"),
        graded("right", "assert x == 1"),
        graded("wrong", "assert x == 2, 'x is 1,\\nexpected 2'", points=3.0),
        graded("silent", "assert x == 2"),
        graded("missing", "y"),
        graded("coloured", "raise ValueError('\\x1b[31mred\\x1b[0m')"),
        graded("warned", "print('a warning', file=sys.stderr)"),
        graded("valued", "x"),
        graded("seeded", "assert os.environ['DESCENT_SEED'] == '123'"),
        graded("endless", "while True: pass"),
        graded("after", "assert x == 1"),
        seed=123,
    )
    assert list(seen) == [
        "right", "wrong", "silent", "missing", "coloured", "warned", "valued", "seeded", "endless", "after",
    ]  # fmt: skip
    assert seen["right"] == Outcome("right", "passed", 2.0, 2.0)
    assert seen["wrong"] == Outcome("wrong", "failed", 0.0, 3.0, "x is 1,\nexpected 2")
    assert seen["silent"].message == "AssertionError: "
    assert seen["missing"].message == "NameError: name 'y' is not defined"
    assert seen["coloured"].message == "ValueError: red"
    assert seen["warned"].state == "passed", "stderr never costs points"
    assert "assign it to a name" in seen["valued"].message
    assert seen["seeded"].state == "passed"
    assert seen["endless"] == Outcome("endless", "timed out", 0.0, 2.0, "ran past 2 s and was stopped")
    assert seen["after"].state == "passed", "an endless cell does not end the rest"


def test_a_dying_kernel_crashes_its_cell_and_no_other(run: Run) -> None:
    seen = outcomes(run, graded("before", "pass"), graded("dying", "import os; os._exit(1)"), graded("after", "pass"))
    assert [outcome.state for outcome in seen.values()] == ["passed", "crashed", "not judged"]
    assert "kernel died" in seen["dying"].message


def test_a_cell_that_ignores_the_interrupt_is_killed(run: Run, tmp_path: Path, gone: Gone) -> None:
    stubborn = f"""
import os, pathlib, signal
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""
    seen = outcomes(run, graded("stubborn", stubborn), graded("after", "pass"), limits=Limits(cell=1.0, total=60.0))
    assert [outcome.state for outcome in seen.values()] == ["timed out", "not judged"]
    assert gone(int((tmp_path / "pid").read_text()))


def test_the_whole_notebook_has_a_deadline_too(run: Run) -> None:
    cells = [graded(f"slow-{number}", "while True: pass") for number in range(9)]
    seen = outcomes(run, *cells, limits=Limits(cell=1.0, total=3.5))
    states = [outcome.state for outcome in seen.values()]
    assert states[0] == "timed out"
    assert states[-1] == "not judged"


def test_cancelling_kills_the_kernel(run: Run, tmp_path: Path, gone: Gone) -> None:
    started = tmp_path / "pid"
    cell = graded("endless", f"import os\nopen({str(started)!r}, 'w').write(str(os.getpid()))\nwhile True: pass")

    async def cancel_when_running() -> None:
        task = asyncio.create_task(run_notebook(new_notebook(cells=[cell]), seed=0))
        while not task.done() and not (started.exists() and started.read_text()):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel_when_running())
    assert gone(int(started.read_text()))


def test_the_notebook_itself_is_not_changed(run: Run) -> None:
    notebook = new_notebook(cells=[graded("wrong", "assert False, 'no'")])
    run(run_notebook(notebook, seed=0, limits=QUICK))
    assert notebook.cells[0].outputs == []
