"""Answers that do not come out as stated are reported with what to do; the others are not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from nbformat import NotebookNode

from proctor.check import SEED, Report, check
from proctor.course import Course
from proctor.errors import CourseError
from proctor.model import Outcome
from proctor.plain import test_cells as cells_with_tests

WRONG, OTHER_WRONG = "Wrong: types the visible answer in", "Wrong: subtracts"


class Told:
    """An engine that loses the cells it is told to, found by a piece of the answer; it fakes only the run."""

    def __init__(self, *lost: tuple[str, str, str]) -> None:
        self.lost = lost  # (text of the answer, cell, message)
        self.ran: list[list[str]] = []

    async def __call__(self, notebook: NotebookNode, /, *, seed: int) -> tuple[Outcome, ...]:
        """Return what was told."""
        assert seed == SEED, "authors' runs repeat"
        whole = "\n".join(cell.source for cell in notebook.cells)
        self.ran.append(list(cells_with_tests(notebook)))
        says = {cell: message for text, cell, message in self.lost if text in whole}
        return tuple(
            Outcome(cell, "failed" if cell in says else "passed", 0.0, 1.0, says.get(cell, "")) for cell in self.ran[-1]
        )


TESTS = ("double-seen", "double-hidden", "add-cases")
UNTOUCHED = tuple(("NotImplementedError", cell, "Task 'double' is open") for cell in TESTS)
CAUGHT = ("return 6 if x", "double-hidden", "is 6 typed in?")
ALSO_CAUGHT = ("return x - y", "add-cases", "expected 7")


def problems(report: Report) -> dict[str, Iterable[str]]:
    """Return what is not as stated, by answer."""
    return {each.title: [problem.what for problem in each.problems] for each in report.findings if each.problems}


def test_the_small_assignment_holds_in_real_kernels(unreleased: Course) -> None:
    report = check(unreleased, "tiny")
    assert problems(report) == {}
    assert [finding.title for finding in report.findings] == [
        "Reference",
        "Untouched release",
        WRONG,
        OTHER_WRONG,
        "Right: adds x to itself",
    ]
    assert [[outcome.cell for outcome in finding.lost] for finding in report.findings] == [
        [],
        ["double-seen", "double-hidden", "add-cases"],
        ["double-hidden"],
        ["add-cases"],
        [],
    ]
    assert "is 6 typed in?" in report.findings[2].lost[0].message


def test_the_told_engine_agrees_when_told_the_truth(unreleased: Course) -> None:
    assert check(unreleased, "tiny", engine=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)).holds


def test_a_wrong_answer_that_no_test_catches_is_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED, CAUGHT))
    assert problems(report) == {OTHER_WRONG: ["'add-cases' does not catch this answer"]}
    assert not report.holds


def test_a_wrong_answer_that_loses_more_than_listed_is_reported(unreleased: Course) -> None:
    more = ("return 6 if x", "double-seen", "too much")
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, more))
    assert problems(report) == {WRONG: ["'double-seen' failed, unlisted: too much"]}


def test_a_message_without_the_stated_words_is_reported(unreleased: Course) -> None:
    mute = ("return 6 if x", "double-hidden", "no")
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED, mute, ALSO_CAUGHT))
    assert problems(report) == {WRONG: ["no message holds 'is 6 typed in?': no"]}


def test_a_right_answer_that_loses_points_is_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, ("x + x", "double-seen", "odd")))
    assert problems(report) == {"Right: adds x to itself": ["'double-seen' failed: odd"]}


def test_a_reference_that_loses_points_is_reported(unreleased: Course) -> None:
    lost = ("doubled_by_the_reference", "add-cases", "odd")
    assert "Reference" in problems(check(unreleased, "tiny", engine=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, lost)))


def test_points_for_an_empty_answer_are_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED[:2], CAUGHT, ALSO_CAUGHT))
    assert problems(report) == {"Untouched release": ["'add-cases' gives points for an empty answer"]}


def test_an_empty_answer_must_read_which_task_is_open(unreleased: Course) -> None:
    mute = ("NotImplementedError", "add-cases", "NameError: name 'add' is not defined")
    report = check(unreleased, "tiny", engine=Told(*UNTOUCHED[:2], mute, CAUGHT, ALSO_CAUGHT))
    assert problems(report) == {
        "Untouched release": ["'add-cases' names no open task: NameError: name 'add' is not defined"]
    }


@pytest.mark.parametrize(("full", "cells"), [(False, 2), (True, 3)])
def test_a_slow_test_of_an_unchanged_cell_runs_only_in_full(unreleased: Course, full: bool, cells: int) -> None:
    engine = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", full=full, jobs=1, engine=engine)
    assert [len(ran) for ran in engine.ran] == [3, 3, 3, cells, 3], "only the fourth answer leaves 'double' as it is"


def test_an_unknown_assignment_is_named(unreleased: Course) -> None:
    with pytest.raises(CourseError, match="did you mean 'tiny'"):
        check(unreleased, "tinny")
