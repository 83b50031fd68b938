"""nbgrader's gradebook: who has submissions in it, and taking submissions out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from sqlalchemy.exc import SQLAlchemyError

from proctor.errors import CourseError

__all__ = ["forget_submissions", "knows", "programs_first", "submitters"]


def submitters(database: Path, assignment: str) -> tuple[str, ...]:
    """Return the ids of all students with a submission of this assignment, sorted; none if there is no gradebook.

    Raises:
        CourseError: the gradebook cannot be read.
    """
    with _opened(database) as gradebook:
        if gradebook is None:
            return ()
        return tuple(sorted(each.student.id for each in gradebook.assignment_submissions(assignment)))


def knows(database: Path, assignment: str) -> bool:
    """Return whether the gradebook holds this assignment with a notebook of the same name.

    Raises:
        CourseError: the gradebook cannot be read.
    """
    with _opened(database) as gradebook:
        try:
            return gradebook is not None and bool(gradebook.find_notebook(assignment, assignment))
        except MissingEntry:
            return False


def forget_submissions(database: Path, assignment: str, students: tuple[str, ...]) -> None:
    """Take these students' submissions of one assignment out of the gradebook, with every grade in them.

    Raises:
        CourseError: the gradebook cannot be read.
    """
    with _opened(database) as gradebook:
        if gradebook is None:
            return
        for student in students:
            with suppress(MissingEntry):
                gradebook.remove_submission(assignment, student)


@contextmanager
def programs_first() -> Iterator[None]:
    """Put the folder of this Python first on PATH for a while: nbgrader starts `alembic` by its name."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def _opened(database: Path) -> Iterator[Gradebook | None]:
    if not database.exists():
        yield None
        return
    try:
        with programs_first(), Gradebook(f"sqlite:///{database}") as gradebook:
            yield gradebook
    except SQLAlchemyError as error:
        raise CourseError(
            "the gradebook cannot be read",
            where=f"'{database}': {str(error).splitlines()[0]}",
            todo="back it up, then run 'nbgrader db upgrade'",
        ) from error
