"""Whether this machine can grade, and what to do where it cannot: found out by trying, with nothing changed.

`examine` never raises and always ends: a check that fails in an unforeseen way, or does not answer, is a bad one.
Programs that are slow to import or that may crash are imported by other processes, side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proctor.course import Course, find_course
from proctor.doctor import course as in_course
from proctor.doctor import machine, programs, sandbox
from proctor.doctor.child import ask
from proctor.doctor.look import Check, Look, State, collected, later
from proctor.errors import CourseError
from proctor.sandbox.promises import Kept
from proctor.sandbox.rungs import Rung, rungs

__all__ = ["Check", "Examination", "Row", "State", "examine"]

LIMIT = 120.0  # s for all that is looked at, which includes the patience with a child


@dataclass(frozen=True)
class Row:
    """What comes of one doing of student code here."""

    doing: str
    kept: Kept
    how: str


@dataclass(frozen=True)
class Examination:
    """All that was found."""

    rung: str  # that students' code would run on; empty if there is none
    checks: tuple[Check, ...]
    promises: tuple[Row, ...]  # of that rung; without one, of code that is trusted

    @property
    def can_grade(self) -> bool:
        """Whether nothing is bad."""
        return all(check.state != "bad" for check in self.checks)


def examine(start: Path, *, limit: float = LIMIT) -> Examination:
    """Look at the machine, the programs, and the course that a folder belongs to.

    Args:
        start: a folder; outside a course, what concerns one is left out.
        limit: seconds for everything.
    """
    tried = later(rungs)
    checks = collected(tuple(_looks(start, tried)), limit=limit)
    rung = sandbox.best(tried.result()) if tried.done() and not tried.exception() else ""
    rows = (Row(each.doing, each.on(rung or "trusted"), each.how) for each in sandbox.PROMISES)
    return Examination(rung, checks, tuple(rows))


def _looks(start: Path, tried: Future[tuple[Rung, ...]]) -> Iterator[Look]:
    """Yield what to look at, in the order in which it is printed."""
    course = _course(start)
    torch = later(partial(ask, programs.TORCH))
    stock = later(partial(ask, programs.NBGRADER, str(course.root) if course else ""))
    yield "sandbox", lambda: sandbox.holding(tried.result())
    yield "memory cap", sandbox.counting
    yield "Python", programs.python
    yield "torch", lambda: programs.torch(torch.result())
    yield "nbgrader", lambda: programs.nbgrader(stock.result())
    yield "alembic", programs.alembic
    yield "JupyterLab", lambda: programs.jupyterlab(stock.result())
    yield "data sets", machine.data
    yield "disk", partial(machine.disk, course)
    yield "memory", machine.memory
    yield "clock", partial(machine.clock, course)
    if course is None:
        found = f"none at '{start}' or above: nothing of a course was looked at"
        yield "course", lambda: [Check("course", "good", found)]
        return
    yield "autograder", lambda: in_course.autograder(course, stock.result())
    yield "gradebook", lambda: in_course.gradebook(course, stock.result())
    yield "folders", partial(in_course.folders, course)
    yield "seeds", partial(in_course.seeds, course)
    yield "assignments", partial(in_course.assignments, course)


def _course(start: Path) -> Course | None:
    try:
        return find_course(start)
    except (CourseError, OSError):
        return None
