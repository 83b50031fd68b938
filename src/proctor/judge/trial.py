"""One test cell judged: its own lines run here, its blocks beside the student's code."""

from __future__ import annotations

import math
import socket
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.inside import wire
from proctor.judge.split import RUN, VALUE, Test, split
from proctor.judge.student import Came, Side, StoppedError

__all__ = ["Said", "points", "try_test"]

FILE = "<test {}>"
MESSAGE = 4_000  # characters; an author's own messages are far shorter
SAYS = 120  # characters of what the student's code says in a hidden test


@dataclass(frozen=True)
class Said:
    """What a test said."""

    state: str  # a CellState
    message: str = ""
    share: float | None = None  # the value of the last line, where it is a number; None for all points
    device: str = ""
    printed: str = ""


def points(share: float | None, most: float) -> float:
    """Return the points of a test that raised nothing: all, or the value of its last line, within 0 and all."""
    if share is None:
        return most
    return 0.0 if math.isnan(share) else min(max(share, 0.0), most)


def try_test(
    source: str, name: str, sock: socket.socket, *, space: Mapping[str, Any], opening: Sequence[str], chance: str
) -> Said:
    """Run a test cell and say how it came out; raises nothing.

    Args:
        source: of the cell, hidden part included.
        name: of the cell.
        sock: to a copy of the student's notebook at the test's place; its timeout is the limit of a block.
        space: what the opening cell bound.
        opening: the import statements of the opening cell.
        chance: where the seeds of blocks come from.
    """
    filename = FILE.format(name)
    try:
        test = split(source, filename)
    except (SyntaxError, ValueError) as error:
        return Said("not judged", f"the test cannot be run: {error}")
    names = {**space, "__name__": "__main__"}
    side = Side(sock, test, names, opening=opening, chance=chance)
    names[RUN] = side.run
    try:
        exec(test.code, names)
    except StoppedError as stopped:
        return _said(side, stopped.state, stopped.message)
    except BaseException as error:
        return _failed(error, test, side, filename)
    return _said(side, "passed", "", share=_share(names.get(VALUE)))


def _said(side: Side, state: str, message: str, *, share: float | None = None) -> Said:
    return Said(state, message[:MESSAGE], share, side.device, "".join(side.printed)[:MESSAGE])


def _share(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    is_number = isinstance(value, int | float) or getattr(value, "shape", None) == ()
    return float(value) if is_number else None


def _failed(error: BaseException, test: Test, side: Side, filename: str) -> Said:
    if isinstance(error, wire.CannotCross):
        return _said(side, "not judged", f"the test sends what cannot leave it: {error}")
    hidden = _line(error, filename) >= test.hidden_from
    came = side.origin(error)
    if came is not None:
        return _said(side, "failed", _of_student(came, hidden=hidden))
    if isinstance(error, NameError) and error.name in side.lost:
        return _said(side, "failed", _lost(error.name, side.lost[error.name]))
    return _said(side, "failed", _of_test(error, hidden=hidden))


def _line(error: BaseException, filename: str) -> int:
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return lines[0] if lines else 0


def _of_student(came: Came, *, hidden: bool) -> str:
    """Say what the student's code raised, and in which line of theirs; in full where the test is visible."""
    says = came.says if not hidden else _cut(came.says)
    place = f" (in '{came.place}', line {came.line}: {_cut(came.code)})" if came.place else ""
    return f"{came.kind}: {says}{place}" if says else f"{came.kind}{place}"


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
