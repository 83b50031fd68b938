"""Every assignment of the course against its own table of wrong and right answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.author import read_answers, read_assignment
from proctor.check import check
from proctor.course import find_course

COURSE = find_course(Path(__file__).parent)


@pytest.mark.parametrize("name", COURSE.names)
def test_the_table_is_long_enough_to_mean_something(name: str) -> None:
    folder = COURSE.assignment(name)
    kinds = [row.kind for row in read_answers(folder, read_assignment(folder))]
    assert kinds.count("wrong") >= 15
    assert kinds.count("right") >= 6


@pytest.mark.parametrize("name", COURSE.names)
def test_every_test_cell_is_lost_by_some_wrong_answer(name: str) -> None:
    """A hidden test that no wrong answer meets is itself untested."""
    folder = COURSE.assignment(name)
    assignment = read_assignment(folder)
    met = {cell for row in read_answers(folder, assignment) for cell in row.loses}
    assert {cell.name for cell in assignment.of_kind("test")} <= met


@pytest.mark.parametrize("name", COURSE.names)
def test_every_answer_comes_out_as_stated(name: str) -> None:
    report = check(COURSE, name)
    assert [(finding.title, problem.what) for finding in report.findings for problem in finding.problems] == []
