"""The Markdown of an assignment file: where its cells, headings and tables stand.

The cells are those that jupytext finds in the same file; what jupytext would pass over in silence is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]  # has no types of its own
from jupytext.myst import get_parser

from proctor.author.rules import Findings

__all__ = ["Heading", "Layout", "Piece", "Table", "lay_out", "read_text"]

CELL = "{code-cell}"
MISSPELT = re.compile(r"\{(code.?cells?|code.?cel|cell|raw-cell)\}")
INDENTED_CELL = re.compile(r"^ *(`{3,}|~{3,}) *\{code-cell\}", re.MULTILINE)
FRONT_MATTER = "write the jupytext and kernelspec block of another assignment (format_name myst, kernel python3)"


@dataclass(frozen=True)
class Piece:
    """A stretch of the file that becomes one cell."""

    kind: Literal["code", "markdown"]
    line: int  # of the fence or of `+++`, counted from 1; of the first line for plain Markdown
    info: str  # what follows the fence or the `+++`
    body: tuple[str, ...]
    body_line: int  # of the first line of the body


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    text: str
    line: int


@dataclass(frozen=True)
class Table:
    """A table as text, the header row first."""

    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]  # of each row


@dataclass(frozen=True)
class Layout:
    """What stands where in a file."""

    pieces: tuple[Piece, ...]
    headings: tuple[Heading, ...]
    tables: tuple[Table, ...]


def read_text(path: Path, found: Findings) -> str:
    """Return the file's text with Unix line ends; settle with a problem if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError:
        found.add(1, "missing-file", f"'{path}' cannot be opened", f"write {path.name}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found.add(line, "unreadable-file", "the file is not UTF-8", "save it as UTF-8")
    found.settle()
    raise AssertionError("settled")


def lay_out(text: str, found: Findings, *, front_matter: bool = True) -> Layout:
    """Find cells, headings and tables at the margin of a Markdown text.

    Args:
        text: the whole file, with Unix line ends.
        found: takes what cannot be a cell, and a front matter that is missing or wrong.
        front_matter: whether the file must have one.
    """
    tokens = get_parser().parse(text + "\n")
    lines = text.split("\n")
    start = 0
    if tokens and tokens[0].type == "front_matter":
        start = tokens[0].map[1]
    if front_matter:
        _check_front_matter(tokens[0].content if start else None, found)
    for token in tokens:
        _check_fence(token, lines, found)
    return Layout(tuple(_pieces(tokens, lines, start)), tuple(_headings(tokens)), tuple(_tables(tokens)))


def _check_front_matter(content: str | None, found: Findings) -> None:
    if content is None:
        found.add(1, "front-matter", "the file does not open with front matter", FRONT_MATTER)
        return
    try:
        given = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        found.add(line, "front-matter", "the front matter is not YAML", FRONT_MATTER)
        return
    for path, wanted in (("kernelspec.name", "python3"), ("jupytext.text_representation.format_name", "myst")):
        value = given
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value != wanted:
            found.add(1, "front-matter", f"'{path}' is {value!r}, expected '{wanted}'", FRONT_MATTER)


def _check_fence(token: Any, lines: Sequence[str], found: Findings) -> None:
    """Note a fence that is open, misspelt or nested; nested cells would never become cells."""
    if _is_nested(token):
        found.add(token.map[0] + 1, "nested-cell", "this is no cell, because it is indented", "move it to the margin")
    if token.type != "fence" or token.level:
        return
    last = lines[min(token.map[1], len(lines)) - 1].strip()
    if token.map[1] - token.map[0] < 2 or set(last) != {token.markup[0]} or len(last) < len(token.markup):
        found.add(token.map[0] + 1, "unclosed-fence", "the fence is never closed", f"add a line {token.markup}")
    if (match := MISSPELT.match(token.info)) and match[0] != CELL:
        found.add(token.map[0] + 1, "unknown-fence", f"'{match[0]}' makes no cell", f"write '{CELL}'")


def _is_nested(token: Any) -> bool:
    is_cell = token.type == "fence" and token.info.startswith(CELL)
    is_break = token.type == "myst_block_break" and bool(token.content)
    is_shown = token.type == "code_block" and INDENTED_CELL.search(token.content)
    return bool(is_shown) or (token.level > 0 and (is_cell or is_break))


def _pieces(tokens: Sequence[Any], lines: Sequence[str], start: int) -> Iterator[Piece]:
    """Yield code cells and the Markdown between them, as jupytext cuts the file."""
    opened, info = start, ""  # of the Markdown that runs
    for token in tokens:
        is_cell = token.type == "fence" and token.info.startswith(CELL)
        if token.level or not (is_cell or token.type == "myst_block_break"):
            continue
        yield from _markdown(lines, opened, token.map[0], info)
        if is_cell:
            first = token.map[0] + 1
            yield Piece(
                "code", first, token.info[len(CELL) :].strip(), tuple(token.content.split("\n")[:-1]), first + 1
            )
        opened, info = token.map[1], "" if is_cell else token.content.strip()
    yield from _markdown(lines, opened, len(lines), info)


def _markdown(lines: Sequence[str], start: int, end: int, info: str) -> Iterator[Piece]:
    """Yield the Markdown from one line to another, blank lines around it taken away; nothing if there is nothing."""
    body = list(lines[start:end])
    line = start + 1
    while body and not body[0]:
        body.pop(0)
        line += 1
    text = "\n".join(body).rstrip()
    if text or info:
        yield Piece("markdown", start if info else line, info, tuple(text.split("\n")), line)


def _headings(tokens: Sequence[Any]) -> Iterator[Heading]:
    for token, inner in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            yield Heading(int(token.tag[1]), inner.content, token.map[0] + 1)


def _tables(tokens: Sequence[Any]) -> Iterator[Table]:
    rows: list[list[str]] = []
    lines: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
            lines.append(token.map[0] + 1)
        elif token.type == "inline" and token.level == 4 and rows:
            rows[-1].append(token.content.strip())
        elif token.type == "table_close":
            if token.level == 0:
                yield Table(tuple(map(tuple, rows)), tuple(lines))
            rows, lines = [], []
