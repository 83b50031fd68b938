"""The made-up class holds every kind of submission, made from the assignment itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proctor.author import read_answers, read_assignment
from proctor.course import Course
from proctor.model import Outcome, Verdict
from proctor.roster import Pupil, make_class


@pytest.fixture(scope="module")
def members(released: Course) -> dict[str, Pupil]:
    folder = released.assignment("tiny")
    assignment = read_assignment(folder)
    blank = (released.release / "tiny" / "tiny.ipynb").read_text(encoding="utf-8")
    return {each.student: each for each in make_class(assignment, read_answers(folder, assignment), blank)}


def sources(submission: Pupil) -> dict[str, str]:
    cells: list[dict[str, Any]] = json.loads(submission.text)["cells"]
    return {cell["metadata"].get("nbgrader", {}).get("grade_id", ""): "".join(cell["source"]) for cell in cells}


def test_every_id_can_be_told_from_a_real_one(members: dict[str, Pupil]) -> None:
    assert all(student.startswith("demo-") for student in members)
    assert len(members) == 10


def test_the_reference_is_handed_in_without_markers(members: dict[str, Pupil]) -> None:
    assert "doubled_by_the_reference" in members["demo-ada"].text
    assert "BEGIN SOLUTION" not in members["demo-ada"].text
    assert "BEGIN HIDDEN" not in members["demo-ada"].text
    assert members["demo-ada"].score == 5.0


def test_rows_are_handed_in_with_the_score_that_they_state(members: dict[str, Pupil]) -> None:
    assert "return x + x" in sources(members["demo-grace"])["double"]
    assert members["demo-grace"].score == 5.0
    assert "return 6 if x else 0" in sources(members["demo-blaise"])["double"]
    assert (members["demo-blaise"].score, members["demo-carl"].score) == (3.0, 3.0)


def test_half_of_the_tasks_are_done(members: dict[str, Pupil]) -> None:
    half = sources(members["demo-alan"])
    assert "doubled_by_the_reference" in half["double"]
    assert "NotImplementedError" in half["add"]


def test_every_function_of_the_noisy_one_warns_and_keeps_its_docstring(members: dict[str, Pupil]) -> None:
    noisy = sources(members["demo-linus"])
    for name in ("double", "add"):
        assert "warnings.warn" in noisy[name]
        assert '"""Return' in noisy[name]


def test_only_one_cell_of_the_endless_one_never_ends(members: dict[str, Pupil]) -> None:
    endless = sources(members["demo-zeno"])
    assert [name for name, source in endless.items() if "while True" in source] == ["add"], "the fewest tests judge it"


def test_one_test_cell_stands_twice(members: dict[str, Pupil]) -> None:
    cells = json.loads(members["demo-iris"].text)["cells"]
    names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in cells]
    assert names.count("double-seen") == 2
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_one_file_is_no_json(members: dict[str, Pupil]) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(members["demo-otto"].text)


def test_a_submission_knows_its_verdict() -> None:
    right = Pupil("demo-ada", "", "", score=2.0)
    full = Verdict("demo-ada", "tiny", "complete", (Outcome("a", "passed", 2.0, 2.0),))
    assert right.meets(full)
    assert not right.meets(Verdict("demo-ada", "tiny", "complete", (Outcome("a", "failed", 0.0, 2.0),)))
    assert not right.meets(Verdict("demo-ada", "tiny", "not judged"))
    assert Pupil("demo-zeno", "", "", state="partial").meets(Verdict("demo-zeno", "tiny", "partial"))
