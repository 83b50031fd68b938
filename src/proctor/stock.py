"""Stock nbgrader as the engine: one submission in, one verdict out.

`nbgrader autograde` runs in a process of its own, under a deadline of ours, and its whole tree is killed when that has
passed. What it says in the end is read from the autograded notebook. A submission that it cannot grade is not judged:
its half-made files go, and the gradebook keeps no zero for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbgrader.utils import determine_grade, is_grade, is_solution

from proctor.course import Course
from proctor.errors import EngineError
from proctor.gradebook import forget_submissions, submitters
from proctor.model import Outcome, Verdict

__all__ = ["StockEngine", "StockLimits", "write_feedback"]

TIMEOUT = "CellTimeoutError"  # what nbgrader writes into a cell that it stopped
RAISED = re.compile(r"^ *([\w.]*(?:Error|Exception|Interrupt))(?:: (.*))?$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
FEEDBACK_LIMIT = 300.0  # s for the pages of a class; one takes half a second


@dataclass(frozen=True)
class StockLimits:
    """How long a submission may run, in seconds."""

    cell: int = 60
    total: float = 600.0


class _FailedError(Exception):
    """A process of nbgrader's ended in failure; the text is one clause for the student."""


@dataclass(frozen=True)
class StockEngine:
    """Grade submissions of one assignment with `nbgrader autograde`, each in a process of its own."""

    course: Course
    assignment: str
    limits: StockLimits = StockLimits()

    async def __call__(self, student: str) -> Verdict:
        """Grade what a student handed in; earlier grades of the same student give way."""
        handed_in = self.course.submitted / student / self.assignment / f"{self.assignment}.ipynb"
        if reason := _unreadable(handed_in):
            return self._not_judged(student, reason)
        before = submitters(self.course.gradebook, self.assignment)
        try:
            await _nbgrader(self.course, *self._command(student), limit=self.limits.total)
        except _FailedError as failure:
            self._take_back(student, known=student in before)
            return self._not_judged(student, str(failure))
        except asyncio.CancelledError:
            self._take_back(student, known=student in before)
            raise
        return self._read(student)

    def _command(self, student: str) -> tuple[str, ...]:
        limit = f"--Execute.timeout={self.limits.cell}"
        return ("autograde", self.assignment, f"--student={student}", "--force", limit)

    def _take_back(self, student: str, *, known: bool) -> None:
        """Remove what a failed run left: a half-made file, and an empty submission that would read as a zero."""
        shutil.rmtree(self.course.autograded / student / self.assignment, ignore_errors=True)
        if not known:
            forget_submissions(self.course.gradebook, self.assignment, (student,))

    def _not_judged(self, student: str, reason: str) -> Verdict:
        return Verdict(student, self.assignment, "not judged", reason=reason)

    def _read(self, student: str) -> Verdict:
        path = self.course.autograded / student / self.assignment / f"{self.assignment}.ipynb"
        cells = _cells(path)
        outcomes = tuple(self._outcome(cell) for cell in cells if _is_test(cell))
        stopped = [_label(cell, index) for index, cell in enumerate(cells) if _last_error(cell)[0] == TIMEOUT]
        if not stopped:
            return Verdict(student, self.assignment, "complete", outcomes)
        others = f", and {len(stopped) - 1} more" if len(stopped) > 1 else ""
        reason = f"{stopped[0]} ran past {self.limits.cell} s and was stopped{others}"
        return Verdict(student, self.assignment, "partial", outcomes, reason)

    def _outcome(self, cell: Any) -> Outcome:
        """Return what nbgrader made of a test cell, as it stands in the gradebook too."""
        name = cell.metadata.nbgrader.grade_id
        points, most = determine_grade(cell)
        kind, text = _last_error(cell)
        if kind == TIMEOUT:
            return Outcome(name, "timed out", 0.0, most, f"ran past {self.limits.cell} s and was stopped")
        if kind or points < most:
            said = text if kind == "AssertionError" and text else f"{kind}: {text}".strip(": ")
            return Outcome(name, "failed", points, most, said or "not all of the points were earned")
        return Outcome(name, "passed", points, most)


