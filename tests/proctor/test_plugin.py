"""What is plugged into nbgrader: copies are ordinary, warnings are free, the instructor's own cells have time."""

from __future__ import annotations

from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from proctor.course import Course
from proctor.errors import CourseError
from proctor.plugin import GIVEN_LIMIT, CalmTests, OrdinaryCopies, SeededExecute


def cell(name: str, *, grade: bool = False, solution: bool = False, outputs: Any = ()) -> NotebookNode:
    marks: dict[str, Any] = {"grade_id": name, "schema_version": 3, "task": False}
    marks |= {"grade": grade, "solution": solution, "locked": not solution, "points": 1}
    return new_code_cell("pass", metadata={"nbgrader": marks}, outputs=list(outputs))


def processed(preprocessor: Any, *cells: NotebookNode) -> list[NotebookNode]:
    notebook, _ = preprocessor.preprocess(new_notebook(cells=list(cells)), {})
    return list(notebook.cells)


def test_of_two_cells_with_one_name_the_first_becomes_ordinary() -> None:
    first, second, other = processed(OrdinaryCopies(), cell("a"), cell("a"), cell("b"))
    assert "nbgrader" not in first.metadata
    assert second.metadata.nbgrader["grade_id"] == "a"
    assert other.metadata.nbgrader["grade_id"] == "b"


def test_a_warning_in_a_test_is_no_error_and_an_error_still_is() -> None:
    warnings = [new_output("stream", name="stderr", text="a warning") for _ in range(2)]
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    test, answer = processed(
        CalmTests(),
        cell("test", grade=True, outputs=[warnings[0], error]),
        cell("answer", solution=True, outputs=[warnings[1]]),
    )
    assert [output.output_type for output in test.outputs] == ["stream", "error"]
    assert (test.outputs[0].name, test.outputs[0].text) == ("stdout", "a warning")
    assert answer.outputs[0].name == "stderr"


def test_only_the_instructors_own_cells_may_take_longer() -> None:
    limit = SeededExecute(timeout=10).timeout_func
    assert limit(cell("opening")) == GIVEN_LIMIT
    assert limit(cell("test", grade=True)) == 10
    assert limit(cell("answer", solution=True)) == 10
    assert limit(new_code_cell("pass")) == 10
    assert SeededExecute(timeout=1000).timeout_func(cell("opening")) == 1000


def test_without_a_seed_nothing_runs(unreleased: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unreleased.root)
    with pytest.raises(CourseError, match="proctor release tiny"):
        SeededExecute().preprocess(new_notebook(), {"nbgrader": {"assignment": "tiny"}})
