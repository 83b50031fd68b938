"""The demo grades a made-up class with stock nbgrader, one alone at a time, and touches nobody else."""

from __future__ import annotations

import asyncio
import csv
import shutil
from pathlib import Path

import pytest

from proctor.course import Course
from proctor.demo import Demo, demo
from proctor.gradebook import submitters
from proctor.model import Outcome, Verdict

CELL_LIMIT = 4  # s; the endless cell runs this long


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


class Quick:
    """An engine that gives everyone full points at once, to see who is graded."""

    def __init__(self) -> None:
        self.graded: list[str] = []

    async def __call__(self, student: str, /) -> Verdict:
        """Note the student."""
        self.graded.append(student)
        return Verdict(student, "tiny", "not judged", reason="nobody looked")


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
    assert reasons["demo-zeno"] == f"cell 'add-cases' ran past {CELL_LIMIT} s and was stopped"
    assert reasons["demo-otto"].startswith("the notebook is not valid JSON (line ")
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


def test_a_second_run_grades_nothing(again: Course) -> None:
    engine = Quick()
    result = demo(again, "tiny", cell_limit=CELL_LIMIT, engine=engine)
    assert (engine.graded, result.graded) == ([], 0)
    assert scores(result)["demo-ada"] == ("complete", 5.0)


def test_another_limit_grades_everyone_again(again: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proctor.demo.write_feedback", no_feedback)
    engine = Quick()
    demo(again, "tiny", cell_limit=CELL_LIMIT + 1, engine=engine)
    assert len(engine.graded) == 10


def test_only_what_is_missing_is_graded_again(again: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted run leaves, and what someone deleted."""
    monkeypatch.setattr("proctor.demo.write_feedback", no_feedback)
    (again.build / "demo" / "tiny" / "demo-alan.json").unlink()
    shutil.rmtree(again.autograded / "demo-ada")
    engine = Quick()
    result = demo(again, "tiny", cell_limit=CELL_LIMIT, engine=engine)
    assert sorted(engine.graded) == ["demo-ada", "demo-alan"]
    assert set(result.surprises) == {"demo-ada", "demo-alan"}, "nobody looked at them"


def test_an_interrupted_run_keeps_what_is_graded(again: Course) -> None:
    shutil.rmtree(again.build / "demo")

    class Interrupted(Quick):
        async def __call__(self, student: str, /) -> Verdict:
            if len(self.graded) == 3:
                raise asyncio.CancelledError
            return await super().__call__(student)

    with pytest.raises(asyncio.CancelledError):
        demo(again, "tiny", cell_limit=CELL_LIMIT, jobs=1, engine=Interrupted())
    kept = {path.stem for path in (again.build / "demo" / "tiny").glob("*.json")}
    assert kept == {"demo-ada", "demo-grace", "demo-alan"}


def test_students_that_the_class_no_longer_has_disappear(again: Course) -> None:
    stranger = again.submitted / "demo-old" / "tiny"
    stranger.mkdir(parents=True)
    other = again.submitted / "demo-old" / "other"
    other.mkdir()
    demo(again, "tiny", cell_limit=CELL_LIMIT, engine=Quick())
    assert not stranger.exists()
    assert other.exists(), "another assignment's work stays"


def test_a_verdict_is_read_back_as_it_was(graded: tuple[Course, Demo]) -> None:
    course, result = graded
    read = demo(course, "tiny", cell_limit=CELL_LIMIT, engine=Quick())
    assert read.verdicts == result.verdicts
    assert isinstance(read.verdicts[0].outcomes[0], Outcome)


async def no_feedback(*_arguments: object) -> None:
    """Stand in for nbgrader's pages where nothing was autograded."""
