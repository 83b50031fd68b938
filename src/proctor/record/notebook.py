"""The autograded notebook: what the formgrader shows, what feedback is made of, what nbgrader takes grades from.

It is built of what may be shown (`Step.shown`), never of what ran. So nothing in `autograded/`, and nothing that is
made of it, holds a hidden test; stock nbgrader writes the hidden tests there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from proctor.author.notebook import METADATA
from proctor.model import Outcome, Rebuilt, Run, Step
from proctor.record.markdown import LIMIT, clean_markdown
from proctor.record.sanitize import CELL_LIMIT, clean_outputs, size
from proctor.record.text import clean_text, cut

__all__ = ["NOTEBOOK_LIMIT", "autograded_notebook", "earned"]

NOTEBOOK_LIMIT = 8 << 20  # bytes of all outputs; a page of feedback beyond it takes a browser long to open
MARKDOWN_LIMIT = 256 << 10  # bytes of all Markdown of the student's
MESSAGE_LIMIT = 16 << 10  # bytes of a test's message
STUDENTS = ("solution", "written", "added")  # roles whose source is the student's
ENDINGS = {"failed": "Failed", "crashed": "Crashed", "timed out": "Timed out", "not judged": "Not judged"}
NO_OUTCOME = "this test was not judged; a person decides"
MAKERS: Mapping[str, Callable[..., NotebookNode]] = {
    "code": new_code_cell,
    "markdown": new_markdown_cell,
    "raw": new_raw_cell,
}
VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def autograded_notebook(rebuilt: Rebuilt, run: Run | None, *, checksums: Mapping[str, str]) -> NotebookNode:
    """Return the notebook as nbgrader would have autograded it, hidden parts left out.

    A test's outputs are what its visible blocks printed, and its verdict, written so that nbgrader's own
    `determine_grade` reads exactly the points that it earned. All other outputs and texts of the student are cleaned.

    Args:
        rebuilt: the cells, in order.
        run: how they ran; None if they did not, and then no test is judged.
        checksums: of the released cells by name, as the gradebook has them: nbgrader compares them with an answer to
            see that none was given.
    """
    outcomes = {outcome.cell: outcome for outcome in run.outcomes} if run else {}
    ids, left, words, cells = _ids(rebuilt.steps), NOTEBOOK_LIMIT, MARKDOWN_LIMIT, []
    for index, step in enumerate(rebuilt.steps):
        cell = _cell(step, checksums.get(step.name), limit=min(LIMIT, words))
        cell["id"] = ids[index]
        if step.role in STUDENTS and cell.cell_type == "markdown":
            words = max(0, words - len(cell.source.encode()))
        if step.kind == "code" and run is not None:
            outputs = clean_outputs(run.outputs.get(index, ()), cap=min(CELL_LIMIT, left))
            left = max(0, left - sum(map(size, outputs)))
            cell["outputs"] = [_node(output) for output in outputs]
        if step.role == "test":
            printed = [output for output in cell["outputs"] if output.get("name") == "stdout"]
            cell["outputs"] = [*printed, *_verdict(step, outcomes.get(step.name))]
        cells.append(cell)
    notebook: NotebookNode = new_notebook(cells=cells, metadata=METADATA)  # type: ignore[no-untyped-call]  # untyped
    return notebook


def earned(outcome: Outcome, most: float) -> float:
    """Return the points of a test within what it can earn; what is not a number earns nothing."""
    return 0.0 if math.isnan(outcome.points) else min(max(float(outcome.points), 0.0), most)


def _cell(step: Step, checksum: str | None, *, limit: int) -> NotebookNode:
    source = clean_text(step.shown) if step.role in STUDENTS else step.shown
    cell = MAKERS[_kind(step)](source, metadata=_metadata(step, checksum))
    if step.role in STUDENTS and cell.cell_type == "markdown" and not _is_unanswered(cell, checksum):
        cell.source = clean_markdown(source, limit=limit)
    return cell


def _kind(step: Step) -> str:
    """Return the cell's kind; a raw cell of the student's becomes Markdown, because nbconvert takes it for HTML."""
    return "markdown" if step.role == "added" and step.kind == "raw" else step.kind


def _metadata(step: Step, checksum: str | None) -> dict[str, Any]:
    if not step.marks:
        return {}
    marks = dict(step.marks) | ({"checksum": checksum} if checksum else {})
    return {"nbgrader": marks}


def _is_unanswered(cell: NotebookNode, checksum: str | None) -> bool:
    """Return whether the answer is the released text: that is the instructor's, and stays as nbgrader knows it."""
    from nbgrader.utils import compute_checksum

    return checksum is not None and "nbgrader" in cell.metadata and compute_checksum(cell) == checksum


def _ids(steps: Iterable[Step]) -> list[str]:
    """Return an id for each cell: its name, or its place where a name cannot be an id."""
    ids: list[str] = []
    for index, step in enumerate(steps):
        is_usable = VALID_ID.fullmatch(step.name) and not step.name.startswith("step--") and step.name not in ids
        ids.append(step.name if is_usable else f"step--{index}")
    return ids


def _verdict(step: Step, outcome: Outcome | None) -> list[NotebookNode]:
    """Return outputs that say what the test said, and from which nbgrader reads its points.

    nbgrader gives all points where there is no output, none where there is an error, and what a result says otherwise.
    """
    if outcome is None or outcome.state == "not judged":
        return [_failure(step, "Not judged", outcome.message if outcome else NO_OUTCOME)]
    most = float(step.marks.get("points", step.points))
    points = earned(outcome, most)
    if outcome.state == "passed" and points == most:
        return []
    if points == 0:
        return [_failure(step, ENDINGS.get(outcome.state, "Failed"), outcome.message)]
    said = f"test '{step.name}': {points:g} of {most:g} points\n{_message(outcome.message)}".rstrip()
    return [
        _output("stream", name="stdout", text=f"{said}\n"),
        _output("execute_result", data={"text/plain": repr(points)}, metadata={}, execution_count=None),
    ]


def _failure(step: Step, ending: str, message: str) -> NotebookNode:
    said = _message(message) or ending.lower()
    lines = f"{ending}\ntest '{step.name}': {said}".split("\n")
    return _output("error", ename=ending, evalue=said, traceback=lines)


def _output(kind: str, **fields: Any) -> NotebookNode:
    return _node({"output_type": kind, **fields})


def _node(output: Mapping[str, Any]) -> NotebookNode:
    return NotebookNode(output)  # type: ignore[no-untyped-call]  # nbformat is untyped


def _message(text: str) -> str:
    return cut(clean_text(text).strip(), MESSAGE_LIMIT)
