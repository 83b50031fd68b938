"""The lines under `with student:`, run in the notebook's own globals.

The message: `source`, the lines; `imports`, statements to run first; `wants`, names whose values are asked for;
`chance`, what the generators are seeded with; `shown`, whether the student may see prints and frames. Its values are
what the judge's names stand for. The answer is one of

    {"ended": "well", "refused": {name: reason}, "device": ..., "printed": ...}, with the values that could cross
    {"ended": "raised", "type": ..., "builtin": ..., "says": ..., "place": ..., "line": ..., "frames": ..., ...}

Whatever is said here may be a lie: the student's code runs in this process. The judge reads it as such.
"""

from __future__ import annotations

import builtins
import dis
import io
import random
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from types import CodeType
from typing import Any

from . import wire

__all__ = ["Kept", "run"]

Kept = dict[str, Any]  # what blocks of one test have made, under its name

BLOCK = "<test>"  # the file name of a block's code
SAYS = 2_000  # characters of an exception's message
PRINTED = 10_000  # characters that one block may print
FRAMES = 20
MISSING = object()


def run(space: dict[str, Any], message: dict[str, Any], values: dict[str, Any], kept: Kept) -> wire.Frame:
    """Run a block and pack its answer; the notebook's globals are then as they were, apart from what the code did.

    Args:
        space: the notebook's globals.
        message: see above.
        values: the judge's, by name.
        kept: what earlier blocks of the same test made; this block adds to it.
    """
    for name in values:
        kept.pop(name, None)  # the judge has given the name another value
    code = _compiled(message["source"])
    bound = _bound(code)
    saved = {name: space.get(name, MISSING) for name in [*kept, *values, *bound]}
    printed = io.StringIO()
    try:
        imported = _imports(message["imports"], space, saved)
        space.update({**imported, **kept, **values})
        _seed(message["chance"])
        with redirect_stdout(printed), redirect_stderr(printed):
            exec(code, space)
        made = {name: space[name] for name in bound if name in space}
    except BaseException as error:
        return wire.pack({**_raised(error), "printed": _cut(printed, message)}, {})
    finally:
        _restore(space, saved)
    kept.update({name: value for name, value in made.items() if value is not saved[name]})
    answer = {"ended": "well", "device": _device(kept), "printed": _cut(printed, message)}
    frame, refused = wire.pack_some(answer, {name: made[name] for name in message["wants"] if name in made})
    frame.message["refused"] = refused
    return frame


def _compiled(source: str) -> CodeType:
    return compile(source, BLOCK, "exec", dont_inherit=True)  # as its author wrote it, and not under our future imports


def _bound(code: CodeType) -> set[str]:
    """Return every name that a block gives a value or takes it from: those of loops, imports and definitions too."""
    binds = ("STORE_NAME", "STORE_GLOBAL", "DELETE_NAME")
    nested = (each for each in code.co_consts if isinstance(each, CodeType) and each.co_name.startswith("<"))
    own = {step.argval for step in dis.get_instructions(code) if step.opname in binds}
    return own.union(*map(_bound, nested))  # `:=` in a comprehension binds outside it


def _imports(statements: list[str], space: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """Run the test's import statements apart from the notebook, whose names may hide a module."""
    fresh: dict[str, Any] = {"__name__": "__main__"}
    for statement in statements:
        exec(_compiled(statement), fresh)
    names = {name: value for name, value in fresh.items() if not name.startswith("__")}
    saved.update({name: space.get(name, MISSING) for name in names if name not in saved})
    return names


def _restore(space: dict[str, Any], saved: dict[str, Any]) -> None:
    for name, value in saved.items():
        if value is MISSING:
            space.pop(name, None)
        else:
            space[name] = value


def _seed(chance: int) -> None:
    """Seed every generator that a notebook may draw from; torch's on the CPU uses the low 32 bits only."""
    random.seed(chance)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(chance)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(chance)


def _cut(printed: io.StringIO, message: dict[str, Any]) -> str:
    return printed.getvalue()[:PRINTED] if message["shown"] else ""


def _raised(error: BaseException) -> dict[str, Any]:
    """Say what was raised, and where in the student's cells."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("<cell ")]
    last = frames[-1] if frames else None
    return {
        "ended": "raised",
        "type": _name(type(error)),
        "builtin": _builtin(type(error)),
        "says": _says(error),
        "place": last.filename[6:-1] if last else "",
        "line": (last.lineno or 0) if last else 0,
        "frames": "".join(traceback.format_list(frames[-FRAMES:]))[:PRINTED],
    }


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))  # a metaclass can define its own


def _builtin(kind: type[BaseException]) -> str:
    """Return the nearest built-in exception that this one is a case of; empty if it is none that may cross."""
    ancestors: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    for ancestor in ancestors:
        if any(ancestor is root for root in (AssertionError, Exception, BaseException)):
            return ""
        name = _name(ancestor)
        if getattr(builtins, name, None) is ancestor and issubclass(ancestor, Exception):
            return name
    return ""


def _says(error: BaseException) -> str:
    try:
        return str.__str__(str(error))[:SAYS]  # a plain text, where `__str__` returns a case of it
    except BaseException:
        return "(its message cannot be shown)"


def _device(kept: Kept) -> str:
    """Return where the tensors and models among these values are; empty if there are none."""
    torch = sys.modules.get("torch")
    if torch is None:
        return ""
    found: set[str] = set()
    for value in kept.values():
        if type(value) is torch.Tensor:
            found.add(str(value.device))
        elif isinstance(value, torch.nn.Module):
            found.update(str(each.device) for each in list(value.parameters())[:1])
    return ", ".join(sorted(found))
