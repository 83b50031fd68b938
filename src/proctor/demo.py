"""A made-up class for one assignment, graded from `submitted/` to `feedback/`.

Every submission is made from the assignment itself: the released notebook, the reference, and rows of `answers.md`.
Only ids that begin with `demo-` are ever touched. The class is graded as any other, so that a second run grades only
what has changed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proctor.author import read_answers, read_assignment
from proctor.course import DEMO_PREFIX, Course
from proctor.feedback import write_feedback
from proctor.gradebook import forget_submissions, submitters
from proctor.lanes import Progress
from proctor.model import Assignment, Verdict
from proctor.plan import plan_for
from proctor.release import release
from proctor.report import grades_csv
from proctor.roster import Pupil, make_class
from proctor.schedule import Result, grade_class
from proctor.sealed import Limits

__all__ = ["Demo", "demo"]

CELL_LIMIT = 10  # s; short, because one of the class never ends


@dataclass(frozen=True)
class Demo:
    """A graded class."""

    assignment: Assignment
    pupils: tuple[Pupil, ...]
    verdicts: tuple[Verdict, ...]  # in the order of `pupils`
    graded: int  # how many ran now; the others had not changed
    grades: Path  # grades.csv
    rung: str  # what held their code

    @property
    def surprises(self) -> tuple[str, ...]:
        """Ids whose verdict is not the one that their submission was made for."""
        pairs = zip(self.pupils, self.verdicts, strict=True)
        return tuple(pupil.student for pupil, verdict in pairs if not pupil.meets(verdict))


def demo(course: Course, name: str, *, cell_limit: int = CELL_LIMIT, jobs: int = 2) -> Demo:
    """Release an assignment, hand in a made-up class, grade it and write its feedback.

    Their code is ours: where there is no sandbox, it runs without one.

    Args:
        course: where the assignment stands.
        name: of the assignment.
        cell_limit: seconds that one cell may run.
        jobs: submissions graded side by side.

    Raises:
        AuthoringError, CourseError, EngineError: see `release` and `grade_class`.
    """
    released = release(course, name)
    folder = course.assignment(name)
    assignment = read_assignment(folder)
    pupils = make_class(assignment, read_answers(folder, assignment), released.read_text(encoding="utf-8"))
    _drop_others(course, name, pupils)
    for pupil in pupils:
        _hand_in(course, name, pupil)
    plan = plan_for(course, name, trusted=True, limits=Limits(cell=cell_limit))
    ids = tuple(pupil.student for pupil in pupils)
    results = asyncio.run(grade_class(course, plan, ids, jobs=jobs, progress=Progress(len(ids))))
    write_feedback(course, name, [each.verdict.student for each in results if _needs_feedback(course, each)])
    verdicts = tuple(result.verdict for result in results)
    graded = sum(result.graded for result in results)
    return Demo(assignment, pupils, verdicts, graded, _write_grades(course, verdicts, assignment), plan.rung)


def _hand_in(course: Course, name: str, pupil: Pupil) -> None:
    """Put the file where nbgrader looks for it; leave an equal one as it is."""
    path = course.submitted / pupil.student / name / f"{name}.ipynb"
    if path.is_file() and path.read_bytes() == pupil.text.encode():
        return
    _drop(course, name, pupil.student)
    path.parent.mkdir(parents=True)
    path.write_text(pupil.text, encoding="utf-8")


def _needs_feedback(course: Course, result: Result) -> bool:
    verdict = result.verdict
    page = course.feedback / verdict.student / verdict.assignment / f"{verdict.assignment}.html"
    return verdict.state != "not judged" and (result.graded or not page.is_file())


def _write_grades(course: Course, verdicts: Sequence[Verdict], assignment: Assignment) -> Path:
    path = course.build / "demo" / "grades.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(grades_csv(verdicts, most=assignment.automatic_points), encoding="utf-8")
    return fresh.replace(path)


def _drop_others(course: Course, name: str, pupils: Sequence[Pupil]) -> None:
    """Take away made-up students that the class no longer has."""
    here = {pupil.student for pupil in pupils}
    folders = (course.submitted, course.autograded, course.feedback)
    seen = {path.parent.name for folder in folders for path in folder.glob(f"{DEMO_PREFIX}*/{name}")}
    for student in seen - here:
        _drop(course, name, student)
    gone = tuple(each for each in submitters(course.gradebook, name) if each not in here)
    forget_submissions(course.gradebook, name, tuple(each for each in gone if each.startswith(DEMO_PREFIX)))


def _drop(course: Course, name: str, student: str) -> None:
    for folder in (course.submitted, course.autograded, course.feedback):
        shutil.rmtree(folder / student / name, ignore_errors=True)
    forget_submissions(course.gradebook, name, (student,))
