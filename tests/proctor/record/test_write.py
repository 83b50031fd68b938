"""After `record`, nbgrader's own commands find everything where they expect it, and nothing hostile in it."""

from __future__ import annotations

import csv
import importlib.util
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from proctor.course import Course
from proctor.errors import CourseError, EngineError
from proctor.model import Step
from proctor.record import record


def _pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("pages.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _pages()
Make = Callable[..., Any]
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(\"STUDENT\")'></svg>"
HOSTILE = "<script>alert('STUDENT')</script><img src=x onerror=alert('STUDENT')>" + SVG


def nbgrader(course: Course, *command: str) -> None:
    """Run a command of nbgrader's in the course's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *command],
        cwd=course.root,
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def score(course: Course, student: str = "ada") -> float:
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        return float(gradebook.find_submission("tiny", student).score)


def submit(course: Course, student: str = "ada", **extra: str) -> Path:
    """Hand in some files besides the notebook."""
    folder = course.submitted / student / "tiny"
    folder.mkdir(parents=True)
    for name, text in {"tiny.ipynb": "{}", **extra}.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def test_feedback_and_export_work_unchanged(work: Make) -> None:
    innocent, hostile = work("ada"), work("eve")
    hostile.changes = {
        "double-hidden": {"state": "failed", "points": 0.0, "message": "is 6 typed in?"},
        "add-cases": {"state": "failed", "points": 1.25, "message": "expected 7"},
    }
    hostile.answers["why-add"] = (
        f"{HOSTILE}\n\n[x](javascript:alert('STUDENT'))\n\n$\\href{{javascript:alert(1)}}{{x}}$"
    )
    hostile.added = [
        Step("added", "raw", HOSTILE, HOSTILE, label="your cell 1"),
        Step("added", "markdown", HOSTILE, HOSTILE, label="your cell 2"),
        Step("added", "code", HOSTILE, HOSTILE, label="your cell 3"),
    ]
    bundle = {"text/html": HOSTILE, "text/markdown": HOSTILE, "application/javascript": "alert('STUDENT')"}
    hostile.outputs = {
        "double": [
            {"output_type": "display_data", "metadata": {}, "data": bundle},
            {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": SVG}},
            {"output_type": "stream", "name": "stdout", "text": HOSTILE},
            {"output_type": "error", "ename": HOSTILE, "evalue": HOSTILE, "traceback": [HOSTILE]},
        ]
    }
    verdicts = {each.student: each.record() for each in (innocent, hostile)}
    course: Course = innocent.course
    nbgrader(course, "generate_feedback", "tiny")
    before, after = (
        (course.feedback / student / "tiny" / "tiny.html").read_text(encoding="utf-8") for student in ("ada", "eve")
    )
    assert pages.active(after) == pages.active(before)
    assert after.count("<script") == before.count("<script")
    seen = pages.text(after)
    for shown in ("test 'double-hidden': is 6 typed in?", "test 'add-cases': 1.25 of 2 points", "expected 7"):
        assert shown in seen
    for hidden in ("BEGIN HIDDEN", "drawn ==", "no one has seen", "doubled_by_the_reference"):
        assert hidden not in after
        assert hidden in (course.source / "tiny" / "tiny.ipynb").read_text(encoding="utf-8")
    assert "(Score: 2.25 / 6.0)" in seen
    nbgrader(course, "export", "--to", "grades.csv")
    with (course.root / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == {student: verdict.score for student, verdict in verdicts.items()} == {"ada": 5.0, "eve": 2.25}


def test_the_formgrader_lists_it_as_autograded(work: Make) -> None:
    ada = work()
    submit(ada.course, timestamp__txt="2026-01-05 12:00:00 UTC\n")
    ada.record()
    folders = CourseDirectory()
    folders.root = str(ada.course.root)
    api = NbGraderAPI(folders)
    assert api.get_autograded_students("tiny") == {"ada"}
    (listed,) = api.get_submissions("tiny")
    assert (listed["autograded"], listed["score"], listed["needs_manual_grade"]) == (True, 5.0, True)
    (notebook,) = api.get_notebook_submissions("tiny", "tiny")
    assert notebook["failed_tests"] is False


def test_only_the_instructors_files_and_the_timestamp_come_along(work: Make) -> None:
    ada = work()
    source = ada.course.source / "tiny"
    (source / "data").mkdir()
    (source / "data" / "digits.txt").write_text("1 2 3", encoding="utf-8")
    (source / "cache.pyc").write_text("ignored by nbgrader", encoding="utf-8")
    submit(ada.course, secret__py="import os", timestamp__txt="2026-01-05 12:00:00 UTC\n")
    ada.record()
    folder = ada.course.autograded / "ada" / "tiny"
    assert files(folder) == ["data/digits.txt", "timestamp.txt", "tiny.ipynb"]
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in files(folder)} == {0o444}
    assert (folder / "timestamp.txt").read_text(encoding="utf-8") == "2026-01-05 12:00:00 UTC"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("damaged", ["", "no time at all", "\x00" * 9, "9" * 5000])
def test_a_damaged_timestamp_counts_as_received(work: Make, damaged: str) -> None:
    ada = work()
    submit(ada.course, timestamp__txt=damaged)
    ada.record()
    assert (ada.course.autograded / "ada" / "tiny" / "timestamp.txt").read_text(encoding="utf-8") == (
        ada.submission.received
    )


def test_a_link_is_no_timestamp(work: Make, tmp_path: Path) -> None:
    ada = work()
    (tmp_path / "elsewhere").write_text("2020-01-05 12:00:00 UTC", encoding="utf-8")
    (submit(ada.course) / "timestamp.txt").symlink_to(tmp_path / "elsewhere")
    ada.record()
    text = (ada.course.autograded / "ada" / "tiny" / "timestamp.txt").read_text(encoding="utf-8")
    assert text == ada.submission.received


def test_recording_again_replaces_the_folder(work: Make) -> None:
    ada = work()
    ada.record()
    folder = ada.course.autograded / "ada" / "tiny"
    first = (folder / "tiny.ipynb").read_bytes()
    (folder / "old.txt").write_text("of an earlier run", encoding="utf-8")
    ada.record()
    assert files(folder) == ["tiny.ipynb"]
    assert (folder / "tiny.ipynb").read_bytes() == first


def test_a_failure_leaves_folder_and_grades_as_they_were(work: Make) -> None:
    ada = work()
    ada.record()
    folder = ada.course.autograded / "ada" / "tiny"
    first = (folder / "tiny.ipynb").read_bytes()
    ada.changes = {"double-seen": {"state": "failed", "points": 0.0, "message": "no"}}
    rebuilt = ada.rebuilt
    stranger = Step(
        "test", "code", "pass", "pass", "stranger", "stranger", 1.0, dict(_marks(rebuilt), grade_id="stranger")
    )
    with pytest.raises(CourseError, match="stranger"):
        record(
            ada.course,
            ada.submission,
            [replace(rebuilt, steps=(*rebuilt.steps, stranger))],
            [ada.run],
            ada.verdict,
        )
    assert (folder / "tiny.ipynb").read_bytes() == first
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert score(ada.course) == 5.0


def _marks(rebuilt: Any) -> dict[str, Any]:
    (step,) = (step for step in rebuilt.steps if step.name == "double-seen")
    return dict(step.marks)


def test_what_a_killed_run_left_is_cleared(work: Make) -> None:
    ada = work()
    ada.record()
    folder = ada.course.autograded / "ada" / "tiny"
    folder.rename(folder.with_name(".tiny.old"))
    folder.with_name(".tiny.new").mkdir()
    (folder.with_name(".tiny.new") / "half").write_text("", encoding="utf-8")
    ada.record()
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert files(folder) == ["tiny.ipynb"]


def test_a_full_disk_is_our_fault(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = work()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EngineError) as raised:
        ada.record()
    assert "could not be written: No space left on device" in str(raised.value)
    assert "grade again" in str(raised.value)
    assert files(ada.course.autograded / "ada") == []


def test_a_verdict_not_judged_is_not_recorded(work: Make) -> None:
    ada = work()
    with pytest.raises(ValueError, match="has no grades to record"):
        record(ada.course, ada.submission, [], [], replace(ada.verdict, state="not judged"))
