"""The frozen data that the stages hand to one another; imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "Assignment",
    "Cell",
    "HandedIn",
    "Outcome",
    "Problem",
    "Rebuilt",
    "Row",
    "Run",
    "Step",
    "Submission",
    "SubmittedNotebook",
    "Task",
    "Verdict",
]

CellKind = Literal["text", "given", "solution", "test", "written"]
CellState = Literal["passed", "failed", "crashed", "timed out", "not judged"]


@dataclass(frozen=True)
class Problem:
    """One place where an assignment file breaks a rule."""

    file: str
    line: int  # counted from 1
    rule: str  # the rule's short name, such as "duplicate-name"
    what: str  # what is wrong, names quoted
    todo: str  # what to write instead

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.what}; {self.todo}"


@dataclass(frozen=True)
class Cell:
    """One cell of an assignment, as its author wrote it.

    `text` is prose; `given` is code that students run and do not change; `solution` holds solution regions;
    `test` is a graded test; `written` is a question that a person marks.
    """

    kind: CellKind
    source: str  # with all markers
    line: int  # of the first line of `source` in the file, counted from 1
    name: str = ""  # permanent; empty only for `text`
    tests: tuple[str, ...] = ()  # names of the solution cells that a `test` judges
    points: float = 0.0
    slow: bool = False  # the cell trains


@dataclass(frozen=True)
class Task:
    """A section with points of its own: a heading `## Title (N points)` and the cells below it."""

    title: str
    points: float
    line: int
    cells: tuple[str, ...]  # names, in order


@dataclass(frozen=True)
class Assignment:
    """An authored assignment that keeps every rule."""

    name: str
    path: Path  # of NAME.md
    title: str
    cells: tuple[Cell, ...]
    tasks: tuple[Task, ...]

    def cell(self, name: str) -> Cell:
        """Return the cell of this name; raise KeyError if there is none."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(name)

    def of_kind(self, kind: CellKind) -> tuple[Cell, ...]:
        """Return the cells of one kind, in the order of the file."""
        return tuple(cell for cell in self.cells if cell.kind == kind)

    @property
    def automatic_points(self) -> float:
        """Points that tests decide."""
        return sum(cell.points for cell in self.of_kind("test"))

    @property
    def max_points(self) -> float:
        """All points, those of written answers included."""
        return self.automatic_points + sum(cell.points for cell in self.of_kind("written"))


@dataclass(frozen=True)
class Row:
    """One row of `answers.md`: a wrong answer or another right one."""

    kind: Literal["wrong", "right"]
    title: str
    line: int
    replaces: Mapping[str, str]  # solution cell -> the source that stands in its place
    loses: tuple[str, ...] = ()  # test cells that lose points, and no other
    says: str = ""  # what the student reads in one of them
    differs: str = ""  # why the sealed and the plain verdict differ; empty when they agree


@dataclass(frozen=True)
class HandedIn:
    """One cell of a submitted notebook: what may be used of it, and nothing else."""

    kind: Literal["code", "markdown", "raw"]
    source: str
    name: str = ""  # the nbgrader id that the cell claims; empty if it claims none


@dataclass(frozen=True)
class SubmittedNotebook:
    """One notebook of a submission."""

    name: str  # of the file, without `.ipynb`
    cells: tuple[HandedIn, ...]


@dataclass(frozen=True)
class Submission:
    """What a student handed in, after intake."""

    student: str
    assignment: str
    digest: str  # SHA-256 over names and bytes of the notebooks, and nbgrader's time stamp, in hexadecimal
    received: str  # when the files reached us: ISO 8601, UTC
    notebooks: tuple[SubmittedNotebook, ...]  # sorted by name
    notes: tuple[str, ...] = ()  # what was left out and why, for the instructor


@dataclass(frozen=True)
class Step:
    """One cell of a rebuilt notebook.

    `test` is graded code; `solution` code of the student's in the instructor's place; `written` an answer that a
    person marks, in words or in code; `task` a description with points for a person; `added` a cell that the student
    added; `given` and `text` are the instructor's code and prose.
    """

    role: Literal["text", "given", "solution", "test", "written", "task", "added"]
    kind: Literal["code", "markdown", "raw"]
    source: str  # what runs; the hidden parts of a test included
    shown: str  # what may be shown to the student: a test without its hidden parts
    name: str = ""  # the nbgrader id; empty for `text`, `added` and unnamed given cells
    label: str = ""  # how messages call it, different for each cell: "forward", or "your cell 3" for an added one
    points: float = 0.0  # the most that the cell can earn
    marks: Mapping[str, Any] = field(default_factory=dict)  # nbgrader's metadata, as the instructor has it


@dataclass(frozen=True)
class Rebuilt:
    """A notebook made of the instructor's source and the sources of the student's cells."""

    name: str  # of the notebook, without `.ipynb`
    steps: tuple[Step, ...]
    opening: str = ""  # source of the instructor's first locked code cell, which the judge runs too
    notes: tuple[str, ...] = ()  # what of the submission was not used and why, for the instructor


@dataclass(frozen=True)
class Outcome:
    """What one test cell said."""

    cell: str
    state: CellState
    points: float
    max_points: float
    message: str = ""  # for the student; empty when passed
    device: str = ""  # where the test's tensors were, such as "cpu" or "cuda:0"; empty if nothing says so
    sealed: bool = False  # its asserts ran outside the student's process
    notebook: str = ""  # empty in an assignment of one notebook
    seconds: float = 0.0


@dataclass(frozen=True)
class Run:
    """A rebuilt notebook after it ran."""

    notebook: str
    outcomes: tuple[Outcome, ...]  # of the tests, in order
    outputs: Mapping[int, tuple[Mapping[str, Any], ...]]  # nbformat outputs by the index of their step; unsanitized
    stopped: tuple[str, ...] = ()  # what was stopped or crashed among the student's cells, one clause each
    seconds: float = 0.0
    memory: int = 0  # bytes at the peak, all processes of the student's together


@dataclass(frozen=True)
class Verdict:
    """What the tests said about one submission."""

    student: str
    assignment: str
    state: Literal["complete", "partial", "not judged"]
    outcomes: tuple[Outcome, ...] = field(default=())
    reason: str = ""  # one sentence; empty when complete
    notes: tuple[str, ...] = ()  # for the instructor
    rung: str = ""  # what held the student's code
    seconds: float = 0.0
    memory: int = 0  # bytes at the peak
    seed: int | None = None  # of the hidden tests, where it is not the assignment's own

    @property
    def score(self) -> float:
        """Automatic points earned."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def max_score(self) -> float:
        """Automatic points that could be earned."""
        return sum(outcome.max_points for outcome in self.outcomes)
