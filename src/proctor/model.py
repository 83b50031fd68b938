"""The frozen data that the stages hand to one another; imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Assignment", "Cell", "Outcome", "Problem", "Row", "Task", "Verdict"]

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
class Outcome:
    """What one test cell said."""

    cell: str
    state: CellState
    points: float
    max_points: float
    message: str = ""  # for the student; empty when passed


@dataclass(frozen=True)
class Verdict:
    """What the tests said about one submission."""

    student: str
    assignment: str
    state: Literal["complete", "partial", "not judged"]
    outcomes: tuple[Outcome, ...] = field(default=())
    reason: str = ""  # one sentence; empty when complete

    @property
    def score(self) -> float:
        """Automatic points earned."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def max_score(self) -> float:
        """Automatic points that could be earned."""
        return sum(outcome.max_points for outcome in self.outcomes)
