"""The sentence that tells a student how two values differ: where first, what came, what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descent.plain import describe, is_array, is_exactly, is_key, numbers

__all__ = ["difference", "entries_differ", "entries_wrong", "mismatch", "told_apart"]

_SHORT = 40  # characters of a text that a message repeats whole


def mismatch(value: object, wanted: str, name: str) -> str:
    """Return the sentence for a value that is not of the kind that `wanted` describes."""
    ending = ": did the function return anything?" if value is None else ""
    return f"{name} is {describe(value)}, expected {wanted}{ending}"


def told_apart(found: complex, wanted: complex) -> tuple[str, str]:
    """Return both numbers with just enough digits to differ; whole numbers and truth values as they are."""
    if is_exactly(found, bool, int) and is_exactly(wanted, bool, int):
        return str(found), str(wanted)
    one, other = "", ""
    for digits in (4, 6, 9, 17):
        if one == other:
            one, other = (f"{number:.{digits}g}".replace("nan", "NaN") for number in (found, wanted))
    return one, other


def entries_differ(found: NDArray[Any], wanted: NDArray[Any], same: NDArray[np.bool_], name: str) -> str:
    """Return the sentence for arrays of one shape that differ where `same` is false."""
    count, size = int((~same).sum()), same.size
    lost = np.isnan(found) & ~same
    index = tuple(int(i) for i in np.argwhere(lost if lost.any() else ~same)[0])
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    one, other = told_apart(found[index].item(), wanted[index].item())
    if lost.any():
        return f"{place} is {one}, expected {other}" + f"; NaN in {int(lost.sum())} of {size} entries" * (size > 1)
    with np.errstate(all="ignore"):
        kind = np.complex128 if "c" in (found.dtype.kind, wanted.dtype.kind) else np.float64
        gaps = np.abs(found.astype(kind) - wanted.astype(kind))[~same]
    known = gaps[~np.isnan(gaps)]  # none where NaN was expected throughout
    largest = f"; largest difference {known.max():.4g}" if len(known) else ""
    return f"{place} is {one}, expected {other}" + f"{largest}; {count} of {size} entries differ" * (size > 1)


def entries_wrong(found: NDArray[Any], same: NDArray[np.bool_], name: str) -> str:
    """Return the sentence for the same arrays that tells nothing of what was expected."""
    lost = int((np.isnan(found) & ~same).sum())
    if same.size == 1:
        return f"{name} is NaN" if lost else f"{name} is not as expected"
    return f"{name}: {f'NaN in {lost}' if lost else int((~same).sum())} of {same.size} entries" + (
        "" if lost else " are not as expected"
    )


def _arrays_differ(value: object, expected: object, name: str) -> str:
    found, wanted = numbers(value), numbers(expected)
    if found is None or wanted is None:
        return mismatch(value, describe(expected), name)
    if found.shape != wanted.shape:
        return f"{name} has shape {found.shape}, expected {wanted.shape}"
    if (found.dtype.kind == "b") != (wanted.dtype.kind == "b"):
        kinds = ["numbers", "truth values"]
        return f"{name} holds {kinds[found.dtype.kind == 'b']}, expected {kinds[wanted.dtype.kind == 'b']}"
    same = (found == wanted) | ((found != found) & (wanted != wanted))  # NaN is what differs from itself
    return "" if same.all() else entries_differ(found, wanted, np.asarray(same), name)


def _sequences_differ(value: Any, expected: Any, name: str) -> str:
    if len(value) != len(expected):
        return f"{name} has length {len(value)}, expected {len(expected)}"
    pairs = enumerate(zip(value, expected, strict=True))
    return next((text for i, (one, other) in pairs if (text := difference(one, other, f"{name}[{i}]"))), "")


def _members_differ(value: Any, expected: Any, name: str) -> str:
    """Return how the elements of two sets, or the keys of two dicts, differ."""
    if not all(is_key(item) for item in value):
        return f"{name} holds something that is not plain data"
    for text, items in (("lacks", set(expected) - set(value)), ("should not hold", set(value) - set(expected))):
        if items:
            return f"{name} {text} {min(describe(item) for item in items)}"
    return ""


def _texts_differ(value: Any, expected: Any, name: str) -> str:
    """Return the sentence for two texts: whole if they are short, else from where they differ."""
    pairs = enumerate(zip(value, expected, strict=False))
    first = next((i for i, (one, other) in pairs if one != other), min(len(value), len(expected)))
    if max(len(value), len(expected)) <= _SHORT:
        return mismatch(value, describe(expected), name)
    one, other = (describe(text[first : first + _SHORT // 2]) for text in (value, expected))
    return f"{name}[{first}:] begins {one}, expected {other}"


def difference(value: Any, expected: Any, name: str) -> str:
    """Return the sentence for the first difference between plain values; "" if they are equal.

    A list equals a tuple, 2 equals 2.0 and NaN equals NaN; True and 1 differ.
    """
    if is_array(value) or is_array(expected):
        return _arrays_differ(value, expected, name)
    if is_exactly(value, list, tuple) and is_exactly(expected, list, tuple):
        return _sequences_differ(value, expected, name)
    if is_exactly(value, set, frozenset) and is_exactly(expected, set, frozenset):
        return _members_differ(value, expected, name)
    if type(value) is dict and type(expected) is dict:
        entries = (
            text for key in expected if (text := difference(value[key], expected[key], f"{name}[{describe(key)}]"))
        )
        return _members_differ(value, expected, name) or next(entries, "")
    if is_exactly(value, str, bytes) and type(value) is type(expected):
        return "" if value == expected else _texts_differ(value, expected, name)
    both_numbers = all(is_exactly(one, int, float, complex) for one in (value, expected))  # and neither a bool
    comparable = is_key(value) and (both_numbers or type(value) is type(expected))
    if comparable and (value == expected or (value != value and expected != expected)):
        return ""
    return mismatch(value, describe(expected), name)
