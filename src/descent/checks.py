"""What test cells are written with: `student`, `seed`, `raises` and checks that explain a difference.

A check is called outside `with student:`, on values that came back from the student's code.
It raises AssertionError with one sentence: what came, what was expected, and the author's hint where to look.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from descent.differences import difference, entries_differ, entries_wrong, mismatch, told_apart
from descent.errors import SettingError
from descent.plain import describe, is_exactly, numbers, type_name

__all__ = [
    "check_at_least",
    "check_at_most",
    "check_close",
    "check_equal",
    "check_shape",
    "check_type",
    "raises",
    "seed",
    "student",
]

_LENGTH = 300  # characters of a message; longer ones are not read
_RTOL = 1e-4  # relative; float32 keeps seven figures, of which a sum over some hundred terms may lose two
_SCALE = 1e-5  # absolute, as a share of the largest expected entry, for entries that nearly cancel


def _seed() -> int:
    """Return the number in `DESCENT_SEED`, or 0."""
    text = os.environ.get("DESCENT_SEED", "").strip() or "0"
    if not (text.isdecimal() and text.isascii() and len(text) < 20):
        raise SettingError(
            f"DESCENT_SEED is {text[:40]!r}", where="environment", todo="write a whole number from 0 upwards"
        )
    return int(text)


student = nullcontext()
"""Marks the lines that run the student's code. Empty here; under sealed grading they run in another process."""

seed = _seed()
"""What hidden tests draw their inputs from: each assignment's secret in grading, 0 elsewhere."""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _sentence(what: str, hint: str) -> str:
    """Return what happened and the hint; what is too long loses its end, and never the hint."""
    stop = "" if what.endswith("?") else "."
    end = f"{stop} {_cut(hint, _LENGTH // 2)}" if hint else ""
    return _cut(what, _LENGTH - len(end)) + end


def _fail(what: str, hint: str, *, brief: str = "") -> NoReturn:
    """Raise AssertionError; its attribute `brief` is the same without the values that were expected.

    A grader shows the brief words where the test is hidden.
    """
    error = AssertionError(_sentence(what, hint))
    error.brief = _sentence(brief or what, hint)  # type: ignore[attr-defined]  # for graders
    raise error


def _array(value: object, wanted: str, name: str, hint: str) -> NDArray[Any]:
    """Return the value as an array of numbers; raise AssertionError if it is none."""
    array = numbers(value)
    if array is None:
        reason = ": its rows differ in length, or it holds more than numbers" * is_exactly(value, list, tuple)
        _fail(mismatch(value, wanted, name) + reason, hint)
    return array


def check_shape(value: object, expected: tuple[int, ...], *, name: str, hint: str = "", axes: str = "") -> None:
    """Check the shape of a tensor, array, number or nested list.

    Args:
        value: what came back.
        expected: its shape; () for a number.
        name: what the student calls the value.
        hint: one sentence on where to look.
        axes: the shape in letters, such as "(N, M)".
    """
    wanted = f"shape {tuple(expected)}" + f" = {axes}" * bool(axes)
    found = _array(value, f"an array of {wanted}", name, hint).shape
    if found != tuple(expected):
        _fail(f"{name} has shape {found}, expected {wanted.removeprefix('shape ')}", hint)


def check_close(
    value: object,
    expected: object,
    *,
    name: str,
    hint: str = "",
    rtol: float = _RTOL,
    atol: float | None = None,
) -> None:
    """Check that numbers are close: |value - expected| <= atol + rtol |expected|, entry by entry, in float64.

    Args:
        value: what came back: a number, tensor, array or nested list of numbers.
        expected: the same kind of thing and the same shape.
        name: what the student calls the value.
        hint: one sentence on where to look.
        rtol: relative tolerance.
        atol: absolute tolerance; None for 1e-5 of the largest expected entry, so that small gradients are not let
            through as zeros (1e-6 where zeros are expected throughout).

    Raises:
        AssertionError: they are not close.
        TypeError: `expected` is not numeric.
    """
    wanted = numbers(expected)
    if wanted is None:
        raise TypeError(f"check_close compares numbers; expected is {describe(expected)}")
    found = _array(value, describe(expected), name, hint)
    if found.shape != wanted.shape:
        _fail(f"{name} has shape {found.shape}, expected {wanted.shape}", hint)
    kind = np.complex128 if "c" in (found.dtype.kind, wanted.dtype.kind) else np.float64
    found, wanted = found.astype(kind), wanted.astype(kind)
    if atol is None:
        largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
        atol = float(_SCALE * largest) if largest else 1e-6
    same = np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if not same.all():
        _fail(entries_differ(found, wanted, same, name), hint, brief=entries_wrong(found, same, name))


