"""Students get a page each: the author's words, and nothing hidden."""

from __future__ import annotations

import shutil

import pytest

from proctor.course import Course
from proctor.errors import CourseError, EngineError
from proctor.feedback import write_feedback


def page(course: Course, student: str) -> str:
    return (course.feedback / student / "tiny" / "tiny.html").read_text(encoding="utf-8")


def test_the_students_named_get_a_page_and_no_other(graded: Course) -> None:
    write_feedback(graded, "tiny", ["carl"])
    assert [path.name for path in graded.feedback.iterdir()] == ["carl"]
    assert "is 6 typed in?" in page(graded, "carl")
    for secret in ("BEGIN HIDDEN", "drawn", "doubled_by_the_reference"):
        assert secret not in page(graded, "carl")


def test_an_earlier_page_is_replaced(graded: Course) -> None:
    old = graded.feedback / "ada" / "tiny" / "tiny.html"
    old.parent.mkdir(parents=True)
    old.write_text("an earlier page", encoding="utf-8")
    write_feedback(graded, "tiny", ["ada"])
    assert "Sums commute." in page(graded, "ada")


def test_nobody_needs_nothing(graded: Course) -> None:
    write_feedback(graded, "tiny", [])
    assert not graded.feedback.exists()


def test_a_student_without_an_autograded_notebook_is_named(graded: Course) -> None:
    shutil.rmtree(graded.autograded / "ada")
    with pytest.raises(EngineError, match="the feedback could not be written") as caught:
        write_feedback(graded, "tiny", ["ada"])
    assert caught.value.where.startswith("student 'ada': ")
    assert caught.value.todo.startswith("run 'nbgrader generate_feedback tiny --force'")


def test_a_configuration_that_cannot_be_read_is_named(graded: Course) -> None:
    graded.config.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(CourseError, match="ZeroDivisionError"):
        write_feedback(graded, "tiny", ["ada"])
