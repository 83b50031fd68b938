"""Numbers reach the sentences of a page as prose has them."""

from __future__ import annotations

import sys

import myst_nb
import numpy as np
import pytest
import torch
from IPython.display import Markdown

from descent.errors import SettingError
from descent.prose import machine, percent, power, say, say_table


@pytest.fixture
def glued(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Collect what is said instead of gluing it."""
    texts: dict[str, str] = {}

    def glue(name: str, variable: object, display: bool = True) -> None:
        assert not display
        texts[name] = variable.data if isinstance(variable, Markdown) else str(variable)

    monkeypatch.setattr(myst_nb, "glue", glue)
    return texts


def test_texts_are_glued_under_their_names(glued: dict[str, str]) -> None:
    say(a="1,797", b=percent(0.5))
    assert glued == {"a": "1,797", "b": "50.0\u00a0%"}


@pytest.mark.parametrize("text", [np.float64(0.5), 0.5, torch.tensor(1), None, "", " "])
def test_what_a_sentence_cannot_hold_is_refused_and_nothing_is_glued(glued: dict[str, str], text: object) -> None:
    with pytest.raises(SettingError, match=r"is not a text that a sentence can hold\n  where:  say\(b=…\)\n  to do:"):
        say(a="1", b=text)  # type: ignore[arg-type]
    assert glued == {}


def test_outside_the_book_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    say(a="1")
    say_table("t", [["a"], ["1"]])
    with pytest.raises(SettingError):
        say(a="")


def test_a_table_is_glued_as_markdown(glued: dict[str, str]) -> None:
    say_table("t", [["$w$", "$L$"], ["1", "0"]])
    assert glued == {"t": "| $w$ | $L$ |\n|---|---|\n| 1 | 0 |"}


@pytest.mark.parametrize("rows", [[], [["head"]], [["a", "b"], ["1"]]])
def test_what_is_no_table_is_refused(glued: dict[str, str], rows: list[list[str]]) -> None:
    with pytest.raises(SettingError, match=r"are no table\n  where:  say_table\('t', …\)\n  to do:"):
        say_table("t", rows)
    assert glued == {}


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.97249, 1, "97.2 %"),
        (1, 0, "100 %"),
        (-0.0131, 1, "−1.3 %"),
        (-1e-9, 1, "0.0 %"),
        (np.float64(0.5), 2, "50.00 %"),
    ],
)
def test_a_share_is_written_in_per_cent(share: float, digits: int, text: str) -> None:
    assert percent(share, digits=digits).split() == text.split()
    assert "\u00a0" in percent(share, digits=digits)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (3.2e-5, 0, "3 × 10⁻⁵"),
        (6.02e23, 2, "6.02 × 10²³"),
        (-4e-12, 0, "−4 × 10⁻¹²"),
        (torch.tensor(1e9), 0, "1 × 10⁹"),
    ],
)
def test_a_small_number_is_written_with_a_power_of_ten(number: float, digits: int, text: str) -> None:
    assert power(number, digits=digits).split() == text.split()
    assert " " not in power(number, digits=digits)


def test_the_machine_is_named_by_what_the_cells_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    assert machine() == machine(torch.device("cpu")) == f"CPU, {threads} thread" + "s" * (threads > 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert machine() == "CPU, 1 thread"
    assert machine(torch.device("mps")) == "GPU"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    assert machine(torch.device("cuda:1")) == "Card 1"
