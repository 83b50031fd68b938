"""Whatever was read of a spoiled notebook, what is judged is the instructor's, with the student's words in open places.

`reader.read` is called in this process, since the child that intake starts for each notebook takes ten times as long.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from proctor import reader
from proctor.model import HandedIn, Rebuilt, Step, SubmittedNotebook
from proctor.rebuild import rebuild
from proctor.released import plain

from .cases import Cases
from .mutate import as_text
from .notebooks import SECRET, Material, ours, small, spoiled, spoiled_tree

OPEN = ("solution", "written")  # roles of places that students fill
MATERIALS = {"a notebook with a cell of each kind": small, "an assignment of this course": ours}


def handed_in(answer: dict[str, Any]) -> SubmittedNotebook:
    return SubmittedNotebook("n", tuple(HandedIn(kind, source, name) for kind, source, name in answer["cells"]))


def cells_of(tree: dict[str, Any]) -> SubmittedNotebook:
    marked = ((cell, cell["metadata"].get("nbgrader", {})) for cell in tree["cells"])
    cells = (HandedIn(cell["cell_type"], cell["source"], marks.get("grade_id", "")) for cell, marks in marked)
    return SubmittedNotebook("n", tuple(cells))


@cache
def untouched(material: Callable[[], Material]) -> Rebuilt:
    made = material()
    return rebuild(made.source, cells_of(made.released), name="n")


def own(rebuilt: Rebuilt) -> list[Step]:
    """Return the steps that are not the student's additions."""
    return [step for step in rebuilt.steps if step.role != "added"]


def gives_way(step: Step) -> bool:
    """Say whether a step is code that nbgrader does not know: the student's to edit."""
    return step.role == "given" and not step.marks


def check(rebuilt: Rebuilt, released: Rebuilt, cells: tuple[HandedIn, ...]) -> None:
    """Compare with the release, step by step; what the student wrote may stand in open places and between others."""
    assert (rebuilt.name, rebuilt.opening) == (released.name, released.opening)
    fixed = [step for step in own(rebuilt) if not gives_way(step)]
    expected = [step for step in released.steps if not gives_way(step)]
    assert len(fixed) == len(expected)
    for step, as_released in zip(fixed, expected, strict=True):
        check_place(step, as_released, cells)
    remaining = iter(released.steps)
    assert all(any(step.label == each.label for each in remaining) for step in own(rebuilt)), "the order changed"
    check_added(rebuilt, cells)
    assert all(note and note.isprintable() for note in rebuilt.notes)
    assert len(set(rebuilt.notes)) == len(rebuilt.notes)


def check_place(step: Step, released: Step, cells: tuple[HandedIn, ...]) -> None:
    """Compare a place of the instructor's: all of it, but for the source of an open one."""
    if released.role not in OPEN or step.source == released.source:
        assert step == released
        return
    fields = ("role", "kind", "name", "label", "points", "marks")
    assert {name: getattr(step, name) for name in fields} == {name: getattr(released, name) for name in fields}
    assert step.source == step.shown
    named = [cell.source for cell in cells if cell.name == released.name and cell.kind == released.kind]
    if named:
        assert step.source == named[0]
    else:
        assert plain(step.source) == plain(released.shown), "a cell without a name is known by its text alone"


def check_added(rebuilt: Rebuilt, cells: tuple[HandedIn, ...]) -> None:
    """Every added step is one cell of the student's, once, and worth nothing."""
    added = [step for step in rebuilt.steps if step.role == "added"]
    numbers = [int(step.label.removeprefix("your cell ")) - 1 for step in added]
    assert len(set(numbers)) == len(numbers) <= 500
    for step, number in zip(added, numbers, strict=True):
        assert (step.kind, step.source, step.shown) == (cells[number].kind, cells[number].source, cells[number].source)
        assert (step.name, step.points, step.marks) == ("", 0.0, {})
    assert len({step.label for step in rebuilt.steps}) == len(rebuilt.steps)


@pytest.mark.parametrize("kind", MATERIALS)
def test_the_release_that_is_compared_with_is_the_instructors(kind: str) -> None:
    """What `check` takes for the release is read from the source here, without `rebuild`."""
    material, released = MATERIALS[kind](), untouched(MATERIALS[kind])
    assert released.notes == ()
    graded = [cell for cell in material.source["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]
    tests = [(cell, cell["metadata"]["nbgrader"]) for cell in graded if not cell["metadata"]["nbgrader"]["solution"]]
    assert len(tests) >= 3
    assert [(step.name, step.source, step.points) for step in released.steps if step.role == "test"] == [
        (marks["grade_id"], cell["source"], marks["points"]) for cell, marks in tests
    ]
    assert [step.shown for step in released.steps] == [cell["source"] for cell in material.released["cells"]]


@pytest.mark.parametrize("kind", MATERIALS)
def test_the_answered_notebook_that_is_spoiled_is_judged_with_all_its_answers(kind: str) -> None:
    material = MATERIALS[kind]()
    rebuilt = rebuild(material.source, cells_of(material.answered), name="n")
    check(rebuilt, untouched(MATERIALS[kind]), cells_of(material.answered).cells)
    answers = [step.source for step in rebuilt.steps if step.role in OPEN]
    assert len(answers) >= 3
    assert all(answer.startswith("answer_") for answer in answers)


def test_no_spoiled_notebook_changes_a_test_a_point_or_their_order(cases: Cases) -> None:
    for case in cases.each():
        with cases.running(case):
            chosen = ours if case.rng.random() < 0.1 else small
            data = said(case.rng, chosen()) if case.rng.random() < 0.8 else spoiled(case.rng, chosen())
            answer = reader.read(data)
            if "refused" in answer:
                case.count("refused", answer["refused"][0])
                continue
            notebook = handed_in(answer)
            rebuilt = rebuild(chosen().source, notebook, name="n")
            check(rebuilt, untouched(chosen), notebook.cells)
            if chosen is small:
                assert not [step for step in rebuilt.steps if SECRET in step.shown]
            case.count("judged with notes" if rebuilt.notes or answer["notes"] else "judged")


def said(rng: random.Random, material: Material) -> bytes:
    """Return a notebook that is spoiled in what it says, and mostly still JSON."""
    return as_text(rng, spoiled_tree(rng, material)).encode("utf-8", "surrogatepass")
