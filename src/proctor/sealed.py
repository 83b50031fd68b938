"""A rebuilt notebook run sealed: the student's cells in a sandbox, the tests' asserts in the judge.

First all cells of the student's run, in order; at the place of each test a copy of the process is left asleep. Only
then are the tests judged, each against its own copy. So no cell of the student's runs after a hidden block has been
seen, and no test meets what another left behind. Where no faithful copy can be made (threads are running, CUDA is in
use), or a copy was killed, the cells before the test are run again in a new process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from proctor.channel import Channel, Gone, channel_pair
from proctor.errors import EngineError
from proctor.judge import Judge, Said, Trial, hides, is_sealed, points
from proctor.keeper import ANSWER, GRACE, Ending, Keeper, Session
from proctor.model import Outcome, Rebuilt, Run, Step
from proctor.record.text import plain_text
from proctor.sandbox import Room

__all__ = ["LIMITS", "Limits", "run", "verdict_of_outputs"]

RESTARTS = 5  # after cells that ended or blocked the process, and one for each test; each runs the cells before again
STOPPED, KILLED = "was stopped", "by SIGKILL"  # how clauses about an end begin, and how they end
BRIEF = 120  # characters of what student's code says, once it has seen a hidden block


@dataclass(frozen=True)
class Limits:
    """How long things may run, in seconds."""

    given: float = 120.0  # a cell of the instructor's own; importing torch took 12 on a machine that was busy
    cell: float = 60.0  # the slowest reference cell may take 15, and a slower right answer is still right
    total: float = 600.0  # all of a notebook, its tests included


LIMITS = Limits()


async def run(
    rebuilt: Rebuilt,
    *,
    room: Room,
    keeper: Keeper,
    judge: Judge | None,
    chance: str,
    limits: Limits = LIMITS,
    only: Collection[str] | None = None,
) -> Run:
    """Run a rebuilt notebook and say what its tests said.

    Args:
        rebuilt: the notebook.
        room: the sandbox; nothing of the student's is left running in it afterwards.
        keeper: its first process.
        judge: has run the opening cell; None where no test has a block.
        chance: where the seeds of the student's generators come from, different for each assignment.
        limits: in seconds.
        only: names of the tests to run; None for all.

    Raises:
        EngineError: the sandbox or the judge failed, which says nothing about the student.
    """
    began = time.monotonic()
    runner = _Runner(rebuilt, room=room, keeper=keeper, judge=judge, chance=chance, limits=limits)
    try:
        tests = [index for index, step in enumerate(rebuilt.steps) if step.role == "test"]
        await runner.run_cells([index for index in tests if only is None or rebuilt.steps[index].name in only])
        outcomes = await runner.try_tests()
    finally:
        await runner.close()
    return Run(
        rebuilt.name,
        outcomes,
        runner.outputs,
        stopped=tuple(runner.stopped),
        seconds=time.monotonic() - began,
        memory=room.peak,
    )


class _Runner:
    """One run of one notebook."""

    def __init__(
        self, rebuilt: Rebuilt, *, room: Room, keeper: Keeper, judge: Judge | None, chance: str, limits: Limits
    ) -> None:
        self.steps = rebuilt.steps
        self.room, self.keeper, self.judge, self.chance, self.limits = room, keeper, judge, chance, limits
        self.deadline = time.monotonic() + limits.total
        self.outputs: dict[int, tuple[Mapping[str, Any], ...]] = {}
        self.stopped: list[str] = []
        self.skipped: set[int] = set()  # cells that ended or blocked the process, and are left out from then on
        tests = sum(step.role == "test" for step in rebuilt.steps)
        self.restarts_left = RESTARTS + tests
        self.cells = {step.label: step.source for step in rebuilt.steps if step.role != "test"}
        self.has_shown_hidden = False  # a hidden block has run: student's code may repeat what it saw there
        self.kills_seen = len(room.killed)
        self.has_doubted = False  # once, a kill is taken for somebody else's: the machine's, or a person's
        self.copies: dict[int, Session | None] = {}  # by the place of their test, in order
        self.open: list[Channel] = []

    async def close(self) -> None:
        """Leave nothing behind in the sandbox."""
        try:
            await self.keeper.sweep()
        finally:
            for channel in self.open:
                await channel.close()

    # -- the student's cells ------------------------------------------------------------------------------------

    async def run_cells(self, tests: Collection[int]) -> None:
        """Run the student's cells, and leave a copy of the process at the place of each test to be judged."""
        session: Session | None = await self._new_session()
        for index, step in enumerate(self.steps):
            if index in tests:
                self.copies[index] = await self._copy(session)
            elif step.kind == "code" and step.role != "test":
                session = await self._run_or_recover(session, index)
        if session is not None:
            await session.channel.close()
        await self._sweep()

    async def _run_or_recover(self, session: Session | None, index: int) -> Session | None:
        """Run a cell; if the process does not survive it, return a new one in which it was left out."""
        if session is None or time.monotonic() > self.deadline:
            self._note(index, "was not run")
            return session
        why = await self._run_cell(session, index, keep_outputs=True)
        if why.endswith(KILLED) and not self.has_doubted:
            self.has_doubted = True
            session = await self._replay(index)
            why = await self._run_cell(session, index, keep_outputs=True) if session else why
        if not why:
            return session
        self.skipped.add(index)
        self._note(index, why)
        return await self._replay(index)

    async def _run_cell(self, session: Session, index: int, *, keep_outputs: bool) -> str:
        """Run a cell; return what became of the process if it cannot be used any more, as a clause."""
        step = self.steps[index]
        limit = self._limit(step)
        try:
            ended, outputs = await session.run_cell(self.keeper, step.label, step.source, limit=limit)
        except Gone:
            return await self._why_gone(session)
        if ended == "stuck":
            return f"ran past {limit:.0f} s and could not be stopped"
        if keep_outputs:
            self.outputs[index] = outputs
            if ended == "late":
                self._note(index, f"ran past {limit:.0f} s and was stopped")
        return ""

    def _limit(self, step: Step) -> float:
        limit = self.limits.given if step.role == "given" else self.limits.cell
        return max(min(limit, self.deadline - time.monotonic()), 0.1)

    async def _why_gone(self, session: Session) -> str:
        if why := self._killed():
            return f"{STOPPED}: {why}"
        return f"ended the process {await self.keeper.ending(session.pid)}".strip()

    def _killed(self) -> str:
        """Return why something was killed since the last look; empty if nothing was."""
        seen, self.kills_seen = self.kills_seen, len(self.room.killed)
        return self.room.killed[-1] if self.kills_seen > seen else ""

    def _note(self, index: int, what: str) -> None:
        self.stopped.append(f"{_called(self.steps[index])} {what}")

    async def _new_session(self) -> Session:
        session = await self.keeper.session()
        self.open.append(session.channel)
        return session

    async def _replay(self, end: int) -> Session | None:
        """Run all cells before a place again, in a new process; None if that fails too often."""
        while self.restarts_left:
            self.restarts_left -= 1
            await self._sweep()
            session = await self._new_session()
            lost = await self._run_up_to(session, end)
            if lost is None:
                return session
            self.skipped.add(lost)
        return None

    async def _run_up_to(self, session: Session, end: int) -> int | None:
        """Run cells silently; return the one that the process did not survive."""
        for index, step in enumerate(self.steps[:end]):
            is_due = step.kind == "code" and step.role != "test" and index not in self.skipped
            if is_due and await self._run_cell(session, index, keep_outputs=False):
                return index
        return None

    async def _copy(self, session: Session | None) -> Session | None:
        if session is None:
            return None
        ours, theirs = channel_pair()
        self.open.append(ours)
        try:
            async with asyncio.timeout(ANSWER):
                answer, _ = await session.channel.ask({"do": "snapshot"}, descriptors=(theirs.fileno(),))
        except (Gone, TimeoutError):
            return None
        finally:
            theirs.close()
        pid = answer.get("pid")
        return Session(ours, pid) if type(pid) is int else None

    async def _sweep(self) -> None:
        await self.keeper.sweep([copy.pid for copy in self.copies.values() if copy is not None])

    # -- the tests ----------------------------------------------------------------------------------------------

    async def try_tests(self) -> tuple[Outcome, ...]:
        """Judge the tests, each against its own copy."""
        outcomes = []
        for index in list(self.copies):
            began = time.monotonic()
            said = await self._try(index, self.copies.pop(index))
            if said.printed:
                self.outputs[index] = ({"output_type": "stream", "name": "stdout", "text": said.printed},)
            outcomes.append(_outcome(self.steps[index], said, seconds=time.monotonic() - began))
            await self._sweep()
        return tuple(outcomes)

    async def _try(self, index: int, copy: Session | None) -> Said:
        if time.monotonic() > self.deadline:
            return Said("timed out", f"the notebook ran past {self.limits.total:.0f} s in all")
        if copy is None or not await _answers(copy):
            copy = await self._replay(index)
        if copy is None:
            return Said("crashed", "the cells before this test end their process again and again")
        step = self.steps[index]
        said = await (self._try_sealed(step, copy) if is_sealed(step.source) else self._try_plain(step, copy))
        await copy.channel.close()
        if said.state == "crashed" and (why := await self._why_gone(copy)):
            if why.endswith(KILLED) and not self.has_doubted:
                self.has_doubted = True
                return await self._try(index, None)
            said = replace(said, message=f"your code {why}") if why.startswith(STOPPED) else said
        return replace(said, message=plain_text(said.message), printed=plain_text(said.printed))

    async def _try_sealed(self, step: Step, copy: Session) -> Said:
        if self.judge is None:
            raise EngineError("there is no judge for a sealed test", where=step.label, todo="report this")
        limit = self._limit(step)
        trial = Trial(
            step.source,
            step.name,
            chance=f"{self.chance}/{step.name}",
            block_limit=limit,
            cell_limit=limit,
            cells=self.cells,
            is_brief=self.has_shown_hidden,
        )
        self.has_shown_hidden |= hides(step.source)
        async with self.keeper.watching(copy):
            return await self.judge.judge(trial, copy.channel.socket)

    async def _try_plain(self, step: Step, copy: Session) -> Said:
        """Run a test without a block as nbgrader would: wholly beside the student's code."""
        limit = self._limit(step)
        try:
            ended, outputs = await copy.run_cell(self.keeper, step.label, step.source, limit=limit)
        except Gone:
            return Said("crashed", "your code ended its process")
        if ended in ("late", "stuck"):
            return Said("timed out", f"ran past {limit:.0f} s and was stopped")
        said = verdict_of_outputs(ended, outputs)
        most = BRIEF if self.has_shown_hidden else len(said.message)
        self.has_shown_hidden |= hides(step.source)
        return replace(said, message=said.message[:most])


