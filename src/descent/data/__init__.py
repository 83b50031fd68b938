"""Data sets: the best that is on disk, always something real, and never a download that nobody asked for.

`mnist()`, `cifar10()` and `shakespeare()` look in `root`, then in the folder that `DESCENT_DATA` names, then in the
cache; with `download=True` or `DESCENT_DOWNLOAD=1` they download what is missing into the cache, and otherwise return
data that is embedded: handwritten digits, rendered shapes and the Python language reference.
`.source` says which it was.
`digits()` and `shapes()` return embedded data wherever they run, which makes them the ones to grade with.
"""

from __future__ import annotations

from descent.data.images import cifar10, digits, mnist
from descent.data.rendered import shapes
from descent.data.sets import ImageSet, Splits, Text
from descent.data.text import shakespeare

__all__ = ["ImageSet", "Splits", "Text", "cifar10", "digits", "mnist", "shakespeare", "shapes"]
