"""One test cell judged: its own lines run here, its blocks beside the student's code."""

from __future__ import annotations

import builtins
import math
import socket
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proctor.inside import wire
from proctor.judge.split import RUN, VALUE, Test, split
from proctor.judge.student import Came, Side
from proctor.model import CellState

__all__ = ["Said", "Trial", "points", "try_test"]

FILE = "<test {}>"
MESSAGE = 4_000  # characters; an author's own messages are far shorter
FRAME = '  File "<cell '  # how a frame of the student's begins
KIND = 40  # characters of an exception's name
SAYS = 120  # characters of what the student's code says in a hidden test


@dataclass(frozen=True)
class Trial:
    """A test cell to be judged."""

    source: str  # hidden part included
    name: str
    chance: str  # where the seeds of its blocks come from
    block_limit: float = 60.0  # s
    cell_limit: float = 60.0  # s, all blocks and the test's own lines together
    cells: Mapping[str, str] = field(default_factory=dict)  # sources of the student's notebook by label, for messages
    is_brief: bool = False  # the student's code has seen a hidden block, and may say so: be short with what it says


@dataclass(frozen=True)
class Said:
    """What a test said."""

    state: CellState
    message: str = ""
    share: float | None = None  # the value of the last line, where it is a number; None for all points
    device: str = ""
    printed: str = ""


def points(share: float | None, most: float) -> float:
    """Return the points of a test that raised nothing: all, or the value of its last line, within 0 and all."""
    if share is None:
        return most
    return 0.0 if math.isnan(share) else min(max(share, 0.0), most)


def try_test(trial: Trial, sock: socket.socket, *, space: Mapping[str, Any], opening: Sequence[str]) -> Said:
    """Run a test cell and say how it came out; raises nothing.

    Args:
        trial: the test.
        sock: to a copy of the student's notebook at the test's place; its timeout is the limit of a block.
        space: what the opening cell bound.
        opening: the import statements of the opening cell.
    """
    filename = FILE.format(trial.name)
    try:
        test = split(trial.source, filename)
    except (SyntaxError, ValueError) as error:
        return Said("not judged", f"the test cannot be run: {error}")
    names = {**space, "__name__": "__main__", "__builtins__": dict(vars(builtins))}
    side = Side(sock, test, names, opening=opening, chance=trial.chance)
    names[RUN] = side.run
    try:
        exec(test.code, names)
    except BaseException as error:
        if side.stopped is None:
            return _said(side, *_failed(error, test, side, trial), trial=trial)
    if side.stopped is not None:  # whatever the test made of it
        return _said(side, side.stopped.state, side.stopped.message, trial=trial)
    return _said(side, "passed", "", trial=trial, share=_share(names.get(VALUE)))


def _said(side: Side, state: CellState, message: str, *, trial: Trial, share: float | None = None) -> Said:
    printed = "" if trial.is_brief else "".join(side.printed)
    return Said(state, _storable(message[:MESSAGE]), share, _storable(side.device), _storable(printed[:MESSAGE]))


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # no half characters, which no file can hold


def _share(value: Any) -> float | None:
    """Return the value of a last line as a number; None if it is none, which nbgrader takes for all points."""
    is_number = isinstance(value, int | float) or getattr(value, "shape", None) == ()
    dtype = str(getattr(value, "dtype", ""))
    if not is_number or isinstance(value, bool) or "bool" in dtype or "complex" in dtype:
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):  # an array of texts without a side
        return None


def _failed(error: BaseException, test: Test, side: Side, trial: Trial) -> tuple[CellState, str]:
    """Return the state and the message of a test that raised something."""
    if isinstance(error, wire.CannotCross):
        return "not judged", f"the test sends what cannot leave it: {error}"
    hidden = _line(error, FILE.format(trial.name)) >= test.hidden_from
    came = side.origin(error)
    if came is not None:
        return "failed", _of_student(came, trial.cells, brief=hidden or trial.is_brief)
    if isinstance(error, NameError) and error.name in side.lost:
        return "failed", _lost(error.name, side.lost[error.name])
    return "failed", _of_test(error, hidden=hidden)


def _line(error: BaseException, filename: str) -> int:
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return lines[0] if lines else 0


def _of_student(came: Came, cells: Mapping[str, str], *, brief: bool) -> str:
    """Say what the student's code raised, and in which line of theirs; in full where the test is visible.

    Name and place are looked up and not taken from the student's process, which could say anything there.
    """
    says = came.says if not brief else _cut(came.says)
    lines = cells.get(came.place, "").split("\n")
    is_known = came.place in cells and came.line <= len(lines)
    place = f" (in '{came.place}', line {came.line}: {_cut(lines[came.line - 1].strip())})" if is_known else ""
    frames = "" if brief or came.frames.count(FRAME) < 2 else f"\n{came.frames}"
    kind = came.kind[:KIND] if came.kind.isidentifier() else "an error without a name"
    return (f"{kind}: {says}{place}" if says else f"{kind}{place}") + frames


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SAYS else flat[: SAYS - 1] + "…"


def _lost(name: str, kind: str) -> str:
    if kind == "nothing":
        return f"'{name}' was never given a value"
    return f"'{name}' holds {kind}, which cannot be judged: give back plain numbers, lists, arrays or tensors"


def _of_test(error: BaseException, *, hidden: bool) -> str:
    """Return the author's words; of a hidden test without the values that it expected.

    A check of a library may keep them out of the text in an attribute `brief`.
    """
    text = str(error)
    if isinstance(error, AssertionError):
        brief = getattr(error, "brief", "")
        return (brief if hidden and brief else text) or "a check does not hold"
    if hidden:
        return f"the test could not use what your code gave back ({type(error).__name__})"
    return f"{type(error).__name__}: {text}"
