"""Try an assignment's tests on its own answers: the reference, the untouched release, and each row of `answers.md`.

Every answer is a variant of the source notebook. It runs sealed, as students' work is graded, and plain, as under
Validate; what is stated about the answer is compared with the sealed verdict, and that with the plain one.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from nbformat import NotebookNode

from proctor import plain, sealed
from proctor.author import (
    NameOpenTasks,
    build_notebook,
    reached_tests,
    read_answers,
    read_assignment,
    used_cells,
)
from proctor.course import Course
from proctor.judge import Judge
from proctor.lanes import side_by_side
from proctor.model import Assignment, HandedIn, Outcome, Row, SubmittedNotebook
from proctor.rebuild import rebuild
from proctor.rooms import SEED as SEED_VARIABLE
from proctor.rooms import Rooms, furnished
from proctor.sandbox import Caps, rung_here

__all__ = ["SEED", "Engine", "Engines", "Finding", "Mismatch", "Open", "Report", "check", "start_engines"]

SEED = 20260  # any fixed number: the same tests on every run of every author


class Engine(Protocol):
    """A notebook in, the outcome of each of its test cells out, in order."""

    def __call__(self, notebook: NotebookNode, /) -> Awaitable[tuple[Outcome, ...]]:
        """Run the notebook."""
        ...


@dataclass(frozen=True)
class Engines:
    """The two ways in which every answer runs."""

    sealed: Engine
    plain: Engine


class Open(Protocol):
    """Starts the engines for an assignment."""

    def __call__(
        self, assignment: Assignment, /, *, seed: int, jobs: int, rung: str
    ) -> AbstractAsyncContextManager[Engines]:
        """Start them; they end with the context."""
        ...


@dataclass(frozen=True)
class Mismatch:
    """One way in which an answer did not come out as stated."""

    what: str
    todo: str


@dataclass(frozen=True)
class Finding:
    """What became of one answer."""

    kind: Literal["reference", "untouched", "wrong", "right"]
    title: str
    outcomes: tuple[Outcome, ...]
    problems: tuple[Mismatch, ...]  # empty when it came out as stated

    @property
    def lost(self) -> tuple[Outcome, ...]:
        """The test cells that gave fewer points than they could."""
        return tuple(outcome for outcome in self.outcomes if outcome.state != "passed")


@dataclass(frozen=True)
class Report:
    """What became of all answers of one assignment."""

    assignment: str
    seed: int
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether every answer came out as stated."""
        return not any(finding.problems for finding in self.findings)


@dataclass(frozen=True)
class _Answer:
    """One answer before it runs."""

    kind: Literal["reference", "untouched", "wrong", "right"]
    title: str
    notebook: NotebookNode
    differs: str  # why the plain verdict is another; empty if it is not
    judge: Callable[[Sequence[Outcome]], list[Mismatch]]


@asynccontextmanager
async def start_engines(assignment: Assignment, *, seed: int, jobs: int, rung: str) -> AsyncIterator[Engines]:
    """Start both engines; the author's own answers share sandboxes.

    Raises:
        EngineError: a sandbox or the judge does not start.
    """
    source = build_notebook(assignment)
    given, tests = ([cell.source for cell in assignment.of_kind(kind)] for kind in ("given", "test"))
    furniture = furnished(given, tests=tests)
    told = replace(furniture, environment={**furniture.environment, SEED_VARIABLE: str(seed)})
    options = {"caps": Caps(), "rung": rung}
    async with (
        Judge.start(assignment.cell("opening").source, seed=seed) as judge,
        Rooms.open(jobs, furniture, **options) as apart,
        Rooms.open(jobs, told, **options) as together,
    ):

        async def run_sealed(notebook: NotebookNode, /) -> tuple[Outcome, ...]:
            rebuilt = rebuild(_only(source, notebook), _handed_in(notebook, assignment.name), name=assignment.name)
            async with apart.lend() as (room, keeper):
                run = await sealed.run(rebuilt, room=room, keeper=keeper, judge=judge, chance=str(seed))
            return run.outcomes

        async def run_plain(notebook: NotebookNode, /) -> tuple[Outcome, ...]:
            async with together.lend() as (_, keeper):
                return await plain.run(notebook, keeper=keeper)

        yield Engines(run_sealed, run_plain)


def _only(source: NotebookNode, notebook: NotebookNode) -> NotebookNode:
    """Return the source without the cells that an answer's notebook does without."""
    names = {_name(cell) for cell in notebook.cells}
    kept = copy.copy(source)
    kept.cells = [cell for cell in source.cells if _name(cell) in names]
    return kept


def _handed_in(notebook: NotebookNode, name: str) -> SubmittedNotebook:
    return SubmittedNotebook(name, tuple(HandedIn(cell.cell_type, cell.source, _name(cell)) for cell in notebook.cells))


def check(
    course: Course,
    name: str,
    *,
    full: bool = False,
    jobs: int = 2,
    seed: int = SEED,
    rung: str = "",
    engines: Open = start_engines,
) -> Report:
    """Run all answers of an assignment and say which came out as stated.

    Args:
        course: where the assignment stands.
        name: of the assignment.
        full: run every cell for every row; otherwise the tests that test a changed cell, those that the row names,
            all others that use a changed cell and are not marked slow, and of the given cells those that they use.
        jobs: answers that run side by side.
        seed: of the hidden tests.
        rung: what holds the answers' code; the strongest that there is, or none, if it is not said: they are our own.
        engines: what runs a notebook.

    Raises:
        AuthoringError: the assignment or its answers break the grammar.
        CourseError: there is no such assignment.
        EngineError: an answer could not be run, by no fault of its own.
    """
    folder = course.assignment(name)
    assignment = read_assignment(folder)
    answers = _answers(assignment, read_answers(folder, assignment), full=full)
    began = time.monotonic()
    start = engines(assignment, seed=seed, jobs=jobs, rung=rung or rung_here().name or "trusted")
    findings = asyncio.run(_try_all(answers, start, jobs=jobs))
    return Report(name, seed, time.monotonic() - began, findings)


