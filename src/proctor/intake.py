"""Take in what a student handed in: look without following, read only notebooks, run nothing.

The one thing that is read, a wanted notebook, is parsed in a process of its own (`proctor.reader`).
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from proctor import reader
from proctor.errors import EngineError, SubmissionError
from proctor.folder import Place, held, opened, quoted, survey, unreadable
from proctor.model import HandedIn, Submission, SubmittedNotebook

__all__ = ["intake"]

DEADLINE = 60  # s for reading one notebook: three times what its process may compute
STAMP = "timestamp.txt"  # written by nbgrader
LONGEST_STAMP = 200  # bytes; nbgrader writes 30
MOST_COMPARED = 100  # notebooks among which a misnamed one is looked for
COPY = re.compile(r"(-copy\d*| ?\(\d+\))+$")  # what Jupyter and browsers append to a name that is taken
OVERTAXED = [-getattr(signal, name) for name in ("SIGXCPU", "SIGSEGV") if hasattr(signal, name)]


def _now() -> datetime:
    return datetime.now(UTC)


async def intake(
    folder: Path, *, student: str, assignment: str, wanted: Sequence[str], now: Callable[[], datetime] = _now
) -> Submission:
    """Read the wanted notebooks of one submission.

    Args:
        folder: `submitted/STUDENT/NAME`.
        student: whose it is.
        assignment: its name.
        wanted: names of the instructor's notebooks, without `.ipynb`.
        now: tells the time of receipt where nbgrader noted none.

    Raises:
        SubmissionError: what was handed in cannot be judged; the message is for the student and the instructor.
        EngineError: the files could not be read, by no fault of the student's.
    """
    names = sorted(set(wanted))
    beside = await asyncio.to_thread(survey, folder, {STAMP, *map(_file, names)})
    with held(folder) as place:
        stamp, notes = _stamp(place)
        answers = {name: await _read(place, name, folder) for name in names}
    found = {name: answer for name, answer in answers.items() if answer is not None}
    if not found:
        raise _nothing(folder, names, beside.notebooks)
    notes += [f"no '{_file(name)}' was handed in" for name in names if name not in found]
    notes += [f"'{_file(name)}': {note}" for name, answer in found.items() for note in answer["notes"]]
    read = [*(f"{name}\0{answer['digest']}\n" for name, answer in found.items()), stamp]
    digest = hashlib.sha256("".join(read).encode()).hexdigest()
    notebooks = tuple(SubmittedNotebook(name, _cells(answer)) for name, answer in found.items())
    received = stamp or now().astimezone(UTC).isoformat(timespec="seconds")
    return Submission(student, assignment, digest, received, notebooks, (*notes, *beside.notes))


def _file(name: str) -> str:
    return f"{name}.ipynb"


def _cells(answer: Any) -> tuple[HandedIn, ...]:
    return tuple(HandedIn(kind, source, name) for kind, source, name in answer["cells"])


def _nothing(folder: Path, names: Sequence[str], others: Sequence[str]) -> SubmissionError:
    """Say which notebooks are missing, and which other one may be meant; to use it is for a person to decide."""
    missing = " or ".join(f"'{_file(name)}'" for name in names)
    for name in names:
        stems = {COPY.sub("", Path(path).stem.lower()): path for path in others[:MOST_COMPARED]}
        if near := difflib.get_close_matches(name.lower(), stems, n=1):
            what = f"no {missing} was handed in, but {quoted(stems[near[0]])}"
            todo = f"if that is meant, rename it to '{_file(name)}' and grade again"
            return SubmissionError(what, where=f"'{folder}'", todo=todo)
    todo = "ask the student for the notebook"
    return SubmissionError(f"no {missing} was handed in", where=f"'{folder}'", todo=todo)


def _stamp(place: Place) -> tuple[str, list[str]]:
    """Return when the files reached us as nbgrader noted it, empty if it did not; and a note if the file is no use."""
    try:
        with opened(place, STAMP) as handle:
            moment = None if handle is None else _moment(os.read(handle, LONGEST_STAMP + 1))
    except (SubmissionError, OSError, ValueError, OverflowError):
        return "", [f"'{STAMP}' holds no time: the time of grading was taken"]
    return (moment.isoformat(timespec="seconds") if moment else ""), []


def _moment(data: bytes) -> datetime:
    """Read a time as nbgrader writes it, such as `2026-02-03 09:12:53.381301 Europe/Vienna`.

    nbgrader itself reads more forms, but its way of looking up a zone opens any file that the text names.

    Raises:
        ValueError, OverflowError: it is none.
    """
    if len(data) > LONGEST_STAMP:
        raise ValueError("too long")
    text = data.decode().strip()
    moment, zone = text.rsplit(" ", 1) if text.count(" ") == 2 else (text, "")
    if re.fullmatch(r"[+-]\d\d:?\d\d", zone):
        moment, zone = moment + zone, ""
    time = datetime.fromisoformat(moment)
    return (time if time.tzinfo else time.replace(tzinfo=_zone(zone))).astimezone(UTC)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (OSError, ValueError, KeyError):  # nbgrader, too, takes the time of a zone that nobody knows as UTC
        return UTC


async def _read(place: Place, name: str, folder: Path) -> Any:
    """Return what the reader says about a notebook; None if there is no such file."""
    path = folder / _file(name)
    try:
        with opened(place, path.name) as handle:
            if handle is None:
                return None
            output, code = await _ask_reader(handle, path)
    except SubmissionError as error:
        raise SubmissionError(error.what, where=f"'{path}'", todo=error.todo) from None
    except OSError as error:
        raise unreadable(path, error) from error
    if code in OVERTAXED:
        raise SubmissionError(f"'{path.name}' takes too long to read", where=f"'{path}'", todo=reader.SAVE_AGAIN)
    return _answer(output, path)


def _answer(output: bytes, path: Path) -> Any:
    try:
        answer = json.loads(output)
    except ValueError:
        what = "the process that reads notebooks died"
        raise EngineError(what, where=f"'{path}'", todo="grade this submission again") from None
    if "refused" in answer:
        reason, todo = answer["refused"]
        raise SubmissionError(f"'{path.name}' {reason}", where=f"'{path}'", todo=todo)
    return answer


async def _ask_reader(handle: int, path: Path) -> tuple[bytes, int]:
    """Let a process of its own read the open file; return its answer and how it ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", reader.__file__, stdin=handle, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
    except TimeoutError:
        todo = "grade this submission again when the machine has less to do"
        raise EngineError(f"reading took more than {DEADLINE} s", where=f"'{path}'", todo=todo) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # takes the rest of its output, so that its pipes close
    return output, process.returncode or 0
