"""Stock nbgrader grades one submission, or says in a sentence why it could not; it never leaves a zero instead."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proctor.course import Course, secret_seed
from proctor.errors import EngineError
from proctor.gradebook import submitters
from proctor.model import Verdict
from proctor.stock import StockEngine, StockLimits, write_feedback

Gone = Callable[[int], bool]
Run = Callable[[Awaitable[Any]], Any]
Submit = Callable[..., Path]
TELL_SEED = "import os\nos.environ['DESCENT_SEED']"
QUICK = StockLimits(cell=10)
RIGHT = {"double": "def double(x):\n    return x + x", "add": "def add(x, y):\n    return x + y"}


def grade(run: Run, course: Course, student: str, *, limits: StockLimits = QUICK) -> Verdict:
    verdict: Verdict = run(StockEngine(course, "tiny", limits)(student))
    return verdict


def test_a_submission_with_a_deleted_test_and_a_wrong_answer(run: Run, course: Course, submit: Submit) -> None:
    """One run, several claims: a run takes four seconds."""
    path = submit("ida", cells=RIGHT | {"add": "def add(x, y):\n    return 8"}, added=TELL_SEED)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = notebook["cells"]
    notebook["cells"] = [
        cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") != "double-hidden"
    ]
    assert len(notebook["cells"]) == len(cells) - 1
    path.write_text(json.dumps(notebook), encoding="utf-8")

    verdict = grade(run, course, "ida")

    assert (verdict.state, verdict.reason, verdict.score, verdict.max_score) == ("complete", "", 3.0, 5.0)
    by_cell = {outcome.cell: outcome for outcome in verdict.outcomes}
    assert by_cell["double-hidden"].state == "passed", "a deleted test cell is put back"
    assert by_cell["add-cases"].message == "add(2, 5) is 8, expected 7"
    assert "why-add" not in by_cell, "a written answer is not lost, it waits for a person"
    autograded = (course.autograded / "ida" / "tiny" / "tiny.ipynb").read_text(encoding="utf-8")
    assert str(secret_seed(course, "tiny")) in autograded, "hidden tests draw from the secret seed"


def test_broken_json_is_not_judged(run: Run, course: Course) -> None:
    path = course.submitted / "otto" / "tiny" / "tiny.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text("{\n'cells'", encoding="utf-8")
    verdict = grade(run, course, "otto")
    assert (verdict.state, verdict.outcomes) == ("not judged", ())
    assert verdict.reason == "the notebook is not valid JSON (line 2)"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON (line 1)"),
        (b"[]", "it has no cells"),
        (b'{"cells": 3}', "it has no cells"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_notebook_is_not_judged(run: Run, course: Course, content: bytes, reason: str) -> None:
    path = course.submitted / "otto" / "tiny" / "tiny.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    verdict = grade(run, course, "otto")
    assert verdict.state == "not judged"
    assert reason in verdict.reason


def test_nothing_handed_in_is_not_judged(run: Run, course: Course) -> None:
    assert grade(run, course, "nobody").reason == "no 'tiny.ipynb' was handed in"


def test_a_dead_kernel_leaves_no_grade_and_no_half_files(run: Run, course: Course, submit: Submit) -> None:
    submit("ida", cells={"double": "import os\nos._exit(1)"})
    verdict = grade(run, course, "ida")
    assert (verdict.state, verdict.reason) == ("not judged", "the kernel died while the notebook ran")
    assert submitters(course.gradebook, "tiny") == ()
    assert not (course.autograded / "ida" / "tiny").exists()


def test_a_submission_has_a_deadline(run: Run, course: Course, submit: Submit) -> None:
    submit("ida", cells=RIGHT)
    verdict = grade(run, course, "ida", limits=StockLimits(total=0.5))
    assert (verdict.state, verdict.reason) == ("not judged", "it ran past 0.5 s and was stopped")


def test_an_interrupt_leaves_no_process_and_no_half_files(
    run: Run, course: Course, submit: Submit, tmp_path: Path, gone: Gone
) -> None:
    """The kernel has a session of its own, and ignores what others ask of it."""
    started = tmp_path / "pid"
    stubborn = f"""
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
open({str(started)!r}, "w").write(str(os.getpid()))
while True: pass
"""
    submit("ida", cells={"double": stubborn})

    async def cancel_when_running() -> None:
        task = asyncio.create_task(StockEngine(course, "tiny")("ida"))
        while not task.done() and not (started.exists() and started.read_text()):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel_when_running())
    assert gone(int(started.read_text()))
    assert not (course.autograded / "ida" / "tiny").exists(), "a half-made file would be taken for a grade"
    assert submitters(course.gradebook, "tiny") == ()


def test_feedback_for_an_unknown_assignment_says_how_to_see_more(run: Run, course: Course) -> None:
    with pytest.raises(EngineError, match="nbgrader generate_feedback nothing --force"):
        run(write_feedback(course, "nothing", "demo-*"))


def test_the_round_trip_works_by_hand(course: Course, submit: Submit) -> None:
    """What an instructor types in the course's folder, with no command of ours in between."""
    submit("ida", cells=RIGHT)
    for command in (
        ("generate_assignment", "tiny", "--force"),
        ("autograde", "tiny"),
        ("generate_feedback", "tiny"),
        ("export", "--to=grades.csv"),
    ):
        nbgrader(course, *command)
    assert "double-hidden" in (course.feedback / "ida" / "tiny" / "tiny.html").read_text(encoding="utf-8")
    heading, row = (course.root / "grades.csv").read_text(encoding="utf-8").splitlines()
    grades = dict(zip(heading.split(","), row.split(","), strict=True))
    assert (grades["student_id"], grades["score"], grades["max_score"]) == ("ida", "5.0", "6.0")


def test_an_assignment_that_was_never_released_is_not_graded_without_its_seed(course: Course, submit: Submit) -> None:
    submit("ida", cells=RIGHT)
    course.seeds.unlink()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        nbgrader(course, "autograde", "tiny")
    assert "proctor release tiny" in caught.value.stderr
    assert not (course.autograded / "ida" / "tiny").exists()


def nbgrader(course: Course, *command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "nbgrader", *command], cwd=course.root, check=True, capture_output=True, text=True
    )
