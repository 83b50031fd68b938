"""A class graded: which submissions need it, several side by side, each kept as soon as it is done.

What a verdict rests on is written down with it, part by part. If nothing of that has changed, the submission is not
graded again; if only tests have changed, only these are judged again, and the other points stand.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from proctor.course import Course
from proctor.errors import CourseError, EngineError, ProctorError, SubmissionError
from proctor.grader import Graded, Grader
from proctor.lanes import Progress, side_by_side
from proctor.model import Run, Submission, Verdict
from proctor.plan import TEST, Plan, key_of, plan_for
from proctor.record import Kept, Store, record, take_back

__all__ = ["Result", "grade", "grade_class", "refuse_unknown", "submitters_on_disk"]


@dataclass(frozen=True)
class Result:
    """What became of one submission in this run."""

    verdict: Verdict
    graded: bool  # now; False if the verdict stood already, and for what cannot be judged
    why: str = ""  # in a clause, why a submission that had a verdict was graded again


def submitters_on_disk(course: Course, name: str) -> tuple[str, ...]:
    """Return the ids of all students with a folder of this assignment in `submitted/`, sorted."""
    students = course.submitted.glob("[!.]*")
    return tuple(sorted(folder.name for folder in students if (folder / name).is_dir()))


def grade(
    course: Course,
    name: str,
    students: Sequence[str] = (),
    *,
    jobs: int | None = None,
    device: str = "auto",
    seed: int | None = None,
    force: bool = False,
    trusted: bool = False,
    tell: Callable[[Result], None] = lambda _: None,
) -> tuple[Result, ...]:
    """Grade an assignment's submissions and write the grades down.

    Args:
        course: where they stand.
        name: of the assignment.
        students: ids; all who handed something in if there are none.
        jobs: how many side by side; without a number one for each core, or for each GPU.
        device: see `plan_for`.
        seed: see `plan_for`.
        trusted: see `plan_for`.
        force: see `grade_class`.
        tell: see `grade_class`.

    Raises:
        CourseError: there is no such assignment or student, or the gradebook cannot be used.
        EngineError: no sandbox can be had, or the instructor's own cells fail.
    """
    refuse_unknown(course, name, students)
    chosen = tuple(dict.fromkeys(students)) or submitters_on_disk(course, name)
    if not chosen:
        raise CourseError(
            f"nobody has handed in {name!r}",
            where=f"'{course.submitted}' holds no folder STUDENT/{name}",
            todo="collect first: nbgrader collect, or nbgrader zip_collect",
        )
    plan = plan_for(course, name, seed=seed, device=device, trusted=trusted)
    at_once = jobs or (os.cpu_count() or 1 if plan.device == "cpu" else max(plan.gpus, 1))
    progress = Progress(len(chosen))
    return asyncio.run(grade_class(course, plan, chosen, jobs=at_once, force=force, progress=progress, tell=tell))


def refuse_unknown(course: Course, name: str, students: Sequence[str]) -> None:
    """Look whether names are names of something.

    Raises:
        CourseError: no such assignment, or nothing of such a student's; with a suggestion.
    """
    known = tuple(sorted({path.parent.name for path in course.source.glob("*/*.ipynb")}))
    if name not in known:
        what, todo = f"there is no source notebook for {name!r}", f"proctor release {name}"
        raise CourseError(what, where=f"'{course.source}'", todo=_meant(name, known) or todo)
    known = submitters_on_disk(course, name)
    for student in students:
        if student not in known:
            what, todo = f"{student!r} has handed in nothing for {name!r}", "look at the folder's names"
            raise CourseError(what, where=f"'{course.submitted}'", todo=_meant(student, known) or todo)


def _meant(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


async def grade_class(
    course: Course,
    plan: Plan,
    students: Sequence[str],
    *,
    jobs: int,
    force: bool = False,
    progress: Progress | None = None,
    tell: Callable[[Result], None] = lambda _: None,
) -> tuple[Result, ...]:
    """Grade submissions and write everything down; one that cannot be judged stops no other.

    Args:
        course: where they stand.
        plan: of the assignment.
        students: ids, in the order of the results.
        jobs: how many side by side.
        force: also those whose verdict would stand.
        progress: a line for a terminal.
        tell: hears each result as soon as it is written down.

    Raises:
        CourseError: the gradebook or the records cannot be used, or another run grades the same now.
        EngineError: the records cannot be written.
    """
    with Store(course, plan.assignment).alone():
        async with Grader.open(plan) as grader:
            clerk = _Clerk(course, grader, force=force, tell=tell)
            work = {student: clerk.piece(student) for student in students}
            results = await side_by_side(work, jobs=jobs, progress=progress)
    return tuple(results.values())


class _Clerk:
    """Takes one submission after another through all stages."""

    def __init__(self, course: Course, grader: Grader, *, force: bool, tell: Callable[[Result], None]) -> None:
        self.course, self.grader, self.force, self.tell = course, grader, force, tell
        self.plan = grader.plan
        self.store = Store(course, self.plan.assignment)
        self.writing = asyncio.Lock()  # one writer, whatever runs side by side

    def piece(self, student: str) -> Callable[[], Any]:
        async def grade() -> Result:
            result = await self.grade(student)
            self.tell(result)
            return result

        return grade

    async def grade(self, student: str) -> Result:
        kept = self.store.read(student)
        try:
            submission = await self.grader.take_in(self.course.submitted / student / self.plan.assignment, student)
            key = key_of(self.plan, submission, self.grader.furniture.packages)
            change = "asked for" if self.force and kept else _change(kept, key)
            if kept and not change and self._stands(student):
                return Result(kept.verdict, graded=False)
            only = _changed_tests(kept, key) if kept and not self.force else None
            graded = await self.grader.grade(submission, only=only)
            if only is not None and kept is not None:
                graded = self._merged(submission, graded, kept.verdict)
            await self._write(submission, graded, key)
        except CourseError:
            raise
        except ProctorError as error:
            return await self._refuse(student, error)
        except Exception as error:  # a mistake of ours, which must not end the class
            fault = EngineError(f"{type(error).__name__}: {error}", where=f"student {student!r}", todo="report this")
            return await self._refuse(student, fault)
        return Result(graded.verdict, graded=True, why=change if kept else "")

    def _merged(self, submission: Submission, graded: Graded, before: Verdict) -> Graded:
        """Put the outcomes that stand beside those judged now."""
        runs = _merged(graded, before)
        return replace(graded, runs=runs, verdict=self.grader.verdict(submission, graded.rebuilt, runs))

    def _stands(self, student: str) -> bool:
        folder = self.course.autograded / student / self.plan.assignment
        return all((folder / f"{name}.ipynb").is_file() for name in self.plan.sources)

    async def _write(self, submission: Submission, graded: Graded, key: Mapping[str, str]) -> None:
        async with self.writing:
            await asyncio.to_thread(record, self.course, submission, graded.rebuilt, graded.runs, graded.verdict)
            kept = Kept(graded.verdict, key, datetime.now(UTC).isoformat())
            await asyncio.to_thread(self.store.write, submission.student, kept)

    async def _refuse(self, student: str, error: ProctorError) -> Result:
        """Leave no grade where none was earned.

        An earlier grade stays. If the student has since handed in what cannot be judged, a person is asked which of
        the two holds, and the next run tries again even if the earlier file is back. A fault of ours asks nobody.
        """
        is_theirs = isinstance(error, SubmissionError)
        async with self.writing:
            await asyncio.to_thread(take_back, self.course, student, self.plan.assignment, mark=is_theirs)
            if is_theirs:
                await asyncio.to_thread(self.store.forget, student)
        return Result(self.grader.refused(student, error).verdict, graded=False)


def _change(kept: Kept | None, key: Mapping[str, str]) -> str:
    """Return what has changed since a verdict, as a clause; empty if it stands."""
    if kept is None:
        return "new"
    changed = sorted(part for part in {*kept.key, *key} if kept.key.get(part) != key.get(part))
    tests = [part.removeprefix(TEST).rpartition("/")[2] for part in changed if part.startswith(TEST)]
    others = [part for part in changed if not part.startswith(TEST)]
    if tests:
        others.append("the test" + ("s " if len(tests) > 1 else " ") + ", ".join(map(repr, tests)))
    return f"{' and '.join(others)} changed" if others else ""


def _changed_tests(kept: Kept, key: Mapping[str, str]) -> Collection[str] | None:
    """Return the tests to judge again if nothing but tests changed; None if all must be."""
    if {part for part in kept.key if not part.startswith(TEST)} ^ {part for part in key if not part.startswith(TEST)}:
        return None
    changed = {part for part in key if kept.key.get(part) != key[part]}
    if not changed or not all(part.startswith(TEST) for part in changed):
        return None
    return {part.rpartition("/")[2] for part in changed}


def _merged(graded: Graded, before: Verdict) -> tuple[Run, ...]:
    """Return the runs with an outcome for each test: the one of now, or else the one that stands."""
    new = {(outcome.notebook, outcome.cell): outcome for outcome in graded.verdict.outcomes}
    old = {(outcome.notebook, outcome.cell): outcome for outcome in before.outcomes}
    several = len(graded.rebuilt) > 1
    runs = []
    for rebuilt, run in zip(graded.rebuilt, graded.runs, strict=True):
        notebook = rebuilt.name if several else ""
        names = [step.name for step in rebuilt.steps if step.role == "test"]
        outcomes = [new.get((notebook, name)) or old.get((notebook, name)) for name in names]
        runs.append(replace(run, outcomes=tuple(each for each in outcomes if each is not None)))
    return tuple(runs)
