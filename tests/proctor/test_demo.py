"""The demo grades a made-up class as any class is graded, and touches nobody else."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from proctor.course import Course
from proctor.demo import Demo, demo
from proctor.gradebook import submitters

CELL_LIMIT = 2  # s; the endless cell runs this long


@pytest.fixture(scope="session")
def graded(released: Course, tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, Demo]:
    """The small course with its class graded for real, beside a real student's work; never changed by a test."""
    course = Course(Path(shutil.copytree(released.root, tmp_path_factory.mktemp("demo") / "course")))
    real = course.submitted / "ida" / "tiny" / "tiny.ipynb"
    real.parent.mkdir(parents=True)
    real.write_text("a real student's file", encoding="utf-8")
    return course, demo(course, "tiny", cell_limit=CELL_LIMIT)


@pytest.fixture
def again(graded: tuple[Course, Demo], tmp_path: Path) -> Course:
    """A copy of the graded course, of a test's own."""
    return Course(Path(shutil.copytree(graded[0].root, tmp_path / "course")))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The students who would get new feedback, whose pages nobody writes here."""
    asked: list[str] = []
    monkeypatch.setattr("proctor.demo.write_feedback", lambda _course, _name, students: asked.extend(students))
    return asked


def scores(graded: Demo) -> dict[str, tuple[str, float]]:
    return {verdict.student: (verdict.state, verdict.score) for verdict in graded.verdicts}


def test_everyone_gets_what_their_submission_was_made_for(graded: tuple[Course, Demo]) -> None:
    _, result = graded
    assert scores(result) == {
        "demo-ada": ("complete", 5.0),
        "demo-grace": ("complete", 5.0),
        "demo-alan": ("complete", 3.0),
        "demo-blaise": ("complete", 3.0),
        "demo-carl": ("complete", 3.0),
        "demo-noor": ("complete", 0.0),
        "demo-linus": ("complete", 5.0),
        "demo-iris": ("complete", 5.0),
        "demo-zeno": ("partial", 3.0),
        "demo-otto": ("not judged", 0.0),
    }
    assert result.surprises == ()


def test_reasons_are_sentences_for_a_student(graded: tuple[Course, Demo]) -> None:
    reasons = {verdict.student: verdict.reason for verdict in graded[1].verdicts}
    assert reasons["demo-zeno"] == f"test 'add-cases': your code ran past {CELL_LIMIT} s and was stopped"
    assert reasons["demo-otto"].startswith("'tiny.ipynb' is not complete: it breaks off in line ")
    assert reasons["demo-ada"] == ""


def test_what_is_not_judged_has_no_grade_anywhere(graded: tuple[Course, Demo]) -> None:
    course, result = graded
    assert "demo-otto" not in submitters(course.gradebook, "tiny")
    assert not (course.feedback / "demo-otto").exists()
    with result.grades.open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert (rows["demo-otto"]["score"], rows["demo-otto"]["state"]) == ("", "not judged")
    assert (rows["demo-ada"]["score"], rows["demo-ada"]["max_score"]) == ("5", "5")


def test_everyone_who_is_judged_gets_feedback(graded: tuple[Course, Demo]) -> None:
    course, result = graded
    judged = {verdict.student for verdict in result.verdicts if verdict.state != "not judged"}
    assert {path.parent.parent.name for path in course.feedback.glob("*/tiny/tiny.html")} == judged


def test_real_students_are_not_touched(graded: tuple[Course, Demo]) -> None:
    course, _ = graded
    assert (course.submitted / "ida" / "tiny" / "tiny.ipynb").read_text(encoding="utf-8") == "a real student's file"
    assert "ida" not in submitters(course.gradebook, "tiny")
    assert not (course.autograded / "ida").exists()


def test_a_second_run_grades_nothing(again: Course, pages: list[str]) -> None:
    result = demo(again, "tiny", cell_limit=CELL_LIMIT)
    assert (result.graded, pages) == (0, [])
    assert scores(result)["demo-ada"] == ("complete", 5.0)
    assert result.surprises == ()


def test_verdicts_are_read_back_as_they_were(graded: tuple[Course, Demo], again: Course, pages: list[str]) -> None:
    assert demo(again, "tiny", cell_limit=CELL_LIMIT).verdicts == graded[1].verdicts
    assert pages == []


def test_another_limit_grades_everyone_again(again: Course, pages: list[str]) -> None:
    result = demo(again, "tiny", cell_limit=CELL_LIMIT - 1)
    assert result.graded == 9, "all but the broken file"
    assert sorted(pages) == sorted(each.student for each in result.pupils if each.student != "demo-otto")


def test_only_what_is_missing_is_graded_again(again: Course, pages: list[str]) -> None:
    """What an interrupted run leaves, and what someone deleted."""
    (again.root / "records" / "tiny" / "demo-alan.json").unlink()
    shutil.rmtree(again.autograded / "demo-ada")
    shutil.rmtree(again.feedback / "demo-noor")
    result = demo(again, "tiny", cell_limit=CELL_LIMIT)
    assert result.graded == 2
    assert sorted(pages) == ["demo-ada", "demo-alan", "demo-noor"]
    assert (again.autograded / "demo-ada" / "tiny" / "tiny.ipynb").is_file()


def test_a_verdict_that_a_submission_was_not_made_for_is_a_surprise(again: Course, pages: list[str]) -> None:
    row = again.assignments / "tiny" / "answers.md"
    row.write_text(row.read_text(encoding="utf-8").replace("return x + x", "return x + 1"), encoding="utf-8")
    result = demo(again, "tiny", cell_limit=CELL_LIMIT)
    assert result.surprises == ("demo-grace",)
    assert pages == ["demo-grace"]


def test_students_that_the_class_no_longer_has_disappear(again: Course, pages: list[str]) -> None:
    stranger = again.submitted / "demo-old" / "tiny"
    stranger.mkdir(parents=True)
    other = again.submitted / "demo-old" / "other"
    other.mkdir()
    demo(again, "tiny", cell_limit=CELL_LIMIT)
    assert not stranger.exists()
    assert other.exists(), "another assignment's work stays"
    assert pages == []


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_the_class_is_trusted(again: Course, pages: list[str]) -> None:
    (again.root / "records" / "tiny" / "demo-ada.json").unlink()
    result = demo(again, "tiny", cell_limit=CELL_LIMIT)
    assert (result.rung, result.verdicts[0].rung) == ("trusted", "trusted")
    assert result.surprises == ()
    assert "demo-ada" in pages
