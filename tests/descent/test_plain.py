"""Plain data is read by exact type, and nobody's code runs while it is."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from descent.checks import check_close, check_equal, check_type
from descent.plain import describe, is_array, is_exactly, is_key, numbers, type_name


def shout(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("the student's code ran")


TOUCHES = ["eq", "ne", "hash", "repr", "str", "format", "len", "iter", "bool", "int", "index", "getattribute"]


def hostile(kind: str) -> object:
    """Return a value that, like its class, runs code at every touch. Not a parameter: pytest touches those."""
    loud = {f"__{name}__": shout for name in TOUCHES}
    meta = type("Meta", (type,), {**loud, "__name__": property(shout), "__instancecheck__": shout})
    base = {"object": object, "int": int, "text": str, "list": list}[kind]
    return base.__new__(meta("Loud", (base,), loud))


@pytest.mark.parametrize("kind", ["object", "int", "text", "list"])
def test_a_hostile_value_is_named_by_its_type_and_left_alone(kind: str) -> None:
    value = hostile(kind)
    assert type_name(value) == "Loud"
    assert describe(value) == "of type Loud"
    assert numbers(value) is None
    assert not is_key(value)
    assert not is_array(value)
    assert not is_exactly(value, int, str, list)


@pytest.mark.parametrize("kind", ["object", "int", "text", "list"])
def test_checks_of_a_hostile_value_fail_without_touching_it(kind: str) -> None:
    value, sentence = hostile(kind), "x is of type Loud, expected 3"
    for check in (check_equal, check_close):
        with pytest.raises(AssertionError, match=sentence):
            check(value, 3, name="x")
    with pytest.raises(AssertionError, match=r"x\[0\] is of type Loud, expected 3"):
        check_equal([value], [3], name="x")
    with pytest.raises(AssertionError, match="x has type Loud, expected dict"):
        check_type(value, dict, name="x")


def test_methods_that_a_tensor_carries_are_not_called() -> None:
    tensor = torch.tensor([1.0, 2.0])
    for name in ("detach", "cpu", "numpy", "double", "tolist", "__len__"):
        setattr(tensor, name, shout)
    assert numbers(tensor).tolist() == [1.0, 2.0]
    assert describe(tensor) == "a tensor of shape (2,)"


def test_a_subclass_of_tensor_is_not_trusted() -> None:
    class Mine(torch.Tensor):
        pass

    assert numbers(torch.ones(2).as_subclass(Mine)) is None
    assert describe(torch.ones(2).as_subclass(Mine)) == "of type Mine"


def test_a_long_type_name_is_cut() -> None:
    assert type_name(type("T" * 1000, (), {})()) == "T" * 40


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, np.array(3)),
        (True, np.array(True)),
        (2.5, np.array(2.5)),
        (1j, np.array(1j)),
        (np.float32(2.5), np.array(2.5)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ([(1, 2.5), [3, 4]], np.array([[1, 2.5], [3, 4]])),
        ([], np.zeros(0)),
        ([torch.ones(2), np.zeros(2)], np.array([[1.0, 1], [0, 0]])),
        (torch.ones(2, 3, requires_grad=True), np.ones((2, 3))),
        (torch.nn.Parameter(torch.ones(2)), np.ones(2)),
        (torch.ones(2, dtype=torch.bfloat16), np.ones(2)),
        (torch.ones(2, dtype=torch.complex64).conj(), np.ones(2)),
        (torch.tensor([1 + 2j]).conj(), np.array([1 - 2j])),
        (torch.arange(3), np.arange(3)),
        (torch.tensor([True]), np.array([True])),
        (np.arange(3, dtype=np.uint8), np.arange(3)),
        (2**70, np.array(2.0**70)),
        (-(10**400), np.array(-np.inf)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_come_as_arrays(value: object, expected: NDArray[Any]) -> None:
    found = numbers(value)
    assert found is not None
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)
    assert (found.dtype.kind == "b") == (expected.dtype.kind == "b")


def test_float32_tensors_are_read_in_float64() -> None:
    found = numbers(torch.tensor([0.1]))
    assert found is not None
    assert found.dtype == np.float64


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "3",
        {1: 2},
        [1, "a"],
        [[1, 2], [3]],
        [1, [2]],
        ENDLESS,
        np.array(["a"]),
        np.array([object()]),
        np.datetime64("2020-01-01"),
        torch.ones(2).to_sparse(),
        torch.ones(2, device="meta"),
        OrderedDict(),
    ],
    ids=str,
)
def test_what_is_no_array_of_numbers_is_none(value: object) -> None:
    assert numbers(value) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (2**1000, "an int of 1,001 bits"),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        ("ring", "'ring'"),
        ("a" * 100, f"'{'a' * 40}'… of length 100"),
        (b"a\x00", r"b'a\x00'"),
        (np.float32(0.5), "0.5"),
        (torch.tensor(2), "2"),
        (torch.ones(2, 3), "a tensor of shape (2, 3)"),
        (np.ones(2), "an array of shape (2,)"),
        (np.array([object()]), "an array that holds no plain numbers"),
        (torch.ones(2).to_sparse(), "a tensor that holds no plain numbers"),
        ([1, "a", None], "[1, 'a', None]"),
        ([1] * 7, "a list of length 7"),
        ([[1]], "a list of length 1"),
        ((1, 2), "a tuple of length 2"),
        ({"a": 1}, "a dict of length 1"),
        (print, "of type builtin_function_or_method"),
    ],
)
def test_a_value_is_described_in_a_few_words(value: object, words: str) -> None:
    assert describe(value) == words


@pytest.mark.parametrize(("value", "key"), [(1, True), ("a", True), ((1, "a"), True), ([1], False), ((1, [2]), False)])
def test_plain_keys_are_told_from_others(value: object, key: bool) -> None:
    assert is_key(value) is key
