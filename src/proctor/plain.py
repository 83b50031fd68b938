"""A notebook run in one process, as Validate runs it: tests beside the student's code, nothing sealed.

For an author's own answers, whose sealed and plain verdicts must agree; never for a student's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

from proctor.channel import Gone
from proctor.judge import Said
from proctor.keeper import Keeper
from proctor.model import Outcome
from proctor.released import is_test
from proctor.sealed import LIMITS, Limits, verdict_of_outputs

__all__ = ["run", "test_cells"]

GONE = "the notebook's process was gone before this cell could run"


def test_cells(notebook: NotebookNode) -> Mapping[str, NotebookNode]:
    """Return the test cells of a notebook by name, in order."""
    return {_marks(cell)["grade_id"]: cell for cell in notebook.cells if is_test(cell)}


async def run(notebook: NotebookNode, *, keeper: Keeper, limits: Limits = LIMITS) -> tuple[Outcome, ...]:
    """Run all code cells in order and return the outcome of each test cell.

    Raises:
        EngineError: the sandbox failed.
    """
    deadline = time.monotonic() + limits.total
    session = await keeper.session()
    tests = {id(cell): name for name, cell in test_cells(notebook).items()}
    outcomes: list[Outcome] = []
    usable = True
    try:
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            said = Said("not judged", GONE)
            if usable:
                limit = max(min(limits.cell, deadline - time.monotonic()), 0.1)
                said, usable = await _run_cell(session, keeper, cell, limit=limit)
            if id(cell) in tests:
                outcomes.append(_named(said, tests[id(cell)], float(_marks(cell)["points"])))
    finally:
        await session.channel.close()
        await keeper.sweep()
    return tuple(outcomes)


async def _run_cell(session: Any, keeper: Keeper, cell: NotebookNode, *, limit: float) -> tuple[Said, bool]:
    """Return what the cell said, and whether the process can still be used."""
    name = str(_marks(cell).get("grade_id", "cell"))
    try:
        ended, outputs = await session.run_cell(keeper, name, cell.source, limit=limit)
    except Gone:
        return Said("crashed", "the notebook's process ended while this cell ran"), False
    if ended in ("late", "stuck"):
        return Said("timed out", f"ran past {limit:.0f} s and was stopped"), ended == "late"
    said = verdict_of_outputs(ended, outputs)
    if said.share is not None:
        why = "the test cell ends in a value, which nbgrader takes for points: assign it to a name"
        return Said("failed", why), True
    return said, True


def _named(said: Said, name: str, most: float) -> Outcome:
    return Outcome(name, said.state, most if said.state == "passed" else 0.0, most, said.message)


def _marks(cell: NotebookNode) -> Any:
    return cell.metadata.get("nbgrader", {})
