"""One thing that was looked at, and looking at many at once, each within its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["Check", "Look", "State", "collected", "later"]

Found = TypeVar("Found")
State = Literal["good", "weak", "bad"]  # weak: it can grade, but not as well as it might


@dataclass(frozen=True)
class Check:
    """What was found of one thing."""

    name: str
    state: State
    found: str  # as a clause, with no full stop
    todo: str = ""  # what to do about it; empty if it is good


Look = tuple[str, Callable[[], Sequence[Check]]]  # the name stands for all its checks if it fails


def later(call: Callable[[], Found]) -> Future[Found]:
    """Call in a thread that does not keep this process alive: a folder on a lost server may never answer."""
    future: Future[Found] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def collected(looks: Sequence[Look], *, limit: float) -> tuple[Check, ...]:
    """Look at everything at once and return the checks in order.

    Args:
        looks: each with a name.
        limit: seconds for everything.
    """
    end = time.monotonic() + limit
    begun = [(name, later(call)) for name, call in looks]
    return tuple(check for name, future in begun for check in _ended(name, future, end=end, limit=limit))


def _ended(name: str, future: Future[Sequence[Check]], *, end: float, limit: float) -> Sequence[Check]:
    """Return what was found; whatever went wrong, the other checks are still worth reading."""
    wait([future], timeout=max(end - time.monotonic(), 0))
    if not future.done():
        todo = "look for a program, a disk or a file server that hangs"
        return [Check(name, "bad", f"it did not answer within {limit:g} s", todo)]
    if error := future.exception():
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return [Check(name, "bad", f"it could not be looked at: {said}", "mend what the message names, or report it")]
    return future.result()
