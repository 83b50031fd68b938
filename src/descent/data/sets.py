"""The frozen shapes in which data sets are handed out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

__all__ = ["ImageSet", "Splits", "Text"]

Part = TypeVar("Part")


@dataclass(frozen=True)
class Splits(Generic[Part]):
    """A data set in two parts: one to learn from, one to be judged on."""

    train: Part
    test: Part


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images with one label each."""

    images: Tensor  # (N, C, H, W) float32 in [0, 1]
    labels: Tensor  # (N,) int64, an index into `classes`
    classes: tuple[str, ...]
    source: str  # where the images come from, in words that read well in a sentence

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        size = " x ".join(str(side) for side in self.images.shape[1:])
        return f"<{len(self):,} images of {size} in {len(self.classes)} classes: {self.source}>"


@dataclass(frozen=True, repr=False)
class Text:
    """One long text."""

    text: str
    source: str  # where the text comes from, in words that read well in a sentence

    def __len__(self) -> int:
        return len(self.text)

    def __repr__(self) -> str:
        return f"<{len(self):,} characters: {self.source}>"
