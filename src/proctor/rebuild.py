"""Make the notebook that is judged: the instructor's, with the sources of the student's cells in their places.

Goal: what runs is what the student wrote, in the order in which it ran for them, around tests that are the
instructor's. Two ways that fail: to trust the student's notebook and mend it (tags, points and order are theirs to
change), and to take the solution cells alone (helpers in added cells are lost). The way taken: each cell of the
instructor is a place. A student's cell goes to the place whose name it claims or, if it claims none, to the one that
holds the same text. All others are added cells; they stay behind the place that they follow. Nothing but kind and
source of a student's cell is ever used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proctor.model import HandedIn, Rebuilt, Step, SubmittedNotebook
from proctor.released import Place, places, plain

__all__ = ["rebuild"]

MOST_ADDED = 500  # cells; a student who tries things out adds some dozens
INSTEAD = {
    "solution": "the open task was put in its place",
    "written": "the open question was put in its place",
    "test": "the released one was run",
    "given": "the released one was run",
    "task": "the released one stands there",
    "text": "the released one stands there",
}


@dataclass(frozen=True)
class _Match:
    """Which cell of the student's stands for which place."""

    cell_of: Mapping[int, int]  # index of a place -> index of the student's cell
    place_of: Mapping[int, int]  # the other way round


@dataclass
class _Added:
    """The student's other cells, and what became of them."""

    behind: dict[int, list[Step]] = field(default_factory=lambda: defaultdict(list))  # by place; -1 is the start
    replaced: set[int] = field(default_factory=set)  # places of unmarked code that gave way
    copies: dict[str, None] = field(default_factory=dict)  # names of places, in order, each once
    count: int = 0


def rebuild(source: Mapping[str, Any], handed_in: SubmittedNotebook | None, *, name: str) -> Rebuilt:
    """Return the instructor's notebook with the student's cells in their places.

    Args:
        source: the instructor's notebook, nbformat 4, with solutions, hidden tests and the metadata of nbgrader.
        handed_in: the student's; None if it is missing, so that every task stands open.
        name: of the notebook, without `.ipynb`.
    """
    row = places(source)
    opening = next((place.shown for place in row if place.role == "given" and place.marks), "")
    if handed_in is None:
        note = f"notebook '{name}' was not handed in: its tasks stand open"
        return Rebuilt(name, tuple(place.step() for place in row), opening, (note,))
    cells = handed_in.cells
    match = _match(row, cells)
    added = _add(row, cells, match)
    notes = (*_changes(row, cells, match), *_additions(row, added))
    return Rebuilt(name, tuple(_steps(row, cells, match, added)), opening, notes)


def _match(row: Sequence[Place], cells: Sequence[HandedIn]) -> _Match:
    """Match by name, the first cell of the right kind; then what is left by text."""
    named = {place.name: index for index, place in enumerate(row) if place.name}
    found: dict[int, int] = {}
    for number, cell in enumerate(cells):
        index = named.get(cell.name)
        if index is not None and index not in found and cell.kind == row[index].kind:
            found[index] = number
    unknown = [number for number, cell in enumerate(cells) if cell.name not in named]
    found.update(_alike(row, cells, [index for index in range(len(row)) if index not in found], unknown))
    return _Match(found, {number: index for index, number in found.items()})


def _alike(
    row: Sequence[Place], cells: Sequence[HandedIn], free: Sequence[int], unknown: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield free places and unknown cells that hold the same text.

    A text that stands more often on one side says too little: which of two rules, `---`, was deleted?
    """
    texts: dict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for index in free:
        texts[row[index].kind, plain(row[index].shown)][0].append(index)
    for number in unknown:
        texts[cells[number].kind, plain(cells[number].source)][1].append(number)
    for (_, text), (indices, numbers) in texts.items():
        if text and len(indices) == len(numbers):
            yield from zip(indices, numbers, strict=True)


def _add(row: Sequence[Place], cells: Sequence[HandedIn], match: _Match) -> _Added:
    """Put each cell without a place behind one."""
    added = _Added()
    locked = {plain(place.shown): place.name for place in row if place.name and place.role in ("test", "given")}
    anchor = -1
    for number, cell in enumerate(cells):
        text = plain(cell.source)
        if number in match.place_of:
            anchor = match.place_of[number]
        elif text and cell.kind == "code" and text in locked:
            added.copies[locked[text]] = None
        elif text:  # Jupyter leaves an empty cell at the end
            step = Step("added", cell.kind, cell.source, cell.source, label=f"your cell {number + 1}")
            _put(added, row, match, anchor, step)
    return added


def _put(added: _Added, row: Sequence[Place], match: _Match, anchor: int, step: Step) -> None:
    """Put a cell behind its anchor, and behind what the student deleted there, up to the next test.

    The added cell may be the deleted one written anew, so the open task must not come later and undo it. Unmarked
    code is the student's to edit: it gives way to the student's code.
    """
    added.count += 1
    if added.count > MOST_ADDED:
        return
    last = anchor
    while last + 1 < len(row) and last + 1 not in match.cell_of and row[last + 1].role != "test":
        last += 1
    if step.kind == "code":
        added.replaced.update(index for index in range(anchor + 1, last + 1) if row[index].is_unmarked_code)
    added.behind[last].append(step)


def _steps(row: Sequence[Place], cells: Sequence[HandedIn], match: _Match, added: _Added) -> Iterator[Step]:
    yield from added.behind.get(-1, ())
    for index, place in enumerate(row):
        if index not in added.replaced:
            has_answer = place.is_open and index in match.cell_of
            yield place.step(cells[match.cell_of[index]].source if has_answer else None)
        yield from added.behind.get(index, ())


def _changes(row: Sequence[Place], cells: Sequence[HandedIn], match: _Match) -> Iterator[str]:
    """Yield a note for each named place that the student deleted, changed, repeated or moved."""
    claims = Counter(cell.name for cell in cells)
    for index, place in enumerate(row):
        if not place.name:
            continue
        title = f"{place.role} cell '{place.name}'"
        if index not in match.cell_of:
            yield f"{title} was missing: {INSTEAD[place.role]}"
        elif not place.is_open and plain(cells[match.cell_of[index]].source) != plain(place.shown):
            yield f"{title} was changed: {INSTEAD[place.role]}"
        if place.is_open and claims[place.name] > 1:
            yield f"{title} was handed in {claims[place.name]} times: the first is the answer"
    order = [index for _, index in sorted(match.place_of.items()) if row[index].name]
    if order != sorted(order):
        yield "cells were moved: they stand in the released order"


def _additions(row: Sequence[Place], added: _Added) -> Iterator[str]:
    """Yield notes on copies, on unmarked code that gave way, and on too many cells."""
    roles = {place.name: place.role for place in row}
    for name in added.copies:
        yield f"a copy of {roles[name]} cell '{name}' was left out"
    for index in sorted(added.replaced):
        yield f"{row[index].label} was changed: the student's code was run in its place"
    if added.count > MOST_ADDED:
        yield f"added cells beyond the first {MOST_ADDED} were left out: {added.count - MOST_ADDED}"