async def write_feedback(course: Course, assignment: str, students: str) -> None:
    """Write the feedback pages of all autograded students whose id matches a pattern such as `demo-*`.

    Raises:
        EngineError: nbgrader failed.
    """
    try:
        command = ("generate_feedback", assignment, f"--student={students}", "--force")
        await _nbgrader(course, *command, limit=FEEDBACK_LIMIT)
    except _FailedError as failure:
        raise EngineError(
            f"the feedback could not be written: {failure}",
            where=f"assignment {assignment!r}, students '{students}'",
            todo=f"run 'nbgrader generate_feedback {assignment} --force' to see all that it says",
        ) from failure


def _unreadable(path: Path) -> str:
    """Return why a file cannot be a notebook; empty if it may be one."""
    try:
        notebook = json.loads(path.read_bytes())
    except FileNotFoundError:
        return f"no '{path.name}' was handed in"
    except json.JSONDecodeError as error:
        return f"the notebook is not valid JSON (line {error.lineno})"
    except (UnicodeDecodeError, RecursionError):
        return "the notebook is not valid JSON (not text, or nested too deep)"
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return "the file is not a notebook: it has no cells"
    return ""


async def _nbgrader(course: Course, *command: str, limit: float) -> None:
    """Run one nbgrader command in the course's folder, and leave nothing of it running.

    Raises:
        _FailedError: it ended in failure or was still running at the limit.
    """
    with tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log")
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "nbgrader", *command),
                cwd=course.root,
                env=_environment(folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(limit):
                await process.wait()
        except TimeoutError:
            raise _FailedError(f"it ran past {limit:g} s and was stopped") from None
        finally:
            await _kill_tree(process)
        if process.returncode:
            raise _FailedError(_reason(log.read_text(encoding="utf-8", errors="replace")))


def _environment(folder: str) -> dict[str, str]:
    """Return ours, with the programs of this Python first, and with all temporary files in one folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": folder, "JUPYTER_RUNTIME_DIR": folder}


async def _kill_tree(process: asyncio.subprocess.Process) -> None:
    """Kill the process and all that it started: kernels live in sessions of their own, out of a group's reach."""
    if process.returncode is not None:
        return
    parent = psutil.Process(process.pid)
    for member in [*parent.children(recursive=True), parent]:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    await process.wait()


def _reason(log: str) -> str:
    """Return, in one clause, why nbgrader gave up: the last exception that it logged."""
    raised = RAISED.findall(ANSI.sub("", log))
    if not raised:
        return "nbgrader could not grade it and does not say why"
    kind, said = raised[-1]
    known = {
        "DeadKernelError": "the kernel died while the notebook ran",
        TIMEOUT: "a cell that had run out of time could not be stopped",
        "ValidationError": "the notebook's nbgrader metadata is damaged",
    }
    name = kind.rpartition(".")[2]
    return known.get(name, f"nbgrader could not grade it ({name}: {said})")


def _cells(path: Path) -> list[Any]:
    """Read without nbformat's own checks: nbgrader has just written the file."""
    notebook = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))  # type: ignore[no-untyped-call]
    return list(notebook.cells)


def _is_test(cell: Any) -> bool:
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def _label(cell: Any, index: int) -> str:
    name = cell.metadata.get("nbgrader", {}).get("grade_id")
    return f"cell '{name}'" if name else f"the student's own cell {index + 1}"


def _last_error(cell: Any) -> tuple[str, str]:
    """Return (type, message) of a cell's last error, without colours; two empty strings if there is none."""
    errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
    return (errors[-1].ename, ANSI.sub("", errors[-1].evalue).strip()) if errors else ("", "")
