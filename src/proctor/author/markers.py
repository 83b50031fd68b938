"""Marker lines, and the regions between them that students do not receive."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from proctor.author.rules import Findings

__all__ = ["Marker", "Region", "check_markers", "markers", "regions"]

Edge = Literal["BEGIN", "END"]
RegionKind = Literal["SOLUTION", "HIDDEN TESTS"]

MARKER = re.compile(r"^\s*### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")
ALMOST = re.compile(
    r"\b(BEGIN|END)[\s_-]*(SOLUTION|HIDDEN|TESTS?\b)|^\s*#+\s*(?i:begin|end)[\s_-]*(?i:solution|hidden)"
)
NBGRADER = re.compile(r"\b(BEGIN MARK SCHEME|END MARK SCHEME|AUTOTEST)\b")


@dataclass(frozen=True)
class Marker:
    """One marker line."""

    edge: Edge
    kind: RegionKind
    index: int  # of the line in its cell, counted from 0


@dataclass(frozen=True)
class Region:
    """The lines from BEGIN to END, both included."""

    kind: RegionKind
    first: int  # counted from 0
    last: int


def markers(source: str) -> tuple[Marker, ...]:
    """Return the marker lines of a cell."""
    found = ((index, MARKER.match(line)) for index, line in enumerate(source.split("\n")))
    return tuple(Marker(cast(Edge, match[1]), cast(RegionKind, match[2]), index) for index, match in found if match)


def regions(source: str) -> tuple[Region, ...]:
    """Return the well-formed regions of a cell, in order."""
    result, opened = [], None
    for marker in markers(source):
        if marker.edge == "BEGIN":
            opened = marker
        elif opened and opened.kind == marker.kind:
            result.append(Region(opened.kind, opened.index, marker.index))
            opened = None
    return tuple(result)


def check_markers(
    source: str, line: int, allowed: Sequence[RegionKind], found: Findings, *, is_code: bool, title: str
) -> None:
    """Note markers that are misspelt, out of place, unpaired or empty.

    Args:
        source: of the cell.
        line: of its first line in the file.
        allowed: the kinds of region that this cell may hold.
        found: takes the problems.
        is_code: whether a marker must be a comment.
        title: what to call the cell, such as "the test 'forward-shapes'".
    """
    _check_forms(source, line, found, is_code=is_code)
    _check_pairs(markers(source), line, found)
    for marker in markers(source):
        if marker.kind not in allowed:
            where = "cells without ':tests:' and questions" if marker.kind == "SOLUTION" else "cells with ':tests:'"
            what = f"'### {marker.edge} {marker.kind}' in {title}"
            found.add(line + marker.index, "marker-place", what, f"keep such a region to {where}")
    lines = source.split("\n")
    for region in regions(source):
        if all(_says_nothing(each, is_code=is_code) for each in lines[region.first + 1 : region.last]):
            what = f"the region {region.kind} of {title} is empty"
            found.add(line + region.first, "empty-region", what, "fill it, or take its markers away")


def _check_forms(source: str, line: int, found: Findings, *, is_code: bool) -> None:
    comments = _comments(source) if is_code else None
    for index, text in enumerate(source.split("\n")):
        if match := NBGRADER.search(text):
            what = f"nbgrader takes '{match[1]}' for an order"
            found.add(line + index, "nbgrader-word", what, "use another word")
        in_string = comments is not None and index not in comments
        if MARKER.match(text) and in_string:
            found.add(line + index, "marker-form", f"'{text.strip()}' stands in a string", "end the string above it")
        elif ALMOST.search(text) and not MARKER.match(text):
            todo = (
                "write '### BEGIN SOLUTION', '### END SOLUTION', or the same with 'HIDDEN TESTS', on a line of its own"
            )
            found.add(line + index, "marker-form", f"'{text.strip()}' looks like a marker and is none", todo)


def _comments(source: str) -> set[int] | None:
    """Return the lines that hold a comment; None where Python cannot tell."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    return {token.start[0] - 1 for token in tokens if token.type == tokenize.COMMENT}


def _check_pairs(found_markers: Iterable[Marker], line: int, found: Findings) -> None:
    opened: Marker | None = None
    for marker in found_markers:
        here, text = line + marker.index, f"'### {marker.edge} {marker.kind}'"
        if marker.edge == "BEGIN":
            if opened:
                what = f"{text} inside a region {opened.kind}, open since line {line + opened.index}"
                found.add(here, "marker-order", what, f"write '### END {opened.kind}' above it")
            opened = marker
        elif opened is None:
            found.add(here, "marker-order", f"{text} ends nothing", f"write '### BEGIN {marker.kind}' above it")
        elif opened.kind != marker.kind:
            what = f"{text} inside a region {opened.kind}, open since line {line + opened.index}"
            found.add(here, "marker-order", what, f"write '### END {opened.kind}' above it")
        else:
            opened = None
    if opened:
        what = f"'### BEGIN {opened.kind}' is never ended"
        found.add(line + opened.index, "marker-order", what, f"write '### END {opened.kind}' below the region")


def _says_nothing(text: str, *, is_code: bool) -> bool:
    stripped = text.strip()
    return not stripped or (is_code and stripped.startswith("#")) or bool(MARKER.match(text))
