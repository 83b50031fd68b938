"""What an assignment is graded with, and what a verdict rests on: a change of any part shows in the key."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proctor.course import Course, secret_seed
from proctor.errors import CourseError, EngineError
from proctor.model import Submission
from proctor.plan import Plan, key_of, plan_for
from proctor.sandbox import Caps, rung_here
from proctor.sealed import Limits

SUBMISSION = Submission("ada", "tiny", "0" * 64, "2026-01-05T12:00:00+00:00", ())


@pytest.fixture(scope="module")
def plan(released: Course) -> Plan:
    return plan_for(released, "tiny", trusted=True, device="cpu")


def changed(plan: Plan, other: Plan, submission: Submission = SUBMISSION, packages: tuple[Path, ...] = ()) -> set[str]:
    """Return the parts of the key that differ."""
    before, after = key_of(plan, SUBMISSION), key_of(other, submission, packages)
    return {part for part in {*before, *after} if before.get(part) != after.get(part)}


def with_cells(plan: Plan, change: Callable[[list[Any]], None]) -> Plan:
    source: Any = copy.deepcopy(plan.sources["tiny"])
    change(source["cells"])
    return replace(plan, sources={"tiny": source})


def cell(cells: list[Any], name: str) -> Any:
    return next(each for each in cells if each["metadata"].get("nbgrader", {}).get("grade_id") == name)


# -- the plan -----------------------------------------------------------------------------------------------------


def test_the_secret_seed_is_used_unless_another_is_asked_for(released: Course, plan: Plan) -> None:
    assert (plan.seed, plan.is_secret) == (secret_seed(released, "tiny"), True)
    other = plan_for(released, "tiny", seed=7, trusted=True)
    assert (other.seed, other.is_secret) == (7, False)


def test_an_assignment_that_proctor_did_not_release_gets_a_secret_seed(course: Course) -> None:
    shutil.copytree(course.source / "tiny", course.source / "hand")
    assert plan_for(course, "hand", trusted=True).seed == secret_seed(course, "hand")
    assert plan_for(course, "hand", trusted=True).files is None, "nothing was released"


def test_the_released_files_are_shown(released: Course, plan: Plan) -> None:
    assert plan.files == released.release / "tiny"
    assert list(plan.sources) == ["tiny"]


def test_without_a_source_notebook_there_is_no_plan(unreleased: Course) -> None:
    with pytest.raises(CourseError, match="no source notebook for 'tiny'") as caught:
        plan_for(unreleased, "tiny", trusted=True)
    assert caught.value.todo == "proctor release tiny"


def test_a_source_notebook_that_cannot_be_read_is_named(course: Course) -> None:
    (course.source / "tiny" / "tiny.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(CourseError, match="source notebook cannot be read") as caught:
        plan_for(course, "tiny", trusted=True)
    assert "tiny.ipynb" in caught.value.where


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_students_must_be_trusted_expressly(released: Course) -> None:
    with pytest.raises(EngineError, match="no sandbox for the students' code: bubblewrap: bwrap is not inst") as caught:
        plan_for(released, "tiny")
    assert "say --trusted" in caught.value.todo
    assert plan_for(released, "tiny", trusted=True).rung == "trusted"


def test_a_sandbox_is_used_even_for_those_who_are_trusted(released: Course, sandboxed: str) -> None:
    assert plan_for(released, "tiny", trusted=True).rung == plan_for(released, "tiny").rung == sandboxed
    assert rung_here().name == sandboxed


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_the_device_asked_for_is_taken(released: Course, device: str) -> None:
    assert plan_for(released, "tiny", device=device, trusted=True).device == device


def test_a_gpu_is_taken_if_there_is_one(released: Course) -> None:
    there = any(Path("/dev").glob("nvidia[0-9]*"))
    assert plan_for(released, "tiny", trusted=True).device == ("cuda" if there else "cpu")


# -- the key ------------------------------------------------------------------------------------------------------


def test_the_key_is_the_same_for_the_same(released: Course, plan: Plan) -> None:
    again = plan_for(released, "tiny", trusted=True, device="cpu")
    assert key_of(plan, SUBMISSION) == key_of(again, replace(SUBMISSION, received="2027-01-05T12:00:00+00:00"))
    assert json.loads(json.dumps(key_of(plan, SUBMISSION))) == key_of(plan, SUBMISSION)


def test_the_key_tells_nothing_of_the_seed(plan: Plan) -> None:
    assert str(plan.seed) not in str(key_of(plan, SUBMISSION))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda plan: replace(plan, seed=plan.seed + 1), "the seed"),
        (lambda plan: replace(plan, limits=Limits(cell=1)), "the limits"),
        (lambda plan: replace(plan, caps=Caps(memory=1)), "the limits"),
        (lambda plan: replace(plan, device="cuda"), "the device"),
    ],
)
def test_a_change_of_circumstances_changes_its_part(plan: Plan, change: Callable[[Plan], Plan], part: str) -> None:
    assert changed(plan, change(plan)) == {part}


def test_another_submission_changes_its_part(plan: Plan) -> None:
    assert changed(plan, plan, replace(SUBMISSION, digest="1" * 64)) == {"the submission"}


def test_a_changed_package_changes_its_part(plan: Plan, tmp_path: Path) -> None:
    module, package = tmp_path / "one.py", tmp_path / "two"
    package.mkdir()
    for path in (module, package / "__init__.py"):
        path.write_text("x = 1", encoding="utf-8")
    assert changed(plan, plan, packages=(module,)) == {"the installed programs"}
    assert changed(plan, plan, packages=(package,)) == {"the installed programs"}


def drop(cells: list[Any], name: str) -> None:
    cells.remove(cell(cells, name))


def lift(cells: list[Any], name: str) -> None:
    """Put a cell first."""
    moved = cell(cells, name)
    cells.remove(moved)
    cells.insert(0, moved)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda cells: cell(cells, "opening").update(source="pass"), {"the instructor's cells"}),
        (lambda cells: cell(cells, "double").update(source="pass"), {"the instructor's cells"}),
        (lambda cells: cell(cells, "add-cases").update(source="pass"), {"test:tiny/add-cases"}),
        (
            lambda cells: cell(cells, "add-cases")["metadata"]["nbgrader"].update(points=9),
            {"test:tiny/add-cases"},
        ),
        (lambda cells: drop(cells, "add-cases"), {"test:tiny/add-cases"}),
        (lambda cells: lift(cells, "add-cases"), {"test:tiny/add-cases"}),
    ],
)
def test_a_changed_cell_changes_its_part(plan: Plan, change: Callable[[list[Any]], None], parts: set[str]) -> None:
    assert changed(plan, with_cells(plan, change)) == parts


def test_tests_of_another_notebook_are_told_apart(plan: Plan) -> None:
    both = replace(plan, sources={**plan.sources, "more": plan.sources["tiny"]})
    assert "test:more/add-cases" in changed(plan, both)
    assert "test:tiny/add-cases" not in changed(plan, both)
