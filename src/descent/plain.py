"""Plain data, looked at without running anybody's code.

Test cells compare what students' functions return, and that may be anything.
So a value is trusted by its exact type only: a subclass could carry its own `__eq__`, `__repr__` or `__class__`.
Everything else is named by its type, and tensors are read through the methods of `torch.Tensor` itself, since an
instance may carry attributes of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["describe", "is_array", "is_exactly", "is_key", "numbers", "type_name"]

_NUMBERS = (bool, int, float, complex)
_SCALARS = (type(None), *_NUMBERS, str, bytes)
_NUMPY_NUMBERS = tuple({kind for kind in np.sctypeDict.values() if np.dtype(kind).kind in "biufc"})
_DEPTH = 8  # lists within lists; no network needs more axes, and a list may hold itself
_LENGTH = 40  # characters of a text, and at most as many of a number, that a message repeats
_ITEMS = 6  # entries of a list that a message repeats


def is_exactly(value: object, *kinds: type) -> bool:
    """Return whether the value's type is one of these, and no subclass."""
    return any(type(value) is kind for kind in kinds)


def is_array(value: object) -> bool:
    """Return whether the value is a tensor, an array or one entry of an array."""
    return is_exactly(value, torch.Tensor, torch.nn.Parameter, np.ndarray, *_NUMPY_NUMBERS)


def is_key(value: object) -> bool:
    """Return whether the value is plain and can be a dictionary's key."""
    return is_exactly(value, *_SCALARS) or (type(value) is tuple and all(is_key(item) for item in value))


def type_name(value: object) -> str:
    """Return the name of the value's type, even if the type's own class answers something else."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return str.__str__(name)[:_LENGTH]


def _tensor(value: torch.Tensor) -> NDArray[Any] | None:
    plain = torch.Tensor.detach(value)
    if plain.layout is not torch.strided or plain.is_meta or plain.is_quantized or plain.is_nested:
        return None
    if plain.is_floating_point():
        plain = plain.double()  # NumPy has no bfloat16
    array: NDArray[Any] = plain.cpu().resolve_conj().resolve_neg().numpy()
    return array


def _number(value: complex) -> NDArray[Any]:
    if type(value) is int and value.bit_length() > 63:
        try:
            return np.array(float(value))
        except OverflowError:
            return np.array(math.inf if value > 0 else -math.inf)
    return np.array(value)


def _stack(values: Iterable[object], *, depth: int) -> NDArray[Any] | None:
    parts = [numbers(value, depth=depth) for value in values]
    arrays = [part for part in parts if part is not None]
    if len(arrays) < len(parts) or len({array.shape for array in arrays}) > 1:
        return None
    return np.stack(arrays) if arrays else np.zeros(0)


def numbers(value: Any, *, depth: int = _DEPTH) -> NDArray[Any] | None:
    """Return a number, tensor, array or nested list as an array of numbers; None if it is anything else.

    Floating-point tensors arrive in float64; whole numbers stay whole, unless they need more than 64 bits.
    """
    if is_exactly(value, torch.Tensor, torch.nn.Parameter):
        return _tensor(value)
    if is_exactly(value, *_NUMBERS):
        return _number(value)
    if is_exactly(value, list, tuple):
        return _stack(value, depth=depth - 1) if depth else None
    if is_array(value):
        array = np.asarray(value)
        return array if array.dtype.kind in "biufc" else None
    return None


def _one(value: Any) -> str:
    """Return a scalar as Python writes it, cut to a length that a message can hold."""
    if type(value) is int and value.bit_length() > 128:
        return f"an int of {value.bit_length():,} bits"
    if is_exactly(value, str, bytes) and len(value) > _LENGTH:
        return f"{value[:_LENGTH]!r}… of length {len(value):,}"
    return repr(value)


def describe(value: Any) -> str:
    """Return words for any value, short enough for a message: itself if it is plain and short, else what it is."""
    if is_exactly(value, *_SCALARS):
        return _one(value)
    if is_array(value):
        word, array = "an array" if type(value) is np.ndarray else "a tensor", numbers(value)
        if array is None:
            return f"{word} that holds no plain numbers"
        return _one(array.item()) if array.ndim == 0 else f"{word} of shape {array.shape}"
    if is_exactly(value, list, tuple, dict, set, frozenset):
        if type(value) is list and len(value) <= _ITEMS and all(is_exactly(item, *_SCALARS) for item in value):
            return f"[{', '.join(_one(item) for item in value)}]"
        return f"a {type_name(value)} of length {len(value)}"
    return f"of type {type_name(value)}"
