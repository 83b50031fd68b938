"""The student's side as a test sees it: blocks are shipped there, values and exceptions come back."""

from __future__ import annotations

import builtins
import hashlib
import socket
import types
from collections.abc import Sequence
from typing import Any

from proctor.inside import wire
from proctor.judge.split import Block, Test, import_statements
from proctor.model import CellState

__all__ = ["Came", "Side", "StoppedError", "StudentError"]

UNSENT = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)  # imports make them anew over there


LINES = 10**6  # more than any cell has: a longer number would be a message


class StudentError(Exception):
    """The student's code raised something that no test can expect."""


class StoppedError(BaseException):
    """The student's process ended, hung or sent nonsense; no `except Exception` of a test's catches it."""

    def __init__(self, state: CellState, message: str) -> None:
        super().__init__(message)
        self.state: CellState = state
        self.message = message


class Came:
    """What is known of an exception that came from the student's code."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.kind = _line(answer, "type")
        self.says = _text(answer, "says", 2_000)
        self.place = _line(answer, "place")
        self.line = _whole(answer, "line")
        self.frames = _text(answer, "frames", 10_000)


def _text(answer: dict[str, Any], key: str, most: int) -> str:
    value = answer.get(key)
    return value[:most] if type(value) is str else ""


def _whole(answer: dict[str, Any], key: str) -> int:
    value = answer.get(key)
    return value if type(value) is int and 0 < value < LINES else 0


def _line(answer: dict[str, Any], key: str) -> str:
    return " ".join(_text(answer, key, 80).split())


class Side:
    """Runs the blocks of one test in the student's process.

    Args:
        sock: to a copy of the student's notebook at the test's place.
        test: whose blocks they are.
        space: the names of the test.
        opening: import statements of the opening cell, run again before each block.
        chance: where seeds come from; one-way, so that the student's process cannot tell the secret from them.
    """

    def __init__(
        self, sock: socket.socket, test: Test, space: dict[str, Any], *, opening: Sequence[str], chance: str
    ) -> None:
        self.sock, self.test, self.space = sock, test, space
        self.imports = [*opening, *test.imports]
        self.chance = chance
        self.given = dict(space)  # what the opening cell bound, before the test ran
        self.imported = import_statements("\n".join(opening))[1]
        self.stopped: StoppedError | None = None
        self.came: dict[str, Any] = {}  # what the last block brought back; the student's own object stands for it
        self.lost: dict[str, str] = {}
        self.exceptions: dict[int, tuple[BaseException, Came]] = {}
        self.printed: list[str] = []
        self.device = ""
        self.count = 0

    def run(self, number: int) -> None:
        """Run one block: the call that stands in its place in the test.

        Raises:
            StudentError, or a built-in exception: what the student's code raised.
            StoppedError: there is no answer.
        """
        block = self.test.blocks[number]
        values = self._values(block)
        for name in block.wants:
            self.space.pop(name, None)
            self.came.pop(name, None)
            self.lost[name] = "nothing"
            self.space["__builtins__"].pop(name, None)  # or `max`, lost, would be the built-in one
        self.count += 1
        message = {
            "do": "block",
            "source": block.source,
            "imports": self.imports,
            "wants": list(block.wants),
            "chance": _number(f"{self.chance}/{self.count}"),
            "shown": block.shown,
        }
        answer, returned = self._ask(message, values)
        if block.shown:
            self.printed.append(_text(answer, "printed", 10_000))
        if answer.get("ended") != "well":
            raise self._exception(Came(answer), answer)
        self._take(block, answer, returned)

    def _values(self, block: Block) -> dict[str, Any]:
        """Return what the judge must send: the test's names that the block reads and does not have over there."""
        values: dict[str, Any] = {}
        for name in block.reads:
            value = self.space.get(name)
            if name not in self.space or isinstance(value, UNSENT) or self._is_imported(name):
                continue  # not bound here, or imported over there as well; the secret seed is such a name
            if name in self.came and self.came[name] is value:
                continue
            if self._is_given(name) and not _crosses(value):
                continue  # the notebook has its own
            values[name] = value
        return values

    def _is_imported(self, name: str) -> bool:
        return name in self.test.imported or (name in self.imported and self._is_given(name))

    def _is_given(self, name: str) -> bool:
        return name in self.given and self.given[name] is self.space[name]

    def _ask(self, message: dict[str, Any], values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        frame = wire.pack(message, values)
        if self.stopped is not None:
            raise self.stopped  # a late answer must not be taken for this block's
        try:
            wire.write(self.sock, frame)
            return wire.read(self.sock)
        except TimeoutError:
            limit = self.sock.gettimeout() or 0
            self.stopped = StoppedError("timed out", f"your code ran past {limit:.0f} s and was stopped")
        except (EOFError, OSError):
            self.stopped = StoppedError("crashed", "your code ended its process")
        except wire.WireError as error:
            self.stopped = StoppedError("crashed", f"what your code returned could not be read: {error}")
        raise self.stopped

    def _take(self, block: Block, answer: dict[str, Any], returned: dict[str, Any]) -> None:
        self.device = _text(answer, "device", 40)
        lost = answer.get("refused")
        for name in block.wants:
            if name in returned:
                self.space[name] = self.came[name] = returned[name]
                del self.lost[name]
            elif type(lost) is dict and type(lost.get(name)) is str:
                self.lost[name] = " ".join(lost[name][:120].split())

    def _exception(self, came: Came, answer: dict[str, Any]) -> BaseException:
        name = _text(answer, "builtin", 80)
        kind = getattr(builtins, name, None)
        allowed = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, AssertionError)
        try:
            error = kind(came.says) if allowed and isinstance(kind, type) else StudentError(came.says)
        except TypeError:  # such as UnicodeDecodeError, which wants five arguments
            error = StudentError(came.says)
        self.exceptions[id(error)] = (error, came)
        return error

    def origin(self, error: BaseException) -> Came | None:
        """Return where an exception came from, if it is one of the student's."""
        known = self.exceptions.get(id(error))
        return known[1] if known else None


def _crosses(value: Any) -> bool:
    try:
        wire.pack({}, {"value": value})
    except wire.CannotCross:
        return False
    return True


def _number(text: str) -> int:
    """Return 32 bits, all that torch's generator on the CPU uses, from which the text cannot be found."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