async def _answers(copy: Session) -> bool:
    """Return whether a copy is still there: one that was just killed looks alive until it has ended."""
    if not copy.is_alive():
        return False
    with suppress(Gone, TimeoutError):
        async with asyncio.timeout(GRACE):
            await copy.channel.ask({"do": "cell", "label": "", "source": ""})
            return True
    return False


def _called(step: Step) -> str:
    return f"cell '{step.name}'" if step.name else step.label


def _outcome(step: Step, said: Said, *, seconds: float) -> Outcome:
    earned = points(said.share, step.points) if said.state == "passed" else 0.0
    state = "failed" if said.state == "passed" and earned < step.points else said.state
    message = said.message or ("" if state == "passed" else f"{earned:g} of {step.points:g} points")
    return Outcome(
        step.name,
        state,
        earned,
        step.points,
        message,
        device=said.device,
        sealed=is_sealed(step.source),
        seconds=seconds,
    )


def verdict_of_outputs(ended: Ending, outputs: tuple[Mapping[str, Any], ...]) -> Said:
    """Return what a test that ran wholly beside the student's code said, as nbgrader reads it."""
    for output in outputs:
        if output.get("output_type") == "error":
            kind, text = str(output.get("ename")), str(output.get("evalue"))
            return Said("failed", text if kind == "AssertionError" and text else f"{kind}: {text}")
        if output.get("output_type") == "execute_result":
            data = output.get("data")
            return Said("passed", share=_number(data.get("text/plain") if type(data) is dict else None))
    return Said("passed") if ended == "well" else Said("failed", "the cell did not end well")


def _number(text: object) -> float | None:
    """Return a number that nbgrader would read in a result; None for all else, which it takes for all points."""
    with suppress(ValueError, TypeError):
        return float(text)  # type: ignore[arg-type]
    return None
