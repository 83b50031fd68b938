"""How data sets introduce themselves."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
import torch

from descent.data import ImageSet, Splits, Text


def test_an_image_set_says_what_it_holds() -> None:
    images = ImageSet(torch.zeros(1200, 3, 32, 32), torch.zeros(1200).long(), ("ring", "star"), "rendered shapes")
    assert len(images) == 1200
    assert repr(images) == "<1,200 images of 3 x 32 x 32 in 2 classes: rendered shapes>"


def test_a_text_says_what_it_is() -> None:
    text = Text("a" * 1500, "Tiny Shakespeare")
    assert len(text) == 1500
    assert repr(text) == "<1,500 characters: Tiny Shakespeare>"


def test_data_sets_are_frozen() -> None:
    splits = Splits(Text("a", "here"), Text("b", "there"))
    with pytest.raises(FrozenInstanceError):
        splits.train = splits.test
