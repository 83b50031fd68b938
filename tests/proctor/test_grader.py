"""One submission in, one verdict out; what fails by our fault is an error of ours and no verdict."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proctor.course import Course
from proctor.errors import EngineError, SubmissionError
from proctor.grader import Graded, Grader
from proctor.model import HandedIn, Outcome, Rebuilt, Run, Submission, SubmittedNotebook
from proctor.plan import Plan, plan_for
from proctor.rooms import Furniture

Runner = Callable[[Coroutine[Any, Any, Any]], Any]
Grade = Callable[..., Graded]


@pytest.fixture
def plan(released: Course, rung: str) -> Plan:
    return replace(plan_for(released, "tiny", seed=7, trusted=True, device="cpu"), rung=rung)


@pytest.fixture
def trusted(released: Course) -> Plan:
    return replace(plan_for(released, "tiny", trusted=True, device="cpu"), rung="trusted")


def handed_in(**cells: str) -> Submission:
    """Return a submission that holds nothing but these solution cells."""
    notebook = SubmittedNotebook("tiny", tuple(HandedIn("code", source, name) for name, source in cells.items()))
    return Submission("ada", "tiny", "0" * 64, "", (notebook,), notes=("from intake",))


def graded(run: Runner, plan: Plan, submission: Submission, **options: Any) -> Graded:
    async def go() -> Graded:
        async with Grader.open(plan) as grader:
            return await grader.grade(submission, **options)

    return run(go())  # type: ignore[no-any-return]


def test_a_submission_gets_a_verdict(run: Runner, plan: Plan) -> None:
    submission = handed_in(double="def double(x):\n    return 2 * x", add="def add(x, y):\n    return x - y")
    result = graded(run, plan, submission)
    verdict = result.verdict
    assert (verdict.student, verdict.assignment, verdict.state, verdict.reason) == ("ada", "tiny", "complete", "")
    assert [(each.cell, each.points, each.sealed, each.notebook) for each in verdict.outcomes] == [
        ("double-seen", 1.0, True, ""),
        ("double-hidden", 2.0, True, ""),
        ("add-cases", 0.0, True, ""),
    ]
    assert (verdict.rung, verdict.seed) == (plan.rung, 7)
    assert verdict.notes[0] == "from intake"
    assert "given cell 'opening' was missing: the released one was run" in verdict.notes
    assert verdict.memory > 2**20
    assert verdict.seconds > 0
    assert [each.name for each in result.rebuilt] == [each.notebook for each in result.runs] == ["tiny"]


def test_only_the_tests_asked_for_are_judged(run: Runner, trusted: Plan) -> None:
    result = graded(run, trusted, handed_in(), only={"add-cases"})
    assert [each.cell for each in result.verdict.outcomes] == ["add-cases"]


def test_what_was_stopped_makes_the_verdict_partial(run: Runner, trusted: Plan) -> None:
    stop = "import os\nos._exit(1)\n"
    submission = handed_in(double=stop, add=f"def add(x, y):\n    {stop.splitlines()[0]}\n    os._exit(1)")
    verdict = graded(run, trusted, submission).verdict
    assert verdict.state == "partial"
    assert verdict.reason.startswith("cell 'double' ended the process")
    assert verdict.reason.endswith(", and 1 more")


def test_several_submissions_are_graded_side_by_side(run: Runner, trusted: Plan) -> None:
    right, wrong = (handed_in(add=f"def add(x, y):\n    return x {sign} y") for sign in "+-")

    async def go() -> list[Graded]:
        async with Grader.open(trusted) as grader:
            return await asyncio.gather(*(grader.grade(each) for each in (right, wrong, right)))

    assert [each.verdict.score for each in run(go())] == [2.0, 0.0, 2.0]


def test_taking_in_names_what_cannot_be_judged(run: Runner, trusted: Plan, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()

    async def go() -> Graded:
        async with Grader.open(trusted) as grader:
            with pytest.raises(SubmissionError, match=r"no 'tiny.ipynb' was handed in") as caught:
                await grader.take_in(tmp_path / "tiny", "ada")
            return grader.refused("ada", caught.value)

    verdict = run(go()).verdict
    assert (verdict.state, verdict.reason) == ("not judged", "no 'tiny.ipynb' was handed in")
    assert (verdict.score, verdict.max_score, verdict.outcomes) == (0.0, 0.0, ())


def test_a_fault_of_ours_is_called_one(run: Runner, trusted: Plan) -> None:
    async def go() -> Graded:
        async with Grader.open(trusted) as grader:
            return grader.refused("ada", EngineError("the disk is full"))

    assert run(go()).verdict.reason == "a fault of ours: the disk is full"


def test_an_opening_cell_that_fails_is_an_error_for_everyone(run: Runner, course: Course) -> None:
    path = course.source / "tiny" / "tiny.ipynb"
    path.write_text(
        path.read_text(encoding="utf-8").replace("coursekit import seed", "coursekit import nowhere"), "utf-8"
    )
    plan = plan_for(course, "tiny", trusted=True)

    async def go() -> None:
        async with Grader.open(plan) as grader:
            for _ in range(2):
                with pytest.raises(EngineError, match=r"the opening cell fails where the tests run: .*nowhere"):
                    await grader.grade(handed_in())

    run(go())


def test_tests_without_blocks_need_no_judge(run: Runner, trusted: Plan) -> None:
    source: Any = dict(trusted.sources["tiny"])
    source["cells"] = [cell for cell in source["cells"] if "with student" not in cell["source"]]

    async def go() -> None:
        async with Grader.open(replace(trusted, sources={"tiny": source})) as grader:
            assert await grader.judge_for("tiny") is None
        async with Grader.open(trusted) as grader:
            judges = await asyncio.gather(grader.judge_for("tiny"), grader.judge_for("tiny"))
            assert judges[0] is judges[1] is not None

    run(go())


def test_the_files_of_the_assignment_are_there(run: Runner, course: Course) -> None:
    shutil.copy(course.release / "tiny" / "tiny.ipynb", course.release / "tiny" / "table.csv")
    (course.release / "tiny" / "helper.py").write_text("def twice(x):\n    return 2 * x", encoding="utf-8")
    double = "def double(x):\n    from helper import twice\n    open('table.csv').close()\n    return twice(x)"
    verdict = graded(run, plan_for(course, "tiny", trusted=True), handed_in(double=double)).verdict
    assert verdict.score == 3.0


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Furniture]:
    """What sandboxes would show, in which nothing runs: this machine need not have the GPUs."""
    opened: list[Furniture] = []

    @asynccontextmanager
    async def open_room(furniture: Furniture, **_: Any) -> AsyncIterator[tuple[None, None]]:
        opened.append(furniture)
        yield None, None

    async def run(rebuilt: Rebuilt, **_: Any) -> Run:
        await asyncio.sleep(0)
        return Run(rebuilt.name, (Outcome("a", "passed", 1.0, 1.0),), {})

    monkeypatch.setattr("proctor.grader.open_room", open_room)
    monkeypatch.setattr("proctor.grader.run", run)
    return opened


def test_work_is_spread_over_the_gpus(run: Runner, trusted: Plan, shown: list[Furniture]) -> None:
    async def go() -> None:
        async with Grader.open(replace(trusted, device="cuda", gpus=2)) as grader:
            await asyncio.gather(*(grader.grade(handed_in()) for _ in range(3)))
            await grader.grade(handed_in())

    run(go())
    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in shown] == ["0", "1", "0", "0"]
    assert all(each.gpu for each in shown)
