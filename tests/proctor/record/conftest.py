"""What rebuild and the run hand over for the small course, made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from proctor.course import Course
from proctor.model import Outcome, Rebuilt, Run, Step, Submission, SubmittedNotebook, Verdict
from proctor.record import record

HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n?", re.DOTALL)
ROLES = {  # (grade, solution) -> role of a code cell
    (True, False): "test",
    (False, True): "solution",
    (False, False): "given",
}

Outputs = Mapping[int | str, list[dict[str, Any]]]


class Work:
    """One submission of the small course, from intake to verdict."""

    def __init__(self, course: Course, student: str = "ada") -> None:
        self.course, self.student = course, student
        self.answers: dict[str, str] = {"double": "def double(x):\n    return x + x", "why-add": "Sums commute."}
        self.added: list[Step] = []
        self.outputs: dict[int | str, list[dict[str, Any]]] = {}
        self.changes: dict[str, dict[str, Any]] = {}

    @property
    def rebuilt(self) -> Rebuilt:
        """The notebook, with the student's answers in the instructor's places and added cells at its end."""
        cells = json.loads((self.course.source / "tiny" / "tiny.ipynb").read_text(encoding="utf-8"))["cells"]
        released = json.loads((self.course.release / "tiny" / "tiny.ipynb").read_text(encoding="utf-8"))["cells"]
        stubs = {cell["metadata"].get("nbgrader", {}).get("grade_id"): "".join(cell["source"]) for cell in released}
        return Rebuilt("tiny", (*(self._step(cell, stubs) for cell in cells), *self.added))

    @property
    def run(self) -> Run:
        """How it ran: all tests passed, but for what `changes` says."""
        rebuilt = self.rebuilt
        outcomes = []
        for step in rebuilt.steps:
            if step.role == "test":
                said = {"state": "passed", "points": step.points} | self.changes.get(step.name, {})
                outcomes.append(Outcome(step.name, max_points=step.points, **said))
        places = {step.name: index for index, step in enumerate(rebuilt.steps) if step.name}
        outputs = {places.get(str(key), key): tuple(value) for key, value in self.outputs.items()}
        return Run("tiny", tuple(outcomes), outputs)  # type: ignore[arg-type]

    @property
    def submission(self) -> Submission:
        """What intake made of it."""
        handed_in = (SubmittedNotebook("tiny", ()),)
        return Submission(self.student, "tiny", "0" * 64, "2026-01-05T12:00:00+00:00", handed_in)

    @property
    def verdict(self) -> Verdict:
        """What the tests said."""
        return Verdict(self.student, "tiny", "complete", self.run.outcomes)

    def record(self) -> Verdict:
        """Record it; return the verdict."""
        verdict = self.verdict
        record(self.course, self.submission, [self.rebuilt], [self.run], verdict)
        return verdict

    def _step(self, cell: dict[str, Any], stubs: dict[str, str]) -> Step:
        source = "".join(cell["source"])
        marks = cell["metadata"].get("nbgrader", {})
        name = marks.get("grade_id", "")
        if cell["cell_type"] == "markdown" and not marks:
            return Step("text", "markdown", source, source)
        flags = (marks.get("grade", False), marks.get("solution", False))
        role = "written" if flags == (True, True) else ROLES[flags]
        if role in ("solution", "written"):
            source = self.answers.get(name, stubs[name])
        points = float(marks.get("points", 0))
        shown = HIDDEN.sub("", source)
        return Step(role, cell["cell_type"], source, shown, name, name, points, marks)  # type: ignore[arg-type]


@pytest.fixture
def work(course: Course) -> Callable[..., Work]:
    """Make a submission of the small course."""

    def make(student: str = "ada") -> Work:
        return Work(course, student)

    return make
