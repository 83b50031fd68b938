"""The gradebook holds what the verdict says, what people added to it, and never half of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from nbgrader.api import Gradebook

from proctor.course import Course
from proctor.errors import CourseError, EngineError
from proctor.model import Run, Submission, SubmittedNotebook
from proctor.record import autograded_notebook, take_back
from proctor.record import grades as module
from proctor.record.grades import record_grades

Make = Callable[..., Any]


def fill(work: Any, **options: Any) -> None:
    """Record grades alone, without a folder."""
    checksums = module.released_checksums(work.course, "tiny")["tiny"]
    notebook = autograded_notebook(work.rebuilt, work.run, checksums=checksums)
    record_grades(work.course, work.submission, {"tiny": notebook}, [work.run], **options)


def grades(course: Course, student: str = "ada") -> dict[str, tuple[float | None, float | None, bool]]:
    """Return (automatic score, manual score, waits for a person) of every graded cell."""
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        (notebook,) = gradebook.find_submission("tiny", student).notebooks
        return {
            each.name: (each.auto_score, each.manual_score, each.needs_manual_grade)
            for each in sorted(notebook.grades, key=lambda grade: str(grade.name))
        }


def students(course: Course) -> list[str]:
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        return sorted(each.student.id for each in gradebook.assignment_submissions("tiny"))


def change(course: Course, cell: str, **values: Any) -> None:
    """Do what a person does in the formgrader."""
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        grade = gradebook.find_grade(cell, "tiny", "tiny", "ada")
        for name, value in values.items():
            setattr(grade, name, value)
        gradebook.db.commit()


def test_every_test_gets_its_points_and_an_answer_waits_for_a_person(work: Make) -> None:
    ada = work()
    ada.changes = {
        "double-hidden": {"state": "failed", "points": 0.5, "message": "half"},
        "add-cases": {"state": "failed", "points": 0.0, "message": "expected 7"},
    }
    fill(ada)
    assert grades(ada.course) == {
        "add-cases": (0.0, None, False),
        "double-hidden": (0.5, None, False),
        "double-seen": (1.0, None, False),
        "why-add": (None, None, True),
    }


def test_an_untouched_answer_gets_nothing_and_says_so(work: Make) -> None:
    ada = work()
    del ada.answers["why-add"]
    fill(ada)
    assert grades(ada.course)["why-add"] == (0.0, None, False)
    with Gradebook(f"sqlite:///{ada.course.gradebook}") as gradebook:
        comments = {name: gradebook.find_comment(name, "tiny", "tiny", "ada").comment for name in ("why-add", "double")}
    assert comments == {"why-add": "No response.", "double": None}


def test_a_test_that_was_not_judged_waits_for_a_person(work: Make) -> None:
    ada = work()
    ada.changes = {"add-cases": {"state": "not judged", "points": 0.0, "message": "the judge failed"}}
    fill(ada)
    assert grades(ada.course)["add-cases"] == (None, None, True)
    assert grades(ada.course)["double-seen"] == (1.0, None, False)


def test_a_score_that_a_person_gave_is_kept_and_flagged(work: Make) -> None:
    ada = work()
    fill(ada)
    change(ada.course, "add-cases", manual_score=1.5, needs_manual_grade=False)
    ada.changes = {"add-cases": {"state": "failed", "points": 0.0, "message": "expected 7"}}
    fill(ada)
    assert grades(ada.course)["add-cases"] == (0.0, 1.5, True)


def test_recording_again_changes_nothing(work: Make) -> None:
    ada = work()
    fill(ada, timestamp="2026-01-05 12:00:00 UTC")
    with closing(sqlite3.connect(ada.course.gradebook)) as database:
        before = list(database.iterdump())
        fill(ada, timestamp="2026-01-05 12:00:00 UTC")
        assert list(database.iterdump()) == before


@pytest.mark.parametrize(("handed_in", "score"), [((), (0.0, None, False)), (("tiny",), (None, None, True))])
def test_a_missing_notebook_gets_nothing_and_a_lost_one_waits(
    work: Make, handed_in: tuple[str, ...], score: tuple[float | None, None, bool]
) -> None:
    ada = work()
    fill(ada)
    submission = replace(ada.submission, notebooks=tuple(SubmittedNotebook(name, ()) for name in handed_in))
    record_grades(ada.course, submission, {}, [])
    assert set(grades(ada.course).values()) == {score}


def test_a_late_submission_loses_what_the_configuration_says(work: Make) -> None:
    ada = work()
    with ada.course.config.open("a", encoding="utf-8") as file:
        file.write("\nc.LateSubmissionPlugin.penalty_method = 'zero'\n")
    with Gradebook(f"sqlite:///{ada.course.gradebook}") as gradebook:
        gradebook.update_or_create_assignment("tiny", duedate="2026-01-05 12:00:00 UTC")
    fill(ada, timestamp="2026-01-05 12:00:01 UTC")
    assert _penalty(ada.course) == 5.0
    fill(ada, timestamp="2026-01-05 11:59:59 UTC")
    assert _penalty(ada.course) is None


def _penalty(course: Course) -> float | None:
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        penalty: float | None = gradebook.find_submission_notebook("tiny", "tiny", "ada").late_submission_penalty
        return penalty


def test_a_failure_half_way_leaves_the_old_grades(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = work()
    fill(ada)
    before = grades(ada.course)
    ada.changes = {"double-seen": {"state": "failed", "points": 0.0, "message": "no"}}

    def fail(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_score_missing", fail)
    for work_of in (ada, work("bob")):
        with pytest.raises(KeyboardInterrupt):
            fill(work_of)
    assert grades(ada.course) == before
    assert students(ada.course) == ["ada"]


def test_a_locked_gradebook_is_our_fault(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = work()
    monkeypatch.setattr(module, "LOCK_WAIT", 0.2)
    with closing(sqlite3.connect(ada.course.gradebook, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(EngineError) as raised:
            fill(ada)
        other.execute("ROLLBACK")
    assert "the gradebook was locked for more than 0.2 s" in str(raised.value)
    assert "close the program" in str(raised.value)
    fill(ada)
    assert grades(ada.course)["double-seen"] == (1.0, None, False)


def test_a_read_only_gradebook_says_what_to_do(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may write everywhere, so SQLite is told instead of the file system."""
    ada = work()
    create = module.URL.create
    monkeypatch.setattr(
        module.URL,
        "create",
        lambda *_arguments, **_options: create(
            "sqlite", database=f"file:{ada.course.gradebook}", query={"mode": "ro", "uri": "true"}
        ),
    )
    with pytest.raises(CourseError) as raised:
        fill(ada)
    assert "the gradebook is read-only" in str(raised.value)
    assert "writable" in str(raised.value)


