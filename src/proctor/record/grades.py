"""The grades of one submission in nbgrader's gradebook, all of them or none.

nbgrader's own preprocessors read the points from the autograded notebook and fill the gradebook, as they do in
`nbgrader autograde`. They commit after every cell; here they share one session in which a commit only writes ahead,
and the one real commit comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Gradebook, InvalidEntry, MissingEntry, SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades
from nbgrader.utils import is_solution, parse_utc
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from proctor.course import Course
from proctor.errors import CourseError, EngineError, ProctorError
from proctor.gradebook import programs_first
from proctor.model import Run, Submission
from proctor.record.settings import read_config

__all__ = ["LOCK_WAIT", "record_grades", "released_checksums", "take_back"]

LOCK_WAIT = 20.0  # s for another program's write; the formgrader's take milliseconds


def record_grades(
    course: Course,
    submission: Submission,
    notebooks: Mapping[str, NotebookNode],
    runs: Iterable[Run],
    *,
    timestamp: str | None = None,
) -> None:
    """Put the points of an autograded submission into the gradebook.

    As nbgrader does it: the student is created if unknown; a score that a person gave is kept and flagged; an answer
    in words waits for a person, or gets 0 and "No response." if it was not touched; the late penalty is taken; a
    notebook that was not handed in gets 0. Otherwise than nbgrader: a test that was not judged gets no score and waits
    for a person.

    Args:
        course: whose gradebook it is.
        submission: what was handed in.
        notebooks: what `autograded_notebook` made of it, by name.
        runs: which tests were judged.
        timestamp: when it was handed in, as `timestamp.txt` says.

    Raises:
        CourseError: the gradebook is missing, read-only, damaged, or does not know the assignment or a cell.
        EngineError: another program kept the gradebook locked.
    """
    judged = {run.notebook: {each.cell for each in run.outcomes if each.state != "not judged"} for run in runs}
    config = read_config(course)
    with _one_transaction(course, submission.assignment) as gradebook:
        gradebook.update_or_create_student(submission.student)
        when = parse_utc(timestamp)
        with gradebook.db.no_autoflush:  # nbgrader adds the entry to the session only when it is complete
            entry = gradebook.update_or_create_submission(submission.assignment, submission.student, timestamp=when)
        for name, notebook in notebooks.items():
            fill = _Filling(gradebook, config, submission, name)
            fill.scores(notebook, judged.get(name, set()))
            fill.penalty(notebook)
        _score_missing(entry, submission, notebooks)


def take_back(course: Course, student: str, assignment: str, *, mark: bool = True) -> bool:
    """Leave no half grade and no zero in the gradebook for a submission that was not judged.

    An entry that holds no score is removed. One with scores is of an earlier submission, and stays.

    Args:
        course: with the gradebook.
        student: whose submission it was.
        assignment: its name.
        mark: mark all cells of an earlier submission for a person, who decides what holds.

    Returns:
        Whether the gradebook now holds nothing of the submission.

    Raises:
        CourseError: the gradebook is read-only or damaged.
        EngineError: another program kept the gradebook locked.
    """
    if not course.gradebook.exists():
        return True
    with _one_transaction(course, assignment) as gradebook:
        entry = _entry(gradebook, assignment, student)
        if entry is None:
            return True
        if not _holds_anything(entry):
            gradebook.remove_submission(assignment, student)
            return True
        for grade in _grades(entry) if mark else ():
            grade.needs_manual_grade = True
    return False


def released_checksums(course: Course, assignment: str) -> dict[str, dict[str, str]]:
    """Return nbgrader's checksums of the released cells: by notebook, then by cell.

    Raises:
        CourseError: the gradebook is missing or damaged, or does not know the assignment.
        EngineError: another program kept the gradebook locked.
    """
    with _one_transaction(course, assignment, write=False) as gradebook:
        books = gradebook.find_assignment(assignment).notebooks
        return {book.name: {cell.name: cell.checksum for cell in book.source_cells if cell.checksum} for book in books}


class _Shared:
    """A preprocessor of nbgrader's that works in our session instead of opening one of its own."""

    ours: Gradebook

    @property
    def gradebook(self) -> Gradebook:
        return self.ours

    @gradebook.setter
    def gradebook(self, opened: Gradebook) -> None:
        opened.close()


class _SaveAutoGrades(_Shared, SaveAutoGrades):  # type: ignore[misc]  # nbgrader is untyped
    """nbgrader's, but a test that was not judged gets no score."""

    judged: frozenset[str]

    def _add_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        super()._add_score(cell, resources)
        name = cell.metadata.nbgrader["grade_id"]
        if is_solution(cell) or name in self.judged:
            return
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        grade.auto_score, grade.needs_manual_grade = None, True
        self.gradebook.db.commit()


class _AssignLatePenalties(_Shared, AssignLatePenalties):  # type: ignore[misc]  # nbgrader is untyped
    """nbgrader's, in our session."""


