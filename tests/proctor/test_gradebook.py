"""Submissions are found in nbgrader's gradebook and taken out of it, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from proctor.course import Course
from proctor.errors import CourseError
from proctor.gradebook import forget_submissions, knows, submitters

# nbgrader 0.9.6 ties a new submission to its student before it adds it to the session; SQLAlchemy 2 remarks on that
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted\\w+> not in session")


def add(course: Course, *students: str) -> None:
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        for student in students:
            gradebook.update_or_create_student(student)
            gradebook.update_or_create_submission("tiny", student)


def test_submitters_are_listed(course: Course) -> None:
    add(course, "ida", "ben")
    assert submitters(course.gradebook, "tiny") == ("ben", "ida")
    assert submitters(course.gradebook, "other") == ()


def test_only_the_named_submissions_are_forgotten(course: Course) -> None:
    add(course, "ida", "ben")
    forget_submissions(course.gradebook, "tiny", ("ben", "never-there"))
    assert submitters(course.gradebook, "tiny") == ("ida",)


def test_a_gradebook_knows_what_was_released(course: Course) -> None:
    assert knows(course.gradebook, "tiny")
    assert not knows(course.gradebook, "other")


def test_without_a_gradebook_nothing_is_known_and_none_is_made(tmp_path: Path) -> None:
    database = tmp_path / "gradebook.db"
    assert submitters(database, "tiny") == ()
    assert not knows(database, "tiny")
    forget_submissions(database, "tiny", ("ida",))
    assert not database.exists()


def test_a_damaged_gradebook_is_named(tmp_path: Path) -> None:
    database = tmp_path / "gradebook.db"
    database.write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(CourseError, match="gradebook cannot be read") as caught:
        submitters(database, "tiny")
    assert str(database) in str(caught.value)