def test_a_damaged_gradebook_says_what_to_do(work: Make) -> None:
    ada = work()
    ada.course.gradebook.write_bytes(b"not a database" * 1000)
    with pytest.raises(CourseError, match="cannot be used") as raised:
        take_back(ada.course, "ada", "tiny")
    assert "nbgrader db upgrade" in str(raised.value)


def test_an_unknown_cell_or_assignment_says_to_release(work: Make) -> None:
    ada = work()
    with closing(sqlite3.connect(ada.course.gradebook)) as database:
        database.execute("UPDATE base_cell SET name = 'renamed' WHERE name = 'add-cases'")
        database.commit()
    with pytest.raises(CourseError) as raised:
        fill(ada)
    assert "tiny/tiny/add-cases" in str(raised.value)
    assert "proctor release tiny" in str(raised.value)
    assert students(ada.course) == []
    ada.course.gradebook.unlink()
    with pytest.raises(CourseError, match="there is no gradebook yet"):
        record_grades(ada.course, ada.submission, {}, list[Run]())
    assert not ada.course.gradebook.exists()


def test_a_broken_configuration_is_the_courses_fault(work: Make) -> None:
    ada = work()
    ada.course.config.write_text("c.x = = 1", encoding="utf-8")
    with pytest.raises(CourseError, match="configuration cannot be read: SyntaxError"):
        fill(ada)


def test_taking_back_removes_an_entry_without_scores(work: Make) -> None:
    ada = work()
    take_back(ada.course, "ada", "tiny")
    with Gradebook(f"sqlite:///{ada.course.gradebook}") as gradebook:
        gradebook.add_student("ada")
        with gradebook.db.no_autoflush:
            gradebook.add_submission("tiny", "ada")
    half_made = ada.course.autograded / "ada" / "tiny"
    half_made.mkdir(parents=True)
    take_back(ada.course, "ada", "tiny")
    assert students(ada.course) == []
    assert not half_made.exists()


def test_taking_back_keeps_earlier_grades_for_a_person(work: Make) -> None:
    ada = work()
    ada.record()
    change(ada.course, "add-cases", manual_score=1.5)
    take_back(ada.course, "ada", "tiny")
    assert grades(ada.course) == {
        "add-cases": (2.0, 1.5, True),
        "double-hidden": (2.0, None, True),
        "double-seen": (1.0, None, True),
        "why-add": (None, None, True),
    }
    assert (ada.course.autograded / "ada" / "tiny" / "tiny.ipynb").is_file()


def test_taking_back_without_a_gradebook_makes_none(course: Course) -> None:
    course.gradebook.unlink()
    take_back(course, "ada", "tiny")
    assert not course.gradebook.exists()


def test_a_submission_is_known_by_its_names_only(work: Make) -> None:
    ada = work()
    fill(ada)
    other = Submission("bob", "tiny", "1" * 64, "2026-01-05T12:00:00+00:00", ada.submission.notebooks)
    checksums = module.released_checksums(ada.course, "tiny")["tiny"]
    record_grades(
        ada.course, other, {"tiny": autograded_notebook(ada.rebuilt, ada.run, checksums=checksums)}, [ada.run]
    )
    assert students(ada.course) == ["ada", "bob"]
