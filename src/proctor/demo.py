"""A made-up class for one assignment, graded from `submitted/` to `feedback/`.

Every submission is made from the assignment itself: the released notebook, the reference, and rows of `answers.md`.
Only ids that begin with `demo-` are ever touched. Grading can be repeated and resumed: a verdict is kept with a digest
of all that it rests on, and only what changed is graded again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from proctor.author import read_answers, read_assignment
from proctor.course import DEMO_PREFIX, Course, secret_seed
from proctor.gradebook import forget_submissions, submitters
from proctor.lanes import side_by_side
from proctor.model import Assignment, Outcome, Verdict
from proctor.release import release
from proctor.report import grades_csv
from proctor.roster import Submission, make_class
from proctor.stock import StockEngine, StockLimits, write_feedback

__all__ = ["Demo", "Engine", "demo"]

CELL_LIMIT = 10  # s; short, because one of the class never ends


class Engine(Protocol):
    """One submission in, one verdict out."""

    def __call__(self, student: str, /) -> Awaitable[Verdict]:
        """Grade what a student handed in."""
        ...


@dataclass(frozen=True)
class Demo:
    """A graded class."""

    assignment: Assignment
    submissions: tuple[Submission, ...]
    verdicts: tuple[Verdict, ...]  # in the order of `submissions`
    graded: int  # how many ran now; the others had not changed
    grades: Path  # grades.csv

    @property
    def surprises(self) -> tuple[str, ...]:
        """Ids whose verdict is not the one that their submission was made for."""
        pairs = zip(self.submissions, self.verdicts, strict=True)
        return tuple(submission.student for submission, verdict in pairs if not submission.meets(verdict))


def demo(
    course: Course, name: str, *, cell_limit: int = CELL_LIMIT, jobs: int = 2, engine: Engine | None = None
) -> Demo:
    """Release an assignment, hand in a made-up class, grade it and write its feedback.

    Args:
        course: where the assignment stands.
        name: of the assignment.
        cell_limit: seconds that one cell may run.
        jobs: submissions graded side by side.
        engine: what grades a submission; without one, stock nbgrader.

    Raises:
        AuthoringError, CourseError, EngineError: see `release`.
    """
    released = release(course, name)
    folder = course.assignment(name)
    assignment = read_assignment(folder)
    submissions = make_class(assignment, read_answers(folder, assignment), released.read_text(encoding="utf-8"))
    record = _Record(course, name, _rests_on(course, name, cell_limit))
    record.drop_others(submissions)
    stale = [submission for submission in submissions if record.verdict(submission) is None]
    forget_submissions(course.gradebook, name, tuple(submission.student for submission in stale))
    grade = engine or StockEngine(course, name, StockLimits(cell=cell_limit))
    asyncio.run(_grade(record, stale, grade, jobs=jobs))
    verdicts = tuple(verdict for each in submissions if (verdict := record.verdict(each)) is not None)
    return Demo(assignment, submissions, verdicts, len(stale), _write_grades(course, verdicts, assignment))


async def _grade(record: _Record, submissions: Sequence[Submission], engine: Engine, *, jobs: int) -> None:
    """Grade each alone, so that no submission stops another; what is graded is kept even if the rest is interrupted."""

    def piece(submission: Submission) -> Callable[[], Awaitable[None]]:
        async def grade_one() -> None:
            record.hand_in(submission)
            record.keep(submission, await engine(submission.student))

        return grade_one

    if submissions:
        await side_by_side({each.student: piece(each) for each in submissions}, jobs=jobs)
        await write_feedback(record.course, record.name, f"{DEMO_PREFIX}*")


def _rests_on(course: Course, name: str, cell_limit: int) -> str:
    """Return what every grade of the class depends on, apart from the submission."""
    source = (course.source / name / f"{name}.ipynb").read_bytes() + course.config.read_bytes()
    programs = (sys.version, version("nbgrader"), version("graded-descent-course"))
    return f"{hashlib.sha256(source).hexdigest()} {secret_seed(course, name)} {cell_limit} {programs}"


def _write_grades(course: Course, verdicts: Sequence[Verdict], assignment: Assignment) -> Path:
    path = course.build / "demo" / "grades.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(grades_csv(verdicts, most=assignment.automatic_points), encoding="utf-8")
    return fresh.replace(path)


@dataclass(frozen=True)
class _Record:
    """Submissions of the class on disk, and the verdicts on them."""

    course: Course
    name: str
    rests_on: str

    def hand_in(self, submission: Submission) -> None:
        """Put the file where nbgrader looks for it, with nothing left of an earlier one."""
        self._drop(submission.student)
        path = self.course.submitted / submission.student / self.name / f"{self.name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(submission.text, encoding="utf-8")

    def keep(self, submission: Submission, verdict: Verdict) -> None:
        """Write down a verdict with what it rests on."""
        path = self._path(submission.student)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps({"key": self._key(submission), "verdict": asdict(verdict)}), encoding="utf-8")
        fresh.replace(path)

    def verdict(self, submission: Submission) -> Verdict | None:
        """Return the verdict on exactly this submission, if there is one and its pages still stand."""
        try:
            said = json.loads(self._path(submission.student).read_text(encoding="utf-8"))
            if said["key"] != self._key(submission):
                return None
            outcomes = tuple(Outcome(**outcome) for outcome in said["verdict"].pop("outcomes"))
            verdict = Verdict(**said["verdict"], outcomes=outcomes)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return verdict if verdict.state == "not judged" or self._stands(submission.student) else None

    def drop_others(self, submissions: Sequence[Submission]) -> None:
        """Take away made-up students that the class no longer has."""
        here = {each.student for each in submissions}
        folders = (self.course.submitted, self.course.autograded, self.course.feedback)
        seen = {path.parent.name for folder in folders for path in folder.glob(f"{DEMO_PREFIX}*/{self.name}")}
        for student in seen - here:
            self._drop(student)
        gone = tuple(each for each in submitters(self.course.gradebook, self.name) if each not in here)
        made_up = tuple(each for each in gone if each.startswith(DEMO_PREFIX))
        forget_submissions(self.course.gradebook, self.name, made_up)

    def _drop(self, student: str) -> None:
        for folder in (self.course.submitted, self.course.autograded, self.course.feedback):
            shutil.rmtree(folder / student / self.name, ignore_errors=True)
        self._path(student).unlink(missing_ok=True)

    def _stands(self, student: str) -> bool:
        folders = (self.course.autograded, self.course.feedback)
        return all(any((folder / student / self.name).glob(f"{self.name}.*")) for folder in folders)

    def _path(self, student: str) -> Path:
        return self.course.build / "demo" / self.name / f"{student}.json"

    def _key(self, submission: Submission) -> str:
        return hashlib.sha256(f"{self.rests_on}\n{submission.text}".encode()).hexdigest()
