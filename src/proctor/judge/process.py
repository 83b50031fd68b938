"""A judge's process, started once for an assignment and asked test by test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proctor.channel import Channel, Gone, channel_pair
from proctor.disk import own_folder
from proctor.errors import EngineError
from proctor.judge.trial import Said, Trial

__all__ = ["Judge"]

OPENING_LIMIT = 120.0  # s; importing torch took 12 on a busy machine
SLACK = 5.0  # s that a test may take beyond its limit before its process is killed
STATES = ("passed", "failed", "crashed", "timed out", "not judged")


@dataclass(frozen=True)
class _Process:
    """The process, once it is started."""

    process: asyncio.subprocess.Process
    control: Channel

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> _Process:
        control, theirs = channel_pair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-B", "-m", "proctor.judge.main", str(theirs.fileno())),
                cwd=environment["TMPDIR"],
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            await control.close()
            raise
        finally:
            theirs.close()
        return cls(process, control)

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None

    async def open(self, opening: str) -> None:
        try:
            async with asyncio.timeout(OPENING_LIMIT):
                answer, _ = await self.control.ask({"do": "open", "source": opening})
        except TimeoutError:
            answer = {"error": f"it ran past {OPENING_LIMIT:.0f} s"}
        except Gone as gone:
            answer = {"error": str(gone)}
        if answer["error"]:
            raise EngineError(
                f"the opening cell fails where the tests run: {answer['error'].strip().splitlines()[-1]}",
                where="the first locked code cell of the source notebook",
                todo="run it in a fresh kernel; the judge sees no GPU and an empty folder",
            )

    async def lost(self, pid: int) -> bool:
        """Return whether a fork that said nothing was killed from outside, alone or with this process."""
        if self.has_ended:
            return True
        try:
            answer, _ = await self.control.ask({"do": "ending", "pid": pid})
        except Gone:
            return True
        return int(answer["signal"]) == signal.SIGKILL

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its forks too
        await self.process.wait()
        await self.control.close()


class Judge:
    """Judges tests of one notebook; several at once if asked to."""

    def __init__(self, opening: str, environment: Mapping[str, str]) -> None:
        self._opening, self._environment = opening, environment
        self._turn = asyncio.Lock()
        self._modules: list[str] = []  # that tests imported
        self._started: _Process | None = None

    @classmethod
    @asynccontextmanager
    async def start(cls, opening: str, *, seed: int, files: Path | None = None) -> AsyncIterator[Judge]:
        """Start the process and run the opening cell in it; nothing of it is left afterwards.

        Args:
            opening: source of the opening cell.
            seed: the secret one.
            files: folder of the assignment's files, which the tests may read: a copy is the current folder.

        Raises:
            EngineError: the process does not start, or the instructor's opening cell fails in it.
        """
        with own_folder("judge") as folder:
            if files is not None:
                _copy(files, folder)
            judge = cls(opening, _environment(seed, str(folder)))
            try:
                await judge._process()
                yield judge
            finally:
                await judge._end()

    async def _process(self) -> _Process:
        """Return the process, or another in its place if it was killed: that costs only the tests that it ran."""
        if self._started is None or self._started.has_ended:
            await self._end()
            started = self._started = await _Process.start(self._environment)
            try:
                await started.open(self._opening)
            except BaseException:
                await self._end()  # without its opening cell nobody may use it
                raise
        return self._started

    async def _end(self) -> None:
        if self._started is not None:
            started, self._started = self._started, None
            await started.end()

    async def judge(self, trial: Trial, student: socket.socket) -> Said:
        """Run one test cell against a copy of the student's notebook.

        Args:
            trial: the test.
            student: a socket to the copy; the caller closes it.

        Raises:
            EngineError: the judge's process is gone, or was killed while it ran this test.
        """
        verdict, theirs = channel_pair()
        message: dict[str, Any] = {"do": "try", "trial": asdict(trial)}
        process: _Process | None = None
        pid = 0
        try:
            async with self._turn:
                process = await self._process()
                message["modules"], self._modules = self._modules, []
                answer, _ = await process.control.ask(message, descriptors=(student.fileno(), theirs.fileno()))
            pid = answer["pid"]
            theirs.close()
            async with asyncio.timeout(trial.cell_limit + SLACK):
                heard, said = await verdict.hear()
            self._modules += heard["modules"]
            return _checked(said)
        except TimeoutError:
            return Said("timed out", f"the test ran past {trial.cell_limit:.0f} s and was stopped")
        except Gone as gone:
            if process is None or not pid or await self._lost(process, pid):
                where = f"test {trial.name!r}: {gone}"
                raise EngineError("the judge's process is gone", where=where, todo="grade again") from gone
            return Said("failed", "the test ran out of memory, or ended its process, on what your code gave back")
        finally:
            theirs.close()
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await verdict.close()

    async def _lost(self, process: _Process, pid: int) -> bool:
        async with self._turn:
            return await process.lost(pid)


def _copy(files: Path, folder: Path) -> None:
    try:
        shutil.copytree(files, folder, dirs_exist_ok=True)
    except OSError as error:
        said = error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror or error  # one for each file
        what = f"the assignment's files could not be copied for the judge: {said}"
        raise EngineError(what, where=f"'{folder}'", todo="make room there, then grade again") from error


def _checked(said: dict[str, Any]) -> Said:
    if said.get("state") not in STATES:
        raise EngineError("the judge's verdict cannot be read", where=repr(said)[:200], todo="grade again")
    return Said(**said)


def _environment(seed: int, folder: str) -> dict[str, str]:
    """Return ours, with the secret seed; no GPU, which a process that forks must not open."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    own = {"DESCENT_SEED": str(seed), "CUDA_VISIBLE_DEVICES": "", "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **threads, **own}
