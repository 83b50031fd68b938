"""The autograded notebook shows what may be shown, and nbgrader reads from it exactly the points earned."""

from __future__ import annotations

import math
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import compute_checksum, determine_grade

from proctor.model import Outcome, Rebuilt, Run, Step
from proctor.record.markdown import JOINER
from proctor.record.notebook import autograded_notebook

MARKS = {"schema_version": 3, "task": False}


def graded(name: str = "forward", *, points: float = 3.0) -> Step:
    marks = MARKS | {"grade_id": name, "grade": True, "solution": False, "locked": True, "points": points}
    return Step("test", "code", "assert secret == 5", "assert seen", name, name, points, marks)


def written_step(text: str, *, name: str = "why") -> Step:
    marks = MARKS | {"grade_id": name, "grade": True, "solution": True, "locked": False, "points": 1}
    return Step("written", "markdown", text, text, name, name, 1.0, marks)


def notebook(*steps: Step, run: Run | None = None, checksums: dict[str, str] | None = None) -> Any:
    """Return a valid autograded notebook."""
    made = autograded_notebook(Rebuilt("dense", steps), run, checksums=checksums or {})
    nbformat.validate(made)
    MetadataValidator().validate_nb(made)
    return nbformat.reads(nbformat.writes(made), as_version=4)


def ran(*outcomes: Outcome, **outputs: Any) -> Run:
    return Run("dense", outcomes, {int(key[1:]): tuple(value) for key, value in outputs.items()})


@pytest.mark.parametrize(
    ("state", "points", "read"),
    [
        ("passed", 3.0, 3.0),
        ("failed", 0.0, 0.0),
        ("crashed", 0.0, 0.0),
        ("timed out", 0.0, 0.0),
        ("failed", 0.5, 0.5),
        ("failed", 1 / 3, 1 / 3),
        ("failed", 3.0, 3.0),
        ("passed", 2.5, 2.5),
        ("passed", math.nan, 0.0),
        ("failed", math.inf, 3.0),
        ("failed", -1.0, 0.0),
        ("passed", 99.0, 3.0),
        ("not judged", 3.0, 0.0),
    ],
)
def test_nbgrader_reads_the_points_that_were_earned(state: Any, points: float, read: float) -> None:
    made = notebook(graded(), run=ran(Outcome("forward", state, points, 3.0, "is the bias added?")))
    assert determine_grade(made.cells[0]) == (read, 3.0)


def test_a_failed_test_says_its_name_and_the_message() -> None:
    made = notebook(graded(), run=ran(Outcome("forward", "failed", 0.0, 3.0, "shape is (2,),\nexpected \x1b[2J(3,)")))
    (output,) = made.cells[0].outputs
    assert (output.ename, output.evalue) == ("Failed", "shape is (2,),\nexpected (3,)")
    assert output.traceback == ["Failed", "test 'forward': shape is (2,),", "expected (3,)"]


def test_a_part_of_the_points_comes_with_the_message() -> None:
    made = notebook(graded(), run=ran(Outcome("forward", "failed", 1.5, 3.0, "half of the rows are right")))
    assert made.cells[0].outputs[0].text == "test 'forward': 1.5 of 3 points\nhalf of the rows are right\n"


def test_a_test_without_outcome_is_not_judged() -> None:
    for run in (None, ran()):
        (output,) = notebook(graded(), run=run).cells[0].outputs
        assert output.ename == "Not judged"
        assert "a person decides" in output.evalue


def test_nothing_hidden_is_in_it() -> None:
    made = notebook(graded(), run=ran(Outcome("forward", "passed", 3.0, 3.0)))
    assert made.cells[0].source == "assert seen"
    assert "secret" not in nbformat.writes(made)


def test_what_a_student_claims_about_a_test_is_not_in_it() -> None:
    forged = [{"output_type": "execute_result", "data": {"text/plain": "3.0"}, "metadata": {}, "execution_count": 1}]
    made = notebook(graded(), run=ran(Outcome("forward", "failed", 0.0, 3.0, "no"), _0=forged))
    assert [output.output_type for output in made.cells[0].outputs] == ["error"]


def test_outputs_are_cleaned_and_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proctor.record.notebook.NOTEBOOK_LIMIT", 60)
    steps = [Step("added", "code", "x", "x", label=f"your cell {number}") for number in range(3)]
    line = {"output_type": "stream", "name": "stdout", "text": "\x1b[2J" + "x" * 40}
    made = notebook(*steps, run=ran(_0=[line], _1=[line], _2=[line]))
    assert made.cells[0].outputs[0].text == "x" * 40
    assert made.cells[1].outputs[0].text == "x" * 20 + "\n… cut: 20 more bytes\n"
    assert made.cells[2].outputs[0].text == "… cut: 1 more outputs\n"


def test_an_untouched_answer_is_seen_as_no_response() -> None:
    released = "Why? <span id='instructor'>Answer here</span>"
    step = written_step(released)
    checksum = compute_checksum(new_markdown_cell(released, metadata={"nbgrader": step.marks}))
    made = notebook(step, checksums={"why": checksum})
    assert determine_grade(made.cells[0]) == (0, 1.0)
    assert made.cells[0].source == released
    made = notebook(written_step("Because. <script>"), checksums={"why": checksum})
    assert determine_grade(made.cells[0]) == (None, 1.0)
    assert made.cells[0].source == f"Because. <{JOINER}script>"


def test_a_raw_cell_of_the_students_is_no_html() -> None:
    made = notebook(Step("added", "raw", "<script>alert(1)</script>", "<script>alert(1)</script>"))
    assert made.cells[0].cell_type == "markdown"
    assert "<script" not in made.cells[0].source


def test_ids_are_stable_and_different() -> None:
    text = Step("text", "markdown", "# Title", "# Title")
    steps = [graded("forward"), text, text, graded("x" * 65), graded("step--1")]
    first, second = (notebook(*steps) for _ in range(2))
    ids = [cell.id for cell in first.cells]
    assert ids == [cell.id for cell in second.cells]
    assert ids == ["forward", "step--1", "step--2", "step--3", "step--4"]


def test_half_characters_in_code_can_be_written() -> None:
    made = notebook(Step("added", "code", "x = '\ud800'", "x = '\ud800'"))
    assert made.cells[0].source == "x = '\ufffd'"


def test_the_words_of_a_student_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proctor.record.notebook.MARKDOWN_LIMIT", 60)
    steps = [Step("added", "markdown", "x" * 40, "x" * 40) for _ in range(2)]
    made = notebook(*steps)
    assert [cell.source for cell in made.cells] == ["x" * 40, "x" * 20 + "\n… cut: 20 more bytes\n"]
