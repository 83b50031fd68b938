"""Every sentence about two values that differ, and silence about those that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from descent.differences import difference, entries_differ, mismatch

NAN = float("nan")
SAME = [
    (3, 3),
    (2, 2.0),
    (2, 2 + 0j),
    (NAN, NAN),
    (10**400, 10**400),
    ("a", "a"),
    (None, None),
    (True, True),
    ([1, 2], (1, 2)),
    ([1, [2, NAN]], [1, [2, NAN]]),
    ({"a": [1]}, {"a": (1,)}),
    ({1, 2}, frozenset({2, 1})),
    (torch.tensor([1.0, NAN]), np.array([1.0, NAN])),
    (torch.tensor([1, 2]), [1, 2]),
    ([torch.tensor(1), 2], [1, 2]),
    (np.float32(0.5), 0.5),
    (torch.tensor([0.1]), torch.tensor([0.1])),
    (torch.zeros(0), torch.zeros(0)),
    (torch.tensor([True]), np.array([True])),
]


@pytest.mark.parametrize(("value", "expected"), SAME, ids=str)
def test_equal_values_pass_in_silence(value: object, expected: object) -> None:
    assert difference(value, expected, "x") == ""


DIFFERENT = {
    "number": (3, 4, "x is 3, expected 4"),
    "close number": (0.1 + 0.2, 0.3, "x is 0.30000000000000004, expected 0.3"),
    "bool for int": (True, 1, "x is True, expected 1"),
    "int for bool": (0, False, "x is 0, expected False"),
    "text for number": ("3", 3, "x is '3', expected 3"),
    "None": (None, 3, "x is None, expected 3: did the function return anything?"),
    "None for a list": (None, [1] * 9, "x is None, expected a list of length 9: did the function return anything?"),
    "NaN": (NAN, 1.0, "x is nan, expected 1.0"),
    "text": ("ring", "star", "x is 'ring', expected 'star'"),
    "text and bytes": ("a", b"a", "x is 'a', expected b'a'"),
    "long text": ("a" * 50 + "b" * 50, "a" * 100, f"x[50:] begins '{'b' * 20}', expected '{'a' * 20}'"),
    "short of a long text": ("a" * 50, "a" * 60, f"x[50:] begins '', expected '{'a' * 10}'"),
    "length": ([1, 2], [1, 2, 3], "x has length 2, expected 3"),
    "entry of a list": ([1, [2, 5]], [1, [2, 3]], "x[1][1] is 5, expected 3"),
    "list for dict": ([1], {"a": 1}, "x is [1], expected a dict of length 1"),
    "missing key": ({"a": 1}, {"a": 1, "b": 2}, "x lacks 'b'"),
    "extra key": ({"a": 1, "b": 2}, {"a": 1}, "x should not hold 'b'"),
    "entry of a dict": ({"a": (1, 2)}, {"a": (1, 3)}, "x['a'][1] is 2, expected 3"),
    "missing element": ({1}, {1, 2}, "x lacks 2"),
    "extra element": ({1, 2}, {1}, "x should not hold 2"),
    "entry of a tensor": (
        torch.tensor([1, 2]),
        [1, 3],
        "x[1] is 2, expected 3; largest difference 1; 1 of 2 entries differ",
    ),
    "truth value": (
        np.array([True, False]),
        torch.tensor([True, True]),
        "x[1] is False, expected True; largest difference 1; 1 of 2 entries differ",
    ),
    "unsigned": (
        np.array([0, 1], dtype=np.uint8),
        np.array([5, 1], dtype=np.uint8),
        "x[0] is 0, expected 5; largest difference 5; 1 of 2 entries differ",
    ),
    "tensor scalar": (torch.tensor(2), 3, "x is 2, expected 3"),
    "shape": (torch.ones(2), torch.ones(3), "x has shape (2,), expected (3,)"),
    "truth for numbers": (torch.tensor([True]), [1], "x holds truth values, expected numbers"),
    "numbers for truth": ([1], torch.tensor([True]), "x holds numbers, expected truth values"),
    "text for a tensor": ("a", torch.ones(2), "x is 'a', expected a tensor of shape (2,)"),
    "tensor for text": (torch.ones(2), "a", "x is a tensor of shape (2,), expected 'a'"),
    "function": (print, 3, "x is of type builtin_function_or_method, expected 3"),
    "set of objects": ({print}, {1}, "x holds something that is not plain data"),
    "keys that are objects": ({print: 1}, {1: 1}, "x holds something that is not plain data"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_difference_is_told_with_place_and_both_values(case: str) -> None:
    value, expected, sentence = DIFFERENT[case]
    assert difference(value, expected, "x") == sentence


def test_the_first_entry_that_differs_is_shown_with_the_largest_difference() -> None:
    found, wanted = np.array([[1.0, 2.0], [3.5, 9.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    sentence = entries_differ(found, wanted, found == wanted, "Z")
    assert sentence == "Z[1, 0] is 3.5, expected 3; largest difference 5; 2 of 4 entries differ"


def test_nan_is_told_before_any_other_difference() -> None:
    found, wanted = np.array([7.0, NAN, NAN]), np.array([1.0, 2.0, NAN])
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    assert entries_differ(found, wanted, same, "Z") == "Z[1] is NaN, expected 2; NaN in 1 of 3 entries"
    assert entries_differ(np.array(NAN), np.array(0.5), np.array(False), "loss") == "loss is NaN, expected 0.5"


def test_a_number_where_nan_is_expected_has_no_largest_difference() -> None:
    found, wanted = np.array([1.0, 2.0]), np.array([NAN, 2.0])
    assert entries_differ(found, wanted, found == wanted, "Z") == "Z[0] is 1, expected NaN; 1 of 2 entries differ"


def test_infinite_differences_are_told_without_a_warning() -> None:
    found, wanted = np.array([np.inf, 1.0]), np.array([-np.inf, 1.0])
    sentence = entries_differ(found, wanted, found == wanted, "Z")
    assert sentence == "Z[0] is inf, expected -inf; largest difference inf; 1 of 2 entries differ"


def test_as_many_digits_are_shown_as_it_takes_to_differ() -> None:
    found, wanted = np.array(0.123456789), np.array(0.123456780)
    assert entries_differ(found, wanted, np.array(False), "y") == "y is 0.123456789, expected 0.12345678"
    assert entries_differ(np.array(0.5), np.array(0.25), np.array(False), "y") == "y is 0.5, expected 0.25"


def test_complex_numbers_are_compared_by_their_distance() -> None:
    found, wanted = np.array([3 + 4j, 0]), np.array([0j, 0])
    sentence = entries_differ(found, wanted, found == wanted, "Z")
    assert sentence == "Z[0] is 3+4j, expected 0+0j; largest difference 5; 1 of 2 entries differ"


def test_a_value_of_a_wrong_kind_is_described() -> None:
    assert mismatch("a", "a number", "x") == "x is 'a', expected a number"