async def _try_all(
    answers: Sequence[_Answer], start: AbstractAsyncContextManager[Engines], *, jobs: int
) -> tuple[Finding, ...]:
    async with start as engines:
        work = {f"{n} {answer.title}": _piece(engines, answer) for n, answer in enumerate(answers, start=1)}
        return tuple((await side_by_side(work, jobs=jobs)).values())


def _piece(engines: Engines, answer: _Answer) -> Callable[[], Awaitable[Finding]]:
    async def try_one() -> Finding:
        seen = await engines.sealed(answer.notebook)
        beside = await engines.plain(answer.notebook)
        problems = (*answer.judge(seen), *_disagreements(seen, beside, answer.differs))
        return Finding(answer.kind, answer.title, seen, problems)

    return try_one


def _disagreements(seen: Sequence[Outcome], beside: Sequence[Outcome], differs: str) -> list[Mismatch]:
    """Compare what passed sealed with what passed plain."""
    plainly = {outcome.cell: outcome for outcome in beside}
    apart = [each for each in seen if (each.state == "passed") != (plainly[each.cell].state == "passed")]
    if differs:
        todo = "delete the line 'differs:'"
        return [] if apart else [Mismatch("the sealed and the plain verdict agree, which is not stated", todo)]
    todo = "find out which is right; if both must be, say why in a line 'differs:'"
    return [
        Mismatch(
            f"{each.cell!r} {each.state} sealed, and plain {plainly[each.cell].state}: {_words(each, plainly)}", todo
        )
        for each in apart
    ]


def _words(outcome: Outcome, plainly: Mapping[str, Outcome]) -> str:
    return _flat(outcome.message or plainly[outcome.cell].message)


def _answers(assignment: Assignment, rows: Sequence[Row], *, full: bool) -> list[_Answer]:
    source = build_notebook(assignment)
    untouched, _ = NameOpenTasks().preprocess(copy.deepcopy(source), {})
    answers = [
        _Answer("reference", "Reference", source, "", _judge_right),
        _Answer("untouched", "Untouched release", untouched, "", lambda seen: _judge_untouched(assignment, seen)),
    ]
    for row in rows:
        notebook = _variant(source, row.replaces, drop=set() if full else _cells_to_drop(assignment, row))
        judge = _judge_right if row.kind == "right" else (lambda seen, row=row: _judge_wrong(row, seen))
        answers.append(_Answer(row.kind, f"{row.kind.capitalize()}: {row.title}", notebook, row.differs, judge))
    return answers


def _cells_to_drop(assignment: Assignment, row: Row) -> set[str]:
    """Return the tests that a row need not run, and the given cells that the others do not use."""
    reached = reached_tests(assignment, row.replaces)
    tests = {
        cell.name
        for cell in assignment.of_kind("test")
        if cell.name in row.loses or set(cell.tests) & row.replaces.keys() or (cell.name in reached and not cell.slow)
    }
    used = used_cells(assignment, tests, row.replaces) | {"opening"}
    return {cell.name for kind in ("test", "given") for cell in assignment.of_kind(kind)} - used


def _variant(source: NotebookNode, replaces: Mapping[str, str], *, drop: Collection[str]) -> NotebookNode:
    """Return the notebook with some solution cells replaced whole and some cells left out."""
    notebook = copy.deepcopy(source)
    notebook.cells = [cell for cell in notebook.cells if _name(cell) not in drop]
    for cell in notebook.cells:
        cell.source = replaces.get(_name(cell), cell.source)
    return notebook


def _name(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _judge_right(seen: Sequence[Outcome]) -> list[Mismatch]:
    todo = "mend the test, or the answer if it is wrong"
    return [
        Mismatch(f"{outcome.cell!r} {outcome.state}: {_flat(outcome.message)}", todo)
        for outcome in seen
        if outcome.state != "passed"
    ]


def _judge_untouched(assignment: Assignment, seen: Sequence[Outcome]) -> list[Mismatch]:
    stubs = [f"Task '{cell.name}' is open" for cell in assignment.of_kind("solution")]
    free = [
        Mismatch(f"{outcome.cell!r} gives points for an empty answer", "test something that must be written")
        for outcome in seen
        if outcome.state == "passed"
    ]
    mute = [
        Mismatch(f"{outcome.cell!r} names no open task: {_flat(outcome.message)}", "call the student's code first")
        for outcome in seen
        if outcome.state != "passed" and not any(stub in outcome.message for stub in stubs)
    ]
    return free + mute


def _judge_wrong(row: Row, seen: Sequence[Outcome]) -> list[Mismatch]:
    lost = {outcome.cell: outcome for outcome in seen if outcome.state != "passed"}
    cascade = [
        Mismatch(
            f"{cell!r} {outcome.state}, unlisted: {_flat(outcome.message)}", "list it, or let its test stand alone"
        )
        for cell, outcome in lost.items()
        if cell not in row.loses
    ]
    missed = [
        Mismatch(f"{cell!r} does not catch this answer", f"sharpen the test, or take {cell!r} out of 'loses'")
        for cell in row.loses
        if cell not in lost
    ]
    said = [_flat(outcome.message) for outcome in lost.values()]
    if lost and not any(_flat(row.says) in message for message in said):
        unsaid = Mismatch(f"no message holds {row.says!r}: {' | '.join(said)}", "mend the message, or 'says'")
        return [*cascade, *missed, unsaid]
    return cascade + missed


def _flat(text: str) -> str:
    return " ".join(text.split())
