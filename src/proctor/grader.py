"""One submission in, one verdict out. What a worker does; it needs no database and writes no file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from proctor.errors import ProctorError, SubmissionError
from proctor.intake import intake
from proctor.judge import Judge, is_sealed
from proctor.model import Rebuilt, Run, Submission, Verdict
from proctor.plan import Plan
from proctor.rebuild import rebuild
from proctor.rooms import Furniture, furnished, open_room
from proctor.sandbox import Caps
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

    def __init__(self, plan: Plan, judges: Mapping[str, Judge], furniture: Furniture, caps: Caps) -> None:
        self.plan = plan
        self._caps = caps
        self.judges = judges
        self.furniture = furniture

    @classmethod
    @asynccontextmanager
    async def open(cls, plan: Plan) -> AsyncIterator[Grader]:
        """Start a judge for each notebook with sealed tests.

        Raises:
            EngineError: a judge does not start, or the instructor's opening cell fails in it.
        """
        blank = {name: rebuild(source, None, name=name) for name, source in plan.sources.items()}
        steps = [step for each in blank.values() for step in each.steps]
        given = [step.source for step in steps if step.role == "given"]
        async with AsyncExitStack() as stack:
            judges = {
                name: await stack.enter_async_context(Judge.start(each.opening, seed=plan.seed))
                for name, each in blank.items()
                if any(step.role == "test" and is_sealed(step.source) for step in each.steps)
            }
            copies = sum(step.role == "test" for step in steps)  # asleep beside what the student starts
            caps = replace(plan.caps, processes=plan.caps.processes + copies)
            yield cls(plan, judges, furnished(given, files=plan.files, device=plan.device), caps)

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
        async with open_room(self.furniture, caps=self._caps, rung=self.plan.rung) as (room, keeper):
            runs = tuple(
                [
                    await run(
                        each,
                        room=room,
                        keeper=keeper,
                        judge=self.judges.get(each.name),
                        chance=f"{self.plan.seed}/{each.name}",
                        limits=self.plan.limits,
                        only=only,
                    )
                    for each in rebuilt
                ]
            )
        return Graded(self.verdict(submission, rebuilt, runs), rebuilt, runs)

    def refused(self, student: str, error: ProctorError) -> Graded:
        """Return the verdict on a submission that cannot be judged: the student's file, or a fault of ours."""
        ours = "" if isinstance(error, SubmissionError) else "a fault of ours: "
        return Graded(Verdict(student, self.plan.assignment, "not judged", reason=f"{ours}{error.what}"))

    def verdict(self, submission: Submission, rebuilt: tuple[Rebuilt, ...], runs: tuple[Run, ...]) -> Verdict:
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
        )


def _first(clauses: list[str]) -> str:
    if not clauses:
        return ""
    return clauses[0] + (f", and {len(clauses) - 1} more" if len(clauses) > 1 else "")