class _Filling:
    """One notebook of one submission on its way into the gradebook."""

    def __init__(self, gradebook: Gradebook, config: Config, submission: Submission, notebook: str) -> None:
        self._gradebook, self._config = gradebook, config
        self._names = {
            "student": submission.student,
            "assignment": submission.assignment,
            "notebook": notebook,
            "db_url": gradebook.engine.url,
        }

    def scores(self, notebook: NotebookNode, judged: Iterable[str]) -> None:
        save = _SaveAutoGrades(config=self._config)
        save.judged = frozenset(judged)
        self._apply(save, notebook)

    def penalty(self, notebook: NotebookNode) -> None:
        self._apply(_AssignLatePenalties(config=self._config), notebook)

    def _apply(self, preprocessor: Any, notebook: NotebookNode) -> None:
        preprocessor.ours = self._gradebook
        if preprocessor.enabled:
            preprocessor.preprocess(notebook, {"unique_key": self._names["notebook"], "nbgrader": self._names})


def _score_missing(entry: SubmittedAssignment, submission: Submission, notebooks: Mapping[str, NotebookNode]) -> None:
    """Give 0 for notebooks that were not handed in; one that was, and has no result, waits for a person."""
    handed_in = {notebook.name for notebook in submission.notebooks}
    for book in entry.notebooks:
        if book.name in notebooks:
            continue
        for grade in book.grades:
            grade.auto_score = None if book.name in handed_in else 0
            grade.needs_manual_grade = book.name in handed_in


def _entry(gradebook: Gradebook, assignment: str, student: str) -> SubmittedAssignment | None:
    try:
        return gradebook.find_submission(assignment, student)
    except MissingEntry:
        return None


def _grades(entry: SubmittedAssignment) -> Iterator[Any]:
    return (grade for book in entry.notebooks for grade in book.grades)


def _holds_anything(entry: SubmittedAssignment) -> bool:
    """Return whether a program or a person put anything into the entry."""
    scores = ((grade.auto_score, grade.manual_score, grade.extra_credit) for grade in _grades(entry))
    said = any(comment.manual_comment for book in entry.notebooks for comment in book.comments)
    flagged = any(book.flagged for book in entry.notebooks) or entry.extension is not None
    return said or flagged or any(score is not None for three in scores for score in three)


@contextmanager
def _one_transaction(course: Course, assignment: str, *, write: bool = True) -> Iterator[Gradebook]:
    """Open the gradebook; commit at the end, or leave it as it was.

    Whoever is to write waits for the right to do so now: nbgrader logs a page for each failure in the middle.
    """
    if not course.gradebook.is_file():
        raise _unknown(course, assignment, "there is no gradebook yet")
    url = URL.create("sqlite", database=str(course.gradebook), query={"timeout": f"{LOCK_WAIT:g}"})
    try:
        with programs_first():
            gradebook = Gradebook(url)
        with gradebook, _never_closed(gradebook):
            commit = _postponed(gradebook)
            if write:
                gradebook.db.execute(text("BEGIN IMMEDIATE"))
                gradebook.db.execute(text("UPDATE student SET id = id WHERE 0"))  # fails where nothing can be written
            yield gradebook
            commit()
    except MissingEntry as error:
        raise _unknown(course, assignment, str(error)) from error
    except (SQLAlchemyError, InvalidEntry) as error:
        raise _explained(course, error) from error


def _postponed(gradebook: Gradebook) -> Callable[[], None]:
    """Make every commit of nbgrader's write ahead only; return the real one."""
    session = gradebook.db()
    commit: Callable[[], None] = session.commit

    def write_ahead() -> None:
        session.flush()
        session.expire_all()  # a commit does so too, and nbgrader reads sums afterwards

    session.commit = write_ahead
    return commit


@contextmanager
def _never_closed(gradebook: Gradebook) -> Iterator[None]:
    """Let nbgrader's preprocessors enter and leave the gradebook without closing it."""
    close = gradebook.close
    gradebook.close = lambda: None
    try:
        yield
    except BaseException:
        gradebook.db.rollback()
        raise
    finally:
        gradebook.close = close


def _unknown(course: Course, assignment: str, what: str) -> CourseError:
    return CourseError(
        f"the gradebook does not know what is to be recorded: {what}",
        where=f"'{course.gradebook}', assignment {assignment!r}",
        todo=f"release it, so that the gradebook learns its cells: proctor release {assignment}",
    )


def _explained(course: Course, error: Exception) -> ProctorError:
    said = str(error).splitlines()[0]
    where = f"'{course.gradebook}': {said}"
    if "is locked" in said:
        todo = "close the program that holds it open, then grade again"
        return EngineError(f"the gradebook was locked for more than {LOCK_WAIT:g} s", where=where, todo=todo)
    if "readonly" in said or "read-only" in said:
        return CourseError("the gradebook is read-only", where=where, todo="make the file and its folder writable")
    if "disk" in said and "full" in said:
        return EngineError("the disk is full", where=where, todo="make room, then grade again")
    return CourseError("the gradebook cannot be used", where=where, todo="back it up, then run 'nbgrader db upgrade'")
