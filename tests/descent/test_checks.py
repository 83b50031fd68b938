"""What a student reads when a check fails, and that it stays silent when the answer is right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

from descent import checks
from descent.checks import (
    check_at_least,
    check_at_most,
    check_close,
    check_equal,
    check_shape,
    check_type,
    raises,
    seed,
    student,
)

LOGITS = torch.arange(20.0).reshape(4, 5)
NAN = float("nan")
TRANSPOSED = "Is W transposed?"

FAILURES: dict[str, tuple[Callable[[], None], str]] = {
    "too little": (
        lambda: check_at_least(torch.tensor(0.5), 0.97, name="accuracy", hint="Does the loss keep falling?"),
        "accuracy is 0.5, expected at least 0.97. Does the loss keep falling?",
    ),
    "too little by a hair": (
        lambda: check_at_least(0.97 - 1e-7, 0.97, name="accuracy"),
        "accuracy is 0.9699999, expected at least 0.97",
    ),
    "too much": (lambda: check_at_most(np.float32(3), 2, name="loss"), "loss is 3, expected at most 2"),
    "NaN is not enough": (lambda: check_at_least(NAN, 0.1, name="R2"), "R2 is NaN, expected at least 0.1"),
    "NaN is too much": (lambda: check_at_most(NAN, 0.1, name="loss"), "loss is NaN, expected at most 0.1"),
    "several numbers for one": (
        lambda: check_at_most([0.1, 0.2], 1, name="loss"),
        "loss has shape (2,), expected one number",
    ),
    "a complex number for one": (lambda: check_at_most(1j, 1, name="loss"), "loss is complex, expected at most 1"),
    "None for a number": (
        lambda: check_at_least(None, 0.9, name="accuracy"),
        "accuracy is None, expected at least 0.9: did the function return anything?",
    ),
    "shape": (
        lambda: check_shape(LOGITS, (5, 4), name="logits", axes="(N, M)", hint=TRANSPOSED),
        "logits has shape (4, 5), expected (5, 4) = (N, M). Is W transposed?",
    ),
    "shape without letters": (
        lambda: check_shape([1, 2], (3,), name="sizes"),
        "sizes has shape (2,), expected (3,)",
    ),
    "shape of a number": (lambda: check_shape(0.5, (1,), name="loss"), "loss has shape (), expected (1,)"),
    "shape of None": (
        lambda: check_shape(None, (5, 4), name="logits", hint=TRANSPOSED),
        "logits is None, expected an array of shape (5, 4): did the function return anything? Is W transposed?",
    ),
    "shape of a text": (
        lambda: check_shape("abc", (3,), name="logits"),
        "logits is 'abc', expected an array of shape (3,)",
    ),
    "shape of a ragged list": (
        lambda: check_shape([[1, 2], [3]], (2, 2), name="W", hint=TRANSPOSED),
        "W is a list of length 2, expected an array of shape (2, 2): its rows differ in length, or it holds more than "
        "numbers. Is W transposed?",
    ),
    "close": (
        lambda: check_close(LOGITS, LOGITS + torch.eye(4, 5), name="Z", hint="Is the bias added?"),
        "Z[0, 0] is 0, expected 1; largest difference 1; 4 of 20 entries differ. Is the bias added?",
    ),
    "close number": (lambda: check_close(0.25, 0.5, name="loss"), "loss is 0.25, expected 0.5"),
    "close NaN": (
        lambda: check_close(torch.tensor([1.0, NAN]), torch.ones(2), name="Z", hint="What is log(0)?"),
        "Z[1] is NaN, expected 1; NaN in 1 of 2 entries. What is log(0)?",
    ),
    "close shape": (
        lambda: check_close(LOGITS, LOGITS.T, name="Z", hint=TRANSPOSED),
        "Z has shape (4, 5), expected (5, 4). Is W transposed?",
    ),
    "no broadcasting": (
        lambda: check_close(torch.ones(1), torch.ones(3), name="Z"),
        "Z has shape (1,), expected (3,)",
    ),
    "close None": (
        lambda: check_close(None, 0.5, name="loss"),
        "loss is None, expected 0.5: did the function return anything?",
    ),
    "close to a tensor": (
        lambda: check_close({"a": 1}, LOGITS, name="Z"),
        "Z is a dict of length 1, expected a tensor of shape (4, 5)",
    ),
    "equal": (lambda: check_equal(12, 16, name="updates", hint="Round up."), "updates is 12, expected 16. Round up."),
    "equal None": (
        lambda: check_equal(None, [1], name="sizes", hint="See above."),
        "sizes is None, expected [1]: did the function return anything? See above.",
    ),
    "type": (
        lambda: check_type(torch.ones(1), float, name="loss", hint="Call .item()."),
        "loss has type Tensor, expected float. Call .item().",
    ),
    "one of several types": (
        lambda: check_type("a", (int, float), name="loss"),
        "loss has type str, expected int or float",
    ),
    "bool for int": (lambda: check_type(True, int, name="steps"), "steps has type bool, expected int"),
    "type of None": (
        lambda: check_type(None, float, name="loss", hint="See above."),
        "loss is None, expected float: did the function return anything? See above.",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_check_says_what_came_what_was_expected_and_where_to_look(case: str) -> None:
    check, message = FAILURES[case]
    with pytest.raises(AssertionError) as caught:
        check()
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [LOGITS, LOGITS.numpy(), LOGITS.tolist(), torch.nn.Parameter(LOGITS)], ids=type)
def test_any_kind_of_array_has_a_shape(value: object) -> None:
    check_shape(value, (4, 5), name="logits")
    check_shape(value, torch.Size([4, 5]), name="logits")


@pytest.mark.parametrize("value", [LOGITS, LOGITS.numpy(), LOGITS.tolist(), LOGITS.double(), LOGITS.long()], ids=type)
def test_any_kind_of_array_is_close_to_another(value: object) -> None:
    check_close(value, LOGITS, name="logits")
    check_close(LOGITS, value, name="logits")


@pytest.mark.parametrize("number", [0.5, np.float32(0.5), torch.tensor(0.5), np.array(0.5)], ids=type)
def test_any_kind_of_number_is_close_to_another(number: object) -> None:
    check_close(number, 0.5, name="loss")
    check_close(0.5, number, name="loss")


def test_float32_rounding_is_forgiven_and_a_real_error_is_not() -> None:
    g = torch.Generator().manual_seed(seed + 1)
    X, W = torch.randn(64, 512, generator=g), torch.randn(512, 32, generator=g)
    exact = X.double() @ W.double()
    check_close(X @ W, exact, name="Z")
    with pytest.raises(AssertionError, match=r"Z\[0, 0\] is .* of 2048 entries differ"):
        check_close(1.001 * (X @ W), exact, name="Z")


def test_a_small_gradient_is_not_let_through_as_zero() -> None:
    gradient = torch.tensor([1e-9, -2e-9])
    with pytest.raises(AssertionError, match=r"dW\[0\] is 0, expected 1e-09"):
        check_close(torch.zeros(2), gradient, name="dW")
    check_close(gradient * (1 + 5e-5), gradient, name="dW")


def test_rounding_is_forgiven_where_zeros_are_expected() -> None:
    check_close(torch.full((3,), 1e-8), torch.zeros(3), name="sum of gradients")
    with pytest.raises(AssertionError, match=r"is 1e-05, expected 0"):
        check_close(torch.full((3,), 1e-5), torch.zeros(3), name="sum of gradients")


def test_given_tolerances_are_used() -> None:
    check_close(1.05, 1.0, name="x", rtol=0.1)
    check_close(1.05, 1.0, name="x", atol=0.1)
    with pytest.raises(AssertionError, match=r"x is 1.05, expected 1"):
        check_close(1.05, 1.0, name="x", rtol=0.01, atol=0.01)


def test_nan_and_infinity_are_close_to_themselves_only() -> None:
    special = torch.tensor([NAN, torch.inf, -torch.inf])
    check_close(special, special, name="x")
    with pytest.raises(AssertionError, match=r"x\[1\] is 3, expected inf"):
        check_close(torch.tensor([NAN, 3.0, -torch.inf]), special, name="x")


def test_an_expected_value_that_is_no_number_is_the_authors_mistake() -> None:
    with pytest.raises(TypeError, match="check_close compares numbers; expected is 'a'"):
        check_close(1.0, "a", name="x")


def test_a_number_at_its_bound_will_do() -> None:
    check_at_least(0.97, 0.97, name="accuracy")
    check_at_least(float("inf"), 0.97, name="accuracy")
    check_at_most(torch.tensor([2.0])[0], 2, name="loss")


def test_equal_and_right_typed_values_pass() -> None:
    check_equal([1, (2, "a")], [1, [2, "a"]], name="x")
    check_type(0.5, float, name="x")
    check_type(3, (float, int), name="x")
    check_type(True, bool, name="x")
    check_type(torch.nn.Parameter(torch.ones(1)), torch.Tensor, name="x")


def test_a_type_is_what_it_is_and_not_what_it_says() -> None:
    class Liar:
        @property
        def __class__(self) -> type:
            return float

    assert isinstance(Liar(), float)
    with pytest.raises(AssertionError, match="loss has type Liar, expected float"):
        check_type(Liar(), float, name="loss")


def test_a_message_is_cut_and_keeps_the_hint() -> None:
    with pytest.raises(AssertionError) as caught:
        check_equal({"k" * 30: 1}, {"k" * 30: 2}, name="x" * 400, hint="Look at the axes.")
    message = str(caught.value)
    assert len(message) == 300
    assert message.endswith("…. Look at the axes.")
    with pytest.raises(AssertionError) as caught:
        check_equal(1, 2, name="x", hint="h" * 1000)
    assert str(caught.value).startswith("x is 1, expected 2. hhh")
    assert len(str(caught.value)) <= 300


# student and seed


def test_student_is_empty_and_can_be_used_again_and_within_itself() -> None:
    total = 0
    for i in range(3):
        with student:
            total += i
            with student:
                total += 10
    assert total == 33
    assert isinstance(student, AbstractContextManager)


def test_student_swallows_nothing() -> None:
    with pytest.raises(ZeroDivisionError), student:
        1 / 0  # noqa: B018  the error is the point


def seed_with(setting: str | None) -> subprocess.CompletedProcess[str]:
    """Import `seed` in a fresh process, with `DESCENT_SEED` set so."""
    code = "import os, sys\nif sys.argv[1:]: os.environ['DESCENT_SEED'] = sys.argv[1]\n"
    code += "from descent import checks\nprint(checks.seed)"
    command = [sys.executable, "-c", code, *([] if setting is None else [setting])]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def test_the_seed_comes_from_the_environment() -> None:
    assert seed_with("4711").stdout.strip() == "4711"


@pytest.mark.parametrize(("setting", "number"), [("", 0), (" 12 ", 12), ("0", 0), ("9" * 19, int("9" * 19))])
def test_a_seed_is_a_whole_number(monkeypatch: pytest.MonkeyPatch, setting: str, number: int) -> None:
    monkeypatch.setenv("DESCENT_SEED", setting)
    assert checks._seed() == number


@pytest.mark.parametrize("setting", ["abc", "-1", "1.5", "1e3", "²", "1" * 20])
def test_a_seed_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("DESCENT_SEED", setting)
    with pytest.raises(checks.SettingError, match=r"DESCENT_SEED is '.*'(.|\n)*write a whole number from 0 upwards"):
        checks._seed()


def test_without_a_setting_the_seed_is_zero() -> None:
    assert checks._seed() == 0


# raises


def test_the_expected_exception_is_caught_and_kept() -> None:
    with raises(ValueError, says="2 columns") as caught:
        raise ValueError("W must have 2 columns")
    assert isinstance(caught.value, ValueError)


def test_a_subclass_of_the_expected_exception_will_do() -> None:
    with raises(LookupError):
        {}["a"]


def test_an_exception_that_was_not_raised_is_missed() -> None:
    with pytest.raises(AssertionError, match=r"^expected ValueError, but nothing was raised$"), raises(ValueError):
        pass


def test_another_exception_is_named_with_its_words_and_kept_as_the_cause() -> None:
    with pytest.raises(AssertionError) as caught, raises(ValueError, says="columns"):
        raise KeyError("weights")
    assert str(caught.value) == "expected ValueError, but KeyError was raised: weights"
    assert isinstance(caught.value.__cause__, KeyError)


def test_another_message_is_shown_beside_the_expected_words() -> None:
    with pytest.raises(AssertionError) as caught, raises(ValueError, says="columns"):
        raise ValueError("wrong rows")
    assert str(caught.value) == "the ValueError says 'wrong rows', expected words: 'columns'"


def test_an_interruption_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt), raises(ValueError):
        raise KeyboardInterrupt


def test_an_exception_is_not_asked_what_it_says() -> None:
    class TalkativeError(ValueError):
        def __str__(self) -> str:
            return "columns"

    with pytest.raises(AssertionError, match="the TalkativeError says 'rows'"), raises(ValueError, says="columns"):
        raise TalkativeError("rows")


def test_raises_works_around_the_students_lines() -> None:
    with raises(ZeroDivisionError, says="division"), student:
        1 / 0  # noqa: B018  the error is the point


def test_a_long_message_is_cut() -> None:
    with pytest.raises(AssertionError) as caught, raises(ValueError):
        raise KeyError("k" * 1000)
    assert len(str(caught.value)) == 300
