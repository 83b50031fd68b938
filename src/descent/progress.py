"""A progress bar for runs that take a while: in a live kernel, and none on a page of the book."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm.auto import tqdm

from descent.settings import switch

__all__ = ["progress"]

Item = TypeVar("Item")


def progress(items: Iterable[Item]) -> Iterable[Item]:
    """Return the items, with a bar that says how many are done and goes with the last one.

    There is no bar where `DESCENT_QUIET` is 1. The variables of tqdm would silence its bars of text, but not its
    widgets, which a page would carry along with scripts from elsewhere.

    Raises:
        SettingError: `DESCENT_QUIET` holds something else than 1, 0 or nothing.
    """
    if switch("DESCENT_QUIET"):
        return items
    bar: Iterable[Item] = tqdm(items, leave=False)
    return bar