def check_equal(value: object, expected: object, *, name: str, hint: str = "") -> None:
    """Check that plain data are equal: numbers, texts, tensors, arrays, and lists, tuples, dicts and sets of them.

    A list equals a tuple, 2 equals 2.0 and NaN equals NaN; True and 1 differ.

    Args:
        value: what came back.
        expected: what should have come.
        name: what the student calls the value.
        hint: one sentence on where to look.
    """
    text = difference(value, expected, name)
    if text:
        ending = " None: did the function return anything?" if value is None else " not as expected"
        _fail(text, hint, brief=f"{name} is{ending}")


def check_type(value: object, expected: type | tuple[type, ...], *, name: str, hint: str = "") -> None:
    """Check that the value is an instance of a type, or of one of several; True counts as no int.

    Args:
        value: what came back.
        expected: the type, or a tuple of types.
        name: what the student calls the value.
        hint: one sentence on where to look.
    """
    kinds = expected if isinstance(expected, tuple) else (expected,)
    own = type(value)  # and not value.__class__, which a class may define as it likes
    if any(issubclass(own, kind) and not (own is bool and kind is int) for kind in kinds):
        return
    wanted = " or ".join(kind.__name__ for kind in kinds)
    if value is None:
        _fail(mismatch(value, wanted, name), hint)
    _fail(f"{name} has type {type_name(value)}, expected {wanted}", hint)


def _number(value: object, wanted: str, name: str, hint: str) -> float:
    """Return one real number as a float; raise AssertionError if the value is none."""
    array = _array(value, wanted, name, hint)
    if array.shape != ():
        _fail(f"{name} has shape {array.shape}, expected one number", hint)
    if array.dtype.kind == "c":
        _fail(f"{name} is complex, expected {wanted}", hint)
    return float(array)


def check_at_least(value: object, bound: float, *, name: str, hint: str = "") -> None:
    """Check that a measured number, such as an accuracy, is not below a bound; NaN is.

    Args:
        value: what was measured, in the unit of the bound.
        bound: the least that will do.
        name: what was measured.
        hint: one sentence on where to look.
    """
    found = _number(value, f"at least {bound:.4g}", name, hint)
    if not found >= bound:
        one, other = told_apart(found, float(bound))
        _fail(f"{name} is {one}, expected at least {other}", hint)


def check_at_most(value: object, bound: float, *, name: str, hint: str = "") -> None:
    """Check that a measured number, such as a loss, is not above a bound; NaN is.

    Args:
        value: what was measured, in the unit of the bound.
        bound: the most that will do.
        name: what was measured.
        hint: one sentence on where to look.
    """
    found = _number(value, f"at most {bound:.4g}", name, hint)
    if not found <= bound:
        one, other = told_apart(found, float(bound))
        _fail(f"{name} is {one}, expected at most {other}", hint)


def _message(error: BaseException) -> str:
    """Return what an exception says, from its plain arguments."""
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    return ", ".join(str(arg) for arg in args if is_exactly(arg, str, int, float))


class _Raises:
    """Holds the exception that a block raised, as `.value`."""

    def __init__(self, exception: type[BaseException], says: str) -> None:
        self._exception, self._says = exception, says
        self.value: BaseException | None = None

    def __enter__(self) -> _Raises:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        wanted = self._exception.__name__
        if kind is None or error is None:
            _fail(f"expected {wanted}, but nothing was raised", "")
        if not issubclass(kind, self._exception):
            if not issubclass(kind, Exception):
                return False  # Ctrl-C and the like
            said = _message(error)
            raise AssertionError(
                _cut(f"expected {wanted}, but {type_name(error)} was raised: {said}", _LENGTH)
            ) from error
        if self._says not in _message(error):
            _fail(f"the {type_name(error)} says {describe(_message(error))}, expected words: {self._says!r}", "")
        self.value = error
        return True


def raises(exception: type[BaseException], *, says: str = "") -> _Raises:
    """Return a context manager whose block must raise this exception.

    Args:
        exception: the type; a subclass will do.
        says: words that the exception's message must hold.
    """
    return _Raises(exception, says)
