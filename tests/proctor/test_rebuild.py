"""The rebuilt notebook is the instructor's, with what the student wrote where the student wrote it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions

from proctor.author import NameOpenTasks, build_notebook, read_assignment
from proctor.course import Course
from proctor.model import HandedIn, Rebuilt, Step, SubmittedNotebook
from proctor.rebuild import rebuild

ROOT = Path(__file__).resolve().parents[2]
SECRET = "secret_answer"  # in every solution of the notebook below, and nowhere else


def mark(name: str, **flags: Any) -> dict[str, Any]:
    flags = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3} | flags
    return {"nbgrader": {"grade_id": name, **flags}}


def foreign() -> NotebookNode:
    """Return a source notebook as an instructor makes it in JupyterLab, with cells that nbgrader does not know."""
    cells = [
        new_markdown_cell("# Course"),
        new_code_cell("import math", metadata=mark("imports", locked=True)),
        new_code_cell("rate = 0.1"),
        new_markdown_cell("Read this.", metadata=mark("read-only", locked=True)),
        new_code_cell(
            f"def f(x):\n    ### BEGIN SOLUTION\n    {SECRET} = x\n    return {SECRET}\n    ### END SOLUTION",
            metadata=mark("f", solution=True),
        ),
        new_code_cell(
            "assert f(1) == 1\n### BEGIN HIDDEN TESTS\nassert f(2) == 2\n### END HIDDEN TESTS\nassert f(3) == 3",
            metadata=mark("f-test", grade=True, locked=True, points=2),
        ),
        new_code_cell("plot = f(4)"),
        new_code_cell(f"{SECRET} = 7", metadata=mark("g", solution=True)),
        new_code_cell("assert g == 7", metadata=mark("g-test", grade=True, locked=True, points=1.5)),
        new_markdown_cell(f"{SECRET} is why.", metadata=mark("why", grade=True, solution=True, points=3)),
        new_code_cell(
            f"before = 1\n### BEGIN SOLUTION\n{SECRET} = 2\n### END SOLUTION",
            metadata=mark("sketch", grade=True, solution=True, points=1),
        ),
        new_markdown_cell(
            f"Build it.\n### BEGIN MARK SCHEME\n{SECRET}: 3 points\n### END MARK SCHEME",
            metadata=mark("build", task=True, locked=True, points=4),
        ),
        new_raw_cell("raw"),
    ]
    notebook: NotebookNode = new_notebook(cells=cells)
    return notebook


def release(source: NotebookNode) -> list[HandedIn]:
    """Return the cells that nbgrader itself gives to students."""
    notebook, resources = copy.deepcopy(source), {"language": "python"}
    for clear in (ClearSolutions, ClearHiddenTests, ClearMarkScheme):
        notebook, resources = clear().preprocess(notebook, resources)
    return handed_in(notebook)


def handed_in(notebook: Any) -> list[HandedIn]:
    return [
        HandedIn(cell["cell_type"], cell["source"], cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
        for cell in notebook["cells"]
    ]


SOURCE = foreign()
RELEASED = release(SOURCE)
ANSWERS = {"f": "def f(x):\n    return x", "g": "g = 7", "why": "*Because.*", "sketch": "before = 2"}
ANSWERED = [replace(cell, source=ANSWERS.get(cell.name, cell.source)) for cell in RELEASED]


def at(name: str) -> int:
    """Return the index of a cell of the submission, by its name or its text."""
    return next(index for index, cell in enumerate(ANSWERED) if name in (cell.name, cell.source))


def with_cells(position: int, *new: HandedIn, instead: int = 0) -> list[HandedIn]:
    return [*ANSWERED[:position], *new, *ANSWERED[position + instead :]]


def code(source: str, name: str = "") -> HandedIn:
    return HandedIn("code", source, name)


def built(cells: Sequence[HandedIn]) -> Rebuilt:
    return rebuild(SOURCE, SubmittedNotebook("course", tuple(cells)), name="course")


def labels(rebuilt: Rebuilt) -> list[str]:
    return [step.label for step in rebuilt.steps]


def step(rebuilt: Rebuilt, label: str) -> Step:
    (found,) = [step for step in rebuilt.steps if step.label == label]
    return found


# --- what is the instructor's ---------------------------------------------------------------------------------------


def test_an_answered_notebook_keeps_its_order_and_takes_the_answers() -> None:
    rebuilt = built(ANSWERED)
    assert rebuilt.notes == ()
    assert (rebuilt.name, rebuilt.opening) == ("course", "import math")
    assert [(step.role, step.kind, step.name, step.label) for step in rebuilt.steps] == [
        ("text", "markdown", "", "the text cell 1"),
        ("given", "code", "imports", "imports"),
        ("given", "code", "", "the given cell 3"),
        ("text", "markdown", "", "read-only"),
        ("solution", "code", "f", "f"),
        ("test", "code", "f-test", "f-test"),
        ("given", "code", "", "the given cell 7"),
        ("solution", "code", "g", "g"),
        ("test", "code", "g-test", "g-test"),
        ("written", "markdown", "why", "why"),
        ("written", "code", "sketch", "sketch"),
        ("task", "markdown", "build", "build"),
        ("text", "raw", "", "the text cell 13"),
    ]
    for name, answer in ANSWERS.items():
        assert (step(rebuilt, name).source, step(rebuilt, name).shown) == (answer, answer)


def test_a_test_runs_whole_and_shows_what_was_released() -> None:
    test = step(built(ANSWERED), "f-test")
    assert test.source == SOURCE.cells[5].source
    assert test.shown == RELEASED[5].source == "assert f(1) == 1\nassert f(3) == 3"
    assert test.points == 2.0
    assert test.marks == {
        "grade_id": "f-test",
        "grade": True,
        "solution": False,
        "locked": True,
        "task": False,
        "points": 2.0,
        "schema_version": 3,
        "cell_type": "code",
    }


def test_unmarked_cells_carry_no_marks_and_ungraded_ones_no_points() -> None:
    rebuilt = built(ANSWERED)
    assert step(rebuilt, "the given cell 3").marks == {}
    assert "points" not in step(rebuilt, "f").marks
    assert step(rebuilt, "read-only").marks["grade_id"] == "read-only"
    assert [step.points for step in rebuilt.steps if step.points] == [2.0, 1.5, 3.0, 1.0, 4.0]


def test_what_students_received_is_what_nbgrader_released() -> None:
    everything_open = rebuild(SOURCE, None, name="course")
    assert [step.shown for step in everything_open.steps] == [cell.source for cell in RELEASED]
    assert everything_open.notes == ("notebook 'course' was not handed in: its tasks stand open",)
    assert built(RELEASED).steps == everything_open.steps


def test_marks_of_nbgraders_first_version_are_read() -> None:
    old = new_code_cell("assert f", metadata={"nbgrader": {"grade_id": "old", "grade": True, "points": "2.5"}})
    none = new_code_cell("assert f", metadata={"nbgrader": {"grade_id": "none", "grade": True, "points": ""}})
    odd = new_code_cell("assert f", metadata={"nbgrader": {"grade_id": "odd", "grade": True, "points": "many"}})
    bare = new_code_cell("x = 1", metadata={"nbgrader": {"grade_id": "bare", "grade": False}})
    steps = rebuild({"cells": [old, none, odd, bare]}, None, name="n").steps
    assert [(step.role, step.name, step.points) for step in steps] == [
        ("test", "old", 2.5),
        ("test", "none", 0.0),
        ("test", "odd", 0.0),
        ("given", "", 0.0),
    ]
    assert steps[0].marks["schema_version"] == 3


def test_sources_may_be_lists_of_lines_and_regions_may_stay_open() -> None:
    cells = [
        {"cell_type": "code", "metadata": mark("f", solution=True), "source": ["### BEGIN SOLUTION\n", SECRET]},
        {"cell_type": "code", "metadata": mark("t", grade=True), "source": ["a\n", "### BEGIN HIDDEN TESTS\n", "b"]},
        {"cell_type": "code", "metadata": {}, "source": f"x\n# BEGIN SOLUTION\n{SECRET}\n# END SOLUTION"},
        {"cell_type": "heading", "source": "h"},
    ]
    steps = rebuild({"cells": cells}, None, name="n").steps
    assert [step.shown for step in steps] == [STUB, "a", f"x\n{STUB}", "h"]
    assert steps[1].source == "a\n### BEGIN HIDDEN TESTS\nb"
    assert steps[3].kind == "raw"


STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


def test_without_a_locked_cell_there_is_no_opening() -> None:
    assert rebuild({"cells": [SOURCE.cells[2]]}, None, name="n").opening == ""


# --- what the student changed ---------------------------------------------------------------------------------------


def test_a_changed_test_is_run_as_released_and_noted() -> None:
    rebuilt = built(with_cells(at("f-test"), code("assert True", "f-test"), instead=1))
    assert step(rebuilt, "f-test").source == SOURCE.cells[5].source
    assert rebuilt.notes == ("test cell 'f-test' was changed: the released one was run",)


def test_white_space_and_line_ends_are_no_change() -> None:
    cells = [replace(cell, source=cell.source.replace("\n", "  \r\n") + "\n\n") for cell in ANSWERED]
    assert built(cells).notes == ()


def test_each_deleted_cell_is_back_and_noted() -> None:
    rebuilt = built([])
    assert rebuilt.steps == rebuild(SOURCE, None, name="course").steps
    assert rebuilt.notes == (
        "given cell 'imports' was missing: the released one was run",
        "text cell 'read-only' was missing: the released one stands there",
        "solution cell 'f' was missing: the open task was put in its place",
        "test cell 'f-test' was missing: the released one was run",
        "solution cell 'g' was missing: the open task was put in its place",
        "test cell 'g-test' was missing: the released one was run",
        "written cell 'why' was missing: the open question was put in its place",
        "written cell 'sketch' was missing: the open question was put in its place",
        "task cell 'build' was missing: the released one stands there",
    )


def test_moved_cells_stand_in_the_released_order_and_are_noted_once() -> None:
    rebuilt = built(list(reversed(ANSWERED)))
    assert rebuilt.steps == built(ANSWERED).steps
    assert rebuilt.notes == ("cells were moved: they stand in the released order",)


def test_an_answer_of_the_wrong_kind_is_kept_as_an_added_cell() -> None:
    rebuilt = built(with_cells(at("why"), code("print('because')", "why"), instead=1))
    assert step(rebuilt, "why").source == "YOUR ANSWER HERE"
    assert labels(rebuilt)[9:12] == ["why", "your cell 10", "sketch"]
    assert rebuilt.notes == ("written cell 'why' was missing: the open question was put in its place",)


def test_a_notebook_that_lost_all_its_names_is_recognised_by_its_texts() -> None:
    rebuilt = built([replace(cell, name="") for cell in ANSWERED])
    assert [step.source for step in rebuilt.steps if step.role == "added"] == list(ANSWERS.values())
    order = labels(rebuilt)
    assert order[order.index("f") : order.index("f-test") + 1] == ["f", "your cell 5", "f-test"]
    assert order[order.index("g") : order.index("g-test") + 1] == ["g", "your cell 8", "g-test"]
    untouched = built([replace(cell, name="") for cell in RELEASED])
    assert untouched.notes == ()
    assert untouched.steps == built(RELEASED).steps


# --- cells of the student's own -------------------------------------------------------------------------------------


def test_an_added_cell_stays_behind_the_cell_that_it_follows() -> None:
    own = code("helper = 1")
    for position in range(len(ANSWERED) + 1):
        order = labels(built(with_cells(position, own)))
        assert order.index(f"your cell {position + 1}") == position
    added = step(built(with_cells(5, own)), "your cell 6")
    assert (added.role, added.kind, added.source, added.shown, added.name) == (
        "added",
        "code",
        "helper = 1",
        "helper = 1",
        "",
    )
    assert (added.points, added.marks) == (0.0, {})


def test_claimed_names_of_nobody_and_other_kinds_are_kept_as_added_cells() -> None:
    new = [code("x", "mine"), HandedIn("markdown", "words", "more"), HandedIn("raw", "r"), code(" \n")]
    rebuilt = built(with_cells(len(ANSWERED), *new))
    assert [(each.kind, each.source, each.name) for each in rebuilt.steps[len(ANSWERED) :]] == [
        ("code", "x", ""),
        ("markdown", "words", ""),
        ("raw", "r", ""),
    ], "an empty cell says nothing"


def test_a_moved_cell_takes_what_follows_it_along() -> None:
    moved = [*ANSWERED[: at("g")], *ANSWERED[at("g") + 1 :], ANSWERED[at("g")], code("after_g = g")]
    order = labels(built(moved))
    assert order[order.index("g") + 1] == f"your cell {len(moved)}"


def test_a_copied_answer_runs_where_it_stands_and_the_first_is_the_answer() -> None:
    again = code("def f(x):\n    return x + 0", "f")
    rebuilt = built(with_cells(at("g"), again))
    assert step(rebuilt, "f").source == ANSWERS["f"]
    assert labels(rebuilt)[7:9] == ["your cell 8", "g"]
    assert rebuilt.notes == ("solution cell 'f' was handed in 2 times: the first is the answer",)


def test_copies_of_locked_cells_are_left_out() -> None:
    copies = [replace(RELEASED[at("f-test")], source=RELEASED[5].source + " \n"), code("import math"), RELEASED[5]]
    rebuilt = built(with_cells(at("g"), *copies))
    assert rebuilt.steps == built(ANSWERED).steps
    assert rebuilt.notes == (
        "a copy of test cell 'f-test' was left out",
        "a copy of given cell 'imports' was left out",
    )


def test_an_answer_written_anew_in_another_cell_comes_after_the_open_task_and_before_the_test() -> None:
    rebuilt = built(with_cells(at("f"), code("def f(x): return x"), instead=1))
    assert labels(rebuilt)[3:7] == ["read-only", "f", "your cell 5", "f-test"]
    assert step(rebuilt, "f").source == RELEASED[at("f")].source
    assert rebuilt.notes == ("solution cell 'f' was missing: the open task was put in its place",)


def test_an_added_cell_comes_before_a_test_that_was_deleted_behind_it() -> None:
    rebuilt = built(with_cells(at("f"), code("def f(x): return x"), instead=2))
    assert labels(rebuilt)[3:8] == ["read-only", "f", "your cell 5", "f-test", "the given cell 7"]


def test_unmarked_code_that_the_student_edited_gives_way() -> None:
    rebuilt = built(with_cells(at("rate = 0.1"), code("rate = 0.01"), code("more = 1"), instead=1))
    assert labels(rebuilt)[1:5] == ["imports", "your cell 3", "your cell 4", "read-only"]
    assert rebuilt.notes == ("the given cell 3 was changed: the student's code was run in its place",)


def test_unmarked_code_that_the_student_deleted_is_back() -> None:
    words = HandedIn("markdown", "Not needed.")
    rebuilt = built(with_cells(at("rate = 0.1"), words, instead=1))
    assert labels(rebuilt)[1:5] == ["imports", "the given cell 3", "your cell 3", "read-only"]
    assert built(with_cells(at("rate = 0.1"), instead=1)).steps == built(ANSWERED).steps


def test_a_text_that_stands_once_here_and_twice_there_is_no_anchor() -> None:
    """The second of two equal rules, the first of which was deleted, must not carry a cell to the first."""
    rule, own = new_markdown_cell("---"), code("g = f(1)")
    source = {"cells": [rule, SOURCE.cells[4], rule, SOURCE.cells[5]]}
    cells = (ANSWERED[4], HandedIn("markdown", "---"), own, ANSWERED[5])
    rebuilt = rebuild(source, SubmittedNotebook("n", cells), name="n")
    roles = [step.role for step in rebuilt.steps]
    assert roles.index("solution") < roles.index("added") < roles.index("test")


def test_there_is_room_for_500_added_cells() -> None:
    rebuilt = built([*ANSWERED, *[code(f"x{number}") for number in range(501)]])
    assert len(rebuilt.steps) == len(ANSWERED) + 500
    assert rebuilt.notes == ("added cells beyond the first 500 were left out: 1",)


# --- our own assignments --------------------------------------------------------------------------------------------


def test_the_untouched_release_of_our_own_is_rebuilt_as_it_is(released: Course) -> None:
    source = json.loads((released.source / "tiny" / "tiny.ipynb").read_text(encoding="utf-8"))
    given_out = json.loads((released.release / "tiny" / "tiny.ipynb").read_text(encoding="utf-8"))
    rebuilt = rebuild(joined(source), SubmittedNotebook("tiny", tuple(handed_in(joined(given_out)))), name="tiny")
    assert rebuilt.notes == ()
    assert [step.shown for step in rebuilt.steps] == [cell["source"] for cell in given_out["cells"]]
    assert rebuilt == rebuild(source, SubmittedNotebook("tiny", tuple(handed_in(joined(given_out)))), name="tiny")
    assert "Task 'double' is open: write double() here." in step(rebuilt, "double").source
    assert rebuilt.opening == "from coursekit import seed, student"
    assert {step.label: step.points for step in rebuilt.steps if step.points} == {
        "double-seen": 1.0,
        "double-hidden": 2.0,
        "add-cases": 2.0,
        "why-add": 1.0,
    }
    assert all("doubled_by_the_reference" not in step.source + step.shown for step in rebuilt.steps)


def joined(notebook: dict[str, Any]) -> dict[str, Any]:
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


# --- any change at all ----------------------------------------------------------------------------------------------

NAMES = [cell.name for cell in RELEASED if cell.name]
MUTATION = st.tuples(
    st.sampled_from(["delete", "duplicate", "move", "rename", "edit", "retype", "add"]),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from([*NAMES, "", "unknown"]) | st.text(max_size=4),
    st.sampled_from([cell.source for cell in RELEASED]) | st.text(max_size=9),
    st.sampled_from(["code", "markdown", "raw"]),
)


def mutate(cells: Sequence[HandedIn], mutations: Sequence[Any]) -> list[HandedIn]:
    mutated = list(cells)
    for verb, first, second, name, source, kind in mutations:
        position = first % max(len(mutated), 1)
        if verb == "add" or not mutated:
            mutated.insert(position, HandedIn(kind, source, name))
        elif verb in ("delete", "move"):
            cell = mutated.pop(position)
            if verb == "move":
                mutated.insert(second % (len(mutated) + 1), cell)
        elif verb == "duplicate":
            mutated.insert(second % len(mutated), mutated[position])
        else:
            change = {"rename": {"name": name}, "edit": {"source": source}, "retype": {"kind": kind}}[verb]
            mutated[position] = replace(mutated[position], **change)
    return mutated


def check_any(source: Any, cells: Sequence[HandedIn], secrets: Sequence[str]) -> None:
    rebuilt = rebuild(source, SubmittedNotebook("n", tuple(cells)), name="n")
    graded = [cell for cell in source["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]
    tests = [cell for cell in graded if not cell["metadata"]["nbgrader"]["solution"]]
    assert [(step.name, step.source, step.points) for step in rebuilt.steps if step.role == "test"] == [
        (cell["metadata"]["nbgrader"]["grade_id"], cell["source"], cell["metadata"]["nbgrader"]["points"])
        for cell in tests
    ]
    marked = [step.marks["grade_id"] for step in rebuilt.steps if step.marks]
    assert marked == [
        cell["metadata"]["nbgrader"]["grade_id"] for cell in source["cells"] if "nbgrader" in cell.metadata
    ]
    assert len(set(labels(rebuilt))) == len(rebuilt.steps)
    assert not [secret for secret in secrets for step in rebuilt.steps if secret in step.source + step.shown]
    assert all(step.points == 0 and not step.marks for step in rebuilt.steps if step.role == "added")
    assert len(set(rebuilt.notes)) == len(rebuilt.notes)
    assert_order(rebuilt, cells)


def assert_order(rebuilt: Rebuilt, cells: Sequence[HandedIn]) -> None:
    """Every cell of the student's that runs has the student's words, and none is there twice."""
    own = [int(step.label.removeprefix("your cell ")) - 1 for step in rebuilt.steps if step.role == "added"]
    assert len(own) == len(set(own))
    assert all(
        step.source == cells[number].source
        for step, number in zip([each for each in rebuilt.steps if each.role == "added"], own, strict=True)
    )


@settings(max_examples=150, deadline=None)
@given(mutations=st.lists(MUTATION, max_size=12))
def test_no_change_touches_tests_points_or_secrets(mutations: Sequence[Any]) -> None:
    check_any(SOURCE, mutate(ANSWERED, mutations), [SECRET])


@pytest.fixture(scope="module")
def backprop() -> tuple[NotebookNode, list[HandedIn], list[str]]:
    """A whole assignment, its release, and the lines of its solutions that stand nowhere in the release."""
    source = build_notebook(read_assignment(ROOT / "assignments" / "backprop"))
    opened, resources = NameOpenTasks().preprocess(copy.deepcopy(source), {})
    opened, _ = ClearHiddenTests().preprocess(opened, resources)
    cells = handed_in(opened)
    text = "\n".join(cell.source for cell in cells)
    tests = "\n".join(cell.source for cell in source.cells if cell.metadata.get("nbgrader", {}).get("grade"))
    lines = {line.strip() for cell in source.cells for line in cell.source.split("\n") if "###" not in line}
    return source, cells, [line for line in lines if line and line not in text + tests]


@settings(max_examples=60, deadline=None)
@given(mutations=st.lists(MUTATION, max_size=12))
def test_no_change_touches_a_whole_assignment(
    backprop: tuple[NotebookNode, list[HandedIn], list[str]], mutations: Sequence[Any]
) -> None:
    source, cells, secrets = backprop
    assert len(secrets) > 10
    check_any(source, mutate(cells, mutations), secrets)
