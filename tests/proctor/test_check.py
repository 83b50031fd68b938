"""Answers that do not come out as stated are reported with what to do; the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import pytest
from nbformat import NotebookNode

from proctor.check import SEED, Engines, Report, check
from proctor.course import Course
from proctor.errors import CourseError
from proctor.model import Assignment, Outcome
from proctor.plain import test_cells as cells_with_tests
from proctor.sandbox import rung_here

WRONG, OTHER_WRONG = "Wrong: types the visible answer in", "Wrong: subtracts"


class Told:
    """Both engines, which lose the cells that they are told to, found by a piece of the answer; fakes only the run."""

    def __init__(self, *lost: tuple[str, str, str], apart: tuple[tuple[str, str, str], ...] = ()) -> None:
        self.lost = lost  # (text of the answer, cell, message)
        self.apart = apart  # lost plain, and not sealed
        self.ran: list[list[str]] = []  # sealed
        self.opened: dict[str, object] = {}

    def __call__(
        self, assignment: Assignment, /, *, seed: int, jobs: int, rung: str
    ) -> AbstractAsyncContextManager[Engines]:
        """Open them."""
        self.opened = {"assignment": assignment.name, "seed": seed, "jobs": jobs, "rung": rung}
        return nullcontext(Engines(self.run_sealed, self.run_plain))

    async def run_sealed(self, notebook: NotebookNode, /) -> tuple[Outcome, ...]:
        """Return what was told."""
        self.ran.append(list(cells_with_tests(notebook)))
        return self._told(notebook, self.lost)

    async def run_plain(self, notebook: NotebookNode, /) -> tuple[Outcome, ...]:
        """Return the same, and what is lost only here."""
        return self._told(notebook, (*self.lost, *self.apart))

    @staticmethod
    def _told(notebook: NotebookNode, lost: Sequence[tuple[str, str, str]]) -> tuple[Outcome, ...]:
        whole = "\n".join(cell.source for cell in notebook.cells)
        says = {cell: message for text, cell, message in lost if text in whole}
        return tuple(
            Outcome(cell, "failed" if cell in says else "passed", 0.0, 1.0, says.get(cell, ""))
            for cell in cells_with_tests(notebook)
        )


TESTS = ("double-seen", "double-hidden", "add-cases")
UNTOUCHED = tuple(("NotImplementedError", cell, "Task 'double' is open") for cell in TESTS)
CAUGHT = ("return 6 if x", "double-hidden", "is 6 typed in?")
ALSO_CAUGHT = ("return x - y", "add-cases", "expected 7")


def problems(report: Report) -> dict[str, Iterable[str]]:
    """Return what is not as stated, by answer."""
    return {each.title: [problem.what for problem in each.problems] for each in report.findings if each.problems}


def test_the_small_assignment_holds_where_students_are_graded(unreleased: Course, rung: str) -> None:
    report = check(unreleased, "tiny", rung=rung)
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


def test_the_told_engines_agree_when_told_the_truth(unreleased: Course) -> None:
    assert check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)).holds


def test_a_wrong_answer_that_no_test_catches_is_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT))
    assert problems(report) == {OTHER_WRONG: ["'add-cases' does not catch this answer"]}
    assert not report.holds


def test_a_wrong_answer_that_loses_more_than_listed_is_reported(unreleased: Course) -> None:
    more = ("return 6 if x", "double-seen", "too much")
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, more))
    assert problems(report) == {WRONG: ["'double-seen' failed, unlisted: too much"]}


def test_a_message_without_the_stated_words_is_reported(unreleased: Course) -> None:
    mute = ("return 6 if x", "double-hidden", "no")
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED, mute, ALSO_CAUGHT))
    assert problems(report) == {WRONG: ["no message holds 'is 6 typed in?': no"]}


def test_a_right_answer_that_loses_points_is_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, ("x + x", "double-seen", "odd")))
    assert problems(report) == {"Right: adds x to itself": ["'double-seen' failed: odd"]}


def test_a_reference_that_loses_points_is_reported(unreleased: Course) -> None:
    lost = ("doubled_by_the_reference", "add-cases", "odd")
    assert "Reference" in problems(check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, lost)))


def test_points_for_an_empty_answer_are_reported(unreleased: Course) -> None:
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED[:2], CAUGHT, ALSO_CAUGHT))
    assert problems(report) == {"Untouched release": ["'add-cases' gives points for an empty answer"]}


def test_an_empty_answer_must_read_which_task_is_open(unreleased: Course) -> None:
    mute = ("NotImplementedError", "add-cases", "NameError: name 'add' is not defined")
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED[:2], mute, CAUGHT, ALSO_CAUGHT))
    assert problems(report) == {
        "Untouched release": ["'add-cases' names no open task: NameError: name 'add' is not defined"]
    }


def test_a_row_runs_the_tests_that_use_what_it_changes(unreleased: Course) -> None:
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", jobs=1, engines=told)
    double, add = ["double-seen", "double-hidden"], ["add-cases"]
    assert told.ran == [[*double, *add], [*double, *add], double, add, double]


def test_a_row_does_without_the_given_cells_that_its_tests_do_not_use(unreleased: Course) -> None:
    path = unreleased.assignments / "tiny" / "tiny.md"
    given = "```{code-cell} ipython3\n:name: %s\n%s\n```\n\n"
    shown = given % ("figure", "drawn_for_the_reader = 1") + given % ("base", "nought = 0")
    text = path.read_text(encoding="utf-8").replace("## Adding (3 points)", f"{shown}## Adding (3 points)")
    path.write_text(text.replace("    total = add(2, 5)", "    total = add(2, 5) + nought"), encoding="utf-8")
    cells: list[tuple[bool, bool]] = []

    class Noted(Told):
        async def run_sealed(self, notebook: NotebookNode, /) -> tuple[Outcome, ...]:
            whole = "\n".join(cell.source for cell in notebook.cells)
            cells.append(("drawn_for_the_reader" in whole, "nought = 0" in whole))
            return await super().run_sealed(notebook)

    check(unreleased, "tiny", jobs=1, engines=Noted(*UNTOUCHED, CAUGHT, ALSO_CAUGHT))
    assert cells == [(True, True), (True, True), (False, False), (False, True), (False, False)]
    cells.clear()
    check(unreleased, "tiny", full=True, jobs=1, engines=Noted(*UNTOUCHED, CAUGHT, ALSO_CAUGHT))
    assert cells == [(True, True)] * 5


def test_every_row_runs_every_test_in_full(unreleased: Course) -> None:
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", full=True, jobs=1, engines=told)
    assert told.ran == [list(TESTS)] * 5


@pytest.mark.parametrize(("slow", "more"), [("", ["add-cases"]), (":slow: true\n", [])])
def test_a_slow_test_runs_for_what_it_tests_and_not_for_what_it_uses(
    unreleased: Course, slow: str, more: list[str]
) -> None:
    path = unreleased.assignments / "tiny" / "tiny.md"
    text = path.read_text(encoding="utf-8")
    for before, after in [
        ("    return x + y\n", "    return double(x) - x + y\n"),
        (":tests: add\n:points: 2\n", f":tests: add\n:points: 2\n{slow}"),
    ]:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", jobs=1, engines=told)
    assert told.ran[2] == ["double-seen", "double-hidden", *more], "the third answer changes 'double'"


def test_an_unknown_assignment_is_named(unreleased: Course) -> None:
    with pytest.raises(CourseError, match="did you mean 'tiny'"):
        check(unreleased, "tinny")


def test_the_tests_of_authors_are_the_same_on_every_run(unreleased: Course) -> None:
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", jobs=3, rung="trusted", engines=told)
    assert told.opened == {"assignment": "tiny", "seed": SEED, "jobs": 3, "rung": "trusted"}


def test_answers_run_in_the_strongest_sandbox_that_there_is(unreleased: Course, request: pytest.FixtureRequest) -> None:
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT)
    check(unreleased, "tiny", engines=told)
    assert told.opened["rung"] == (rung_here().name or "trusted")
    request.getfixturevalue("no_sandbox")
    check(unreleased, "tiny", engines=told)
    assert told.opened["rung"] == "trusted", "they are our own"


def test_an_answer_judged_otherwise_under_validate_is_reported(unreleased: Course) -> None:
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, apart=(("x + x", "double-seen", "odd  one\nout"),))
    report = check(unreleased, "tiny", engines=told)
    assert problems(report) == {
        "Right: adds x to itself": ["'double-seen' passed sealed, and plain failed: odd one out"]
    }
    (finding,) = [each for each in report.findings if each.problems]
    assert finding.lost == (), "the sealed verdict is the one that counts"
    assert finding.problems[0].todo.endswith("if both must be, say why in a line 'differs:'")


def test_a_stated_difference_from_validate_is_none_to_report(unreleased: Course) -> None:
    say_differs(unreleased)
    told = Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT, apart=(("x + x", "double-seen", "odd"),))
    assert check(unreleased, "tiny", engines=told).holds


def test_a_stated_difference_that_there_is_not_is_reported(unreleased: Course) -> None:
    say_differs(unreleased)
    report = check(unreleased, "tiny", engines=Told(*UNTOUCHED, CAUGHT, ALSO_CAUGHT))
    assert problems(report) == {
        "Right: adds x to itself": ["the sealed and the plain verdict agree, which is not stated"]
    }


LIAR = """
## Wrong: gives back what claims to equal anything
loses: double-seen, double-hidden
says: cannot be judged
differs: under Validate the value itself decides what it equals
```{code-cell} double
class Six(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__

def double(x):
    return Six(6)
```
"""


def test_a_value_that_lies_is_believed_under_validate_only(unreleased: Course) -> None:
    path = unreleased.assignments / "tiny" / "answers.md"
    path.write_text(path.read_text(encoding="utf-8") + LIAR, encoding="utf-8")
    report = check(unreleased, "tiny", rung="trusted")
    assert problems(report) == {}
    liar = report.findings[-1]
    assert [outcome.cell for outcome in liar.lost] == ["double-seen", "double-hidden"]
    assert liar.lost[0].message.startswith("'answer' holds ")


def say_differs(course: Course) -> None:
    path = course.assignments / "tiny" / "answers.md"
    before = path.read_text(encoding="utf-8")
    heading = "## Right: adds x to itself\n"
    assert heading in before
    path.write_text(before.replace(heading, f"{heading}differs: it looks at the frames above it\n"), encoding="utf-8")
