"""The instructor's notebook as a row of places: what runs at each, and what students received of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from proctor.author.student_view import open_question, open_task_stub
from proctor.model import Cell, Step

__all__ = ["Place", "is_test", "places", "plain"]

Role = Literal["text", "given", "solution", "test", "written", "task"]
Kind = Literal["code", "markdown", "raw"]
SCHEMA = 3  # of nbgrader's metadata
FLAGS = ("grade", "solution", "locked", "task")
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # nbgrader's, as is the next
TEXT_STUB = "YOUR ANSWER HERE"


@dataclass(frozen=True)
class Place:
    """One cell of the instructor's."""

    role: Role
    kind: Kind
    runs: str  # what runs unless the student fills the place: a test with its hidden parts, a task that stands open
    shown: str  # what students received
    label: str
    name: str = ""  # the nbgrader id, which the student's cell claims too; empty for unmarked cells
    points: float = 0.0
    marks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether the student fills the place."""
        return self.role in ("solution", "written")

    @property
    def is_unmarked_code(self) -> bool:
        """Whether the place is code that nbgrader does not know, which students may edit and delete."""
        return self.role == "given" and not self.marks

    def step(self, answer: str | None = None) -> Step:
        """Return the step at this place, with the student's answer if there is one."""
        runs, shown = (self.runs, self.shown) if answer is None else (answer, answer)
        name = "" if self.role == "text" else self.name
        return Step(self.role, self.kind, runs, shown, name, self.label, self.points, self.marks)


def places(notebook: Mapping[str, Any]) -> tuple[Place, ...]:
    """Return the places of the instructor's notebook, in order.

    The metadata of nbgrader may be of any version: what they share is read, and written as version 3. The regions are
    those that nbgrader cuts unless it is told to look for other words.
    """
    cells = notebook["cells"]
    is_ours = any("proctor" in cell.get("metadata", {}) for cell in cells)
    return tuple(_place(cell, number, is_ours=is_ours) for number, cell in enumerate(cells, start=1))


def is_test(cell: Mapping[str, Any]) -> bool:
    """Return whether a cell of the instructor's is a test: graded code that is no solution."""
    marks = cell["metadata"].get("nbgrader", {})
    return bool(cell["cell_type"] == "code" and marks.get("grade") and not marks.get("solution"))


def plain(source: str) -> str:
    """Return the text without what editors change on their own: line ends, and white space before them."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _place(cell: Mapping[str, Any], number: int, *, is_ours: bool) -> Place:
    metadata = cell.get("metadata", {})
    kind: Kind = cell["cell_type"] if cell["cell_type"] in ("code", "markdown") else "raw"
    marks = _marks(metadata.get("nbgrader") or {}, kind)
    role = _role(marks, kind)
    name = marks.get("grade_id", "")
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    visible = _without(_without(source, "HIDDEN TESTS"), "MARK SCHEME")
    shown = _opened(visible, name, role, is_ours=is_ours) if kind == "code" else _asked(visible, role, is_ours=is_ours)
    label = name or f"the {role} cell {number}"
    runs = source if role == "test" else shown
    return Place(role, kind, runs, shown, label, name, marks.get("points", 0.0), marks)


def _marks(raw: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return nbgrader's metadata in version 3; empty for a cell that it leaves to the student."""
    flags = {flag: bool(raw.get(flag)) for flag in FLAGS}
    if not any(flags.values()):
        return {}
    marks = {"grade_id": str(raw.get("grade_id", "")), **flags, "schema_version": SCHEMA, "cell_type": kind}
    return {**marks, "points": _points(raw.get("points"))} if flags["grade"] or flags["task"] else marks


def _points(raw: Any) -> float:
    """Return the points as a number: the first version wrote text, and nothing for none."""
    try:
        points = float(raw or 0)
    except (TypeError, ValueError):
        return 0.0
    return points if math.isfinite(points) and points > 0 else 0.0


def _role(marks: Mapping[str, Any], kind: Kind) -> Role:
    grade, solution = marks.get("grade"), marks.get("solution")
    if marks.get("task"):
        return "task"
    if solution:
        return "written" if grade else "solution"
    if grade:
        return "test" if kind == "code" else "task"  # nbgrader refuses the other case; its points are a person's
    return "given" if kind == "code" else "text"


def _opened(source: str, name: str, role: Role, *, is_ours: bool) -> str:
    """Return what students received of code: without solutions, wherever they stand."""
    stubbed = open_task_stub(Cell("solution", source, 1, name)) if is_ours and "BEGIN SOLUTION" in source else source
    cut = _without(stubbed, "SOLUTION", CODE_STUB)
    return CODE_STUB if cut == source and role in ("solution", "written") else cut


def _asked(source: str, role: Role, *, is_ours: bool) -> str:
    """Return what students received of text: elsewhere, a question without a region is the model answer itself."""
    stubbed = open_question(source) if is_ours and role == "written" else source
    cut = _without(stubbed, "SOLUTION", TEXT_STUB)
    return TEXT_STUB if cut == source and role in ("solution", "written") else cut


def _without(source: str, title: str, instead: str = "") -> str:
    """Return the text without regions of one kind, as nbgrader cuts them; one that is never ended goes to the end."""
    kept: list[str] = []
    inside = False
    for line in source.split("\n"):
        if f"BEGIN {title}" in line:
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + text for text in instead.split("\n") if text]
            inside = True
        elif f"END {title}" in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
