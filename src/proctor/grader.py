"""One submission in, one verdict out. What a worker does; it needs no database and writes no file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from proctor.errors import EngineError, ProctorError, SubmissionError
from proctor.intake import intake
from proctor.judge import Judge, is_sealed
from proctor.keeper import Keeper
from proctor.model import Rebuilt, Run, Submission, Verdict
from proctor.plan import Plan
from proctor.rebuild import rebuild
from proctor.rooms import VISIBLE, Furniture, furnished, open_room
from proctor.sandbox import Room
from proctor.sealed import run

__all__ = ["Graded", "Grader"]


@dataclass(frozen=True)
class Graded:
    """A verdict with all that the record keeps of it."""

    verdict: Verdict
    rebuilt: tuple[Rebuilt, ...] = ()
    runs: tuple[Run, ...] = ()


class Grader:
    """Grades submissions of one assignment, several at once if asked to."""

    def __init__(self, plan: Plan, stack: AsyncExitStack) -> None:
        blank = {name: rebuild(source, None, name=name) for name, source in plan.sources.items()}
        steps = [step for each in blank.values() for step in each.steps]
        given, tests = ([step.source for step in steps if step.role == role] for role in ("given", "test"))
        copies = len(tests)  # asleep beside what the student starts
        self.plan = plan
        self.furniture = furnished(given, tests=tests, files=plan.files, device=plan.device)
        self.caps = replace(plan.caps, processes=plan.caps.processes + copies)
        self._stack = stack
        self._openings = {name: each.opening for name, each in blank.items() if _has_sealed_tests(each)}
        self._judges: dict[str, Judge | EngineError] = {}
        self._starting = asyncio.Lock()
        self._on_gpu = [0] * plan.gpus  # submissions that each GPU is busy with

    @classmethod
    @asynccontextmanager
    async def open(cls, plan: Plan) -> AsyncIterator[Grader]:
        """Give a grader; what it starts ends with the context."""
        async with AsyncExitStack() as stack:
            yield cls(plan, stack)

    async def judge_for(self, name: str) -> Judge | None:
        """Return the judge of a notebook, started when it is first asked for; None if no test of it is sealed.

        Raises:
            EngineError: it does not start, or the instructor's opening cell fails in it.
        """
        if name not in self._openings:
            return None
        async with self._starting:
            if name not in self._judges:
                self._judges[name] = await self._start_judge(name)
        judge = self._judges[name]
        if isinstance(judge, EngineError):
            raise judge
        return judge

    def _judge(self, opening: str) -> AbstractAsyncContextManager[Judge]:
        return Judge.start(opening, seed=self.plan.seed, files=self.plan.files)

    async def _start_judge(self, name: str) -> Judge | EngineError:
        try:
            return await self._stack.enter_async_context(self._judge(self._openings[name]))
        except EngineError as error:
            return error  # it would fail for everyone

    async def take_in(self, folder: Path, student: str) -> Submission:
        """Read what a student handed in.

        Raises:
            SubmissionError: it cannot be judged.
            EngineError: it cannot be read, by a fault of ours.
        """
        return await intake(folder, student=student, assignment=self.plan.assignment, wanted=sorted(self.plan.sources))

    async def grade(self, submission: Submission, *, only: Collection[str] | None = None) -> Graded:
        """Run a submission in a sandbox of its own.

        Args:
            submission: after intake.
            only: names of the tests to run; None for all.

        Raises:
            EngineError: by a fault of ours there is no verdict.
        """
        handed_in = {notebook.name: notebook for notebook in submission.notebooks}
        rebuilt = tuple(
            rebuild(source, handed_in.get(name), name=name) for name, source in sorted(self.plan.sources.items())
        )
        with self._placed() as furniture:
            async with open_room(furniture, caps=self.caps, rung=self.plan.rung) as (room, keeper):
                runs = [await self._run(each, room, keeper, only) for each in rebuilt]
        return Graded(self.verdict(submission, rebuilt, runs), rebuilt, tuple(runs))

    async def _run(self, rebuilt: Rebuilt, room: Room, keeper: Keeper, only: Collection[str] | None) -> Run:
        return await run(
            rebuilt,
            room=room,
            keeper=keeper,
            judge=await self.judge_for(rebuilt.name),
            chance=f"{self.plan.seed}/{rebuilt.name}",
            limits=self.plan.limits,
            only=only,
        )

    @contextmanager
    def _placed(self) -> Iterator[Furniture]:
        """Give what a sandbox shows, with the GPU that is the least busy if there are several to choose from."""
        if not self._on_gpu:
            yield self.furniture
            return
        index = self._on_gpu.index(min(self._on_gpu))
        self._on_gpu[index] += 1
        try:
            yield replace(self.furniture, environment={**self.furniture.environment, VISIBLE: str(index)})
        finally:
            self._on_gpu[index] -= 1

    def refused(self, student: str, error: ProctorError) -> Graded:
        """Return the verdict on a submission that cannot be judged: the student's file, or a fault of ours."""
        ours = "" if isinstance(error, SubmissionError) else "a fault of ours: "
        return Graded(Verdict(student, self.plan.assignment, "not judged", reason=f"{ours}{error.what}"))

    def verdict(self, submission: Submission, rebuilt: Sequence[Rebuilt], runs: Sequence[Run]) -> Verdict:
        """Return what all tests of a submission said together."""
        several = len(runs) > 1
        outcomes = tuple(
            replace(outcome, notebook=run.notebook if several else "") for run in runs for outcome in run.outcomes
        )
        odd = [clause for run in runs for clause in run.stopped]
        odd += [f"test '{each.cell}': {each.message}" for each in outcomes if each.state not in ("passed", "failed")]
        return Verdict(
            submission.student,
            submission.assignment,
            "partial" if odd else "complete",
            outcomes,
            reason=_first(odd),
            notes=(*submission.notes, *(note for each in rebuilt for note in each.notes)),
            rung=self.plan.rung,
            seconds=sum(run.seconds for run in runs),
            memory=max((run.memory for run in runs), default=0),
            seed=None if self.plan.is_secret else self.plan.seed,
        )


def _has_sealed_tests(rebuilt: Rebuilt) -> bool:
    return any(step.role == "test" and is_sealed(step.source) for step in rebuilt.steps)


def _first(clauses: list[str]) -> str:
    if not clauses:
        return ""
    return clauses[0] + (f", and {len(clauses) - 1} more" if len(clauses) > 1 else "")
