"""From pieces of the file to cells: keys, names, points and kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types of its own

from proctor.author.layout import Piece
from proctor.author.markers import markers
from proctor.author.rules import Findings, near
from proctor.model import Cell

__all__ = ["OPENING", "check_names", "read_cells"]

OPENING = "opening"
CODE_KEYS = ("name", "tests", "points", "slow")
QUESTION_KEYS = ("name", "points")
LANGUAGE = "ipython3"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 64  # characters; a cell's name becomes its id, and nbformat allows no longer one
MOST = 1000  # points; more is a slip of the keyboard
Keys = Mapping[str, Any]


def read_cells(pieces: Sequence[Piece], found: Findings) -> tuple[Cell, ...]:
    """Return one cell for each piece; a cell with problems keeps what could be read of it."""
    return tuple(_code(piece, found) if piece.kind == "code" else _markdown(piece, found) for piece in pieces)


def check_names(cells: Sequence[Cell], found: Findings) -> None:
    """Note names that two cells share, an opening cell that is not one, and tests of what is not there."""
    lines: dict[str, int] = {}
    for cell in cells:
        if cell.name in lines:
            what = f"'{cell.name}' is also the name of the cell at line {lines[cell.name]}"
            found.add(cell.line, "duplicate-name", what, "give one of them another name")
        elif cell.name:
            lines[cell.name] = cell.line
    _check_opening(cells, found)
    for index, cell in enumerate(cells):
        for name in cell.tests:
            _check_tested(cell, name, cells[:index], cells, found)


def _check_opening(cells: Sequence[Cell], found: Findings) -> None:
    first = next((cell for cell in cells if cell.kind in ("given", "solution", "test")), None)
    if first is None:
        found.add(1, "opening-cell", "there is no code cell", f"begin with the imports, in a cell named '{OPENING}'")
    elif first.name != OPENING or first.kind != "given":
        what = f"the first code cell is the {first.kind} cell '{first.name}'"
        found.add(first.line, "opening-cell", what, f"begin with the imports, in a given cell named '{OPENING}'")


def _check_tested(test: Cell, name: str, above: Sequence[Cell], cells: Sequence[Cell], found: Findings) -> None:
    same = [cell for cell in cells if cell.name == name]
    solutions = sorted(cell.name for cell in cells if cell.kind == "solution")
    if not same:
        what = f"the test '{test.name}' names '{name}', which is no cell{near(name, solutions)}"
        found.add(test.line, "unknown-cell", what, "name a solution cell above the test")
    elif all(cell.kind != "solution" for cell in same):
        what = f"the test '{test.name}' names '{name}', which is a {same[0].kind} cell"
        found.add(test.line, "tests-no-solution", what, "name the cell that the student completes")
    elif not any(cell in above for cell in same):
        what = f"the test '{test.name}' names '{name}', which stands below it, at line {same[0].line}"
        found.add(test.line, "tests-below", what, "move the test below that cell")


def _code(piece: Piece, found: Findings) -> Cell:
    if piece.info != LANGUAGE:
        what = f"the language of this cell is '{piece.info}'"
        found.add(piece.line, "cell-language", what, f"write ```{{code-cell}} {LANGUAGE}")
    keys, body, line = _code_keys(piece, found)
    source = "\n".join(body)
    _check_keys(keys, CODE_KEYS, piece.line, found)
    name = _name(keys, piece.line, "this code cell", found)
    if not any(text.strip() and not text.lstrip().startswith(":") for text in piece.body):
        found.add(piece.line, "empty-cell", f"the cell '{name}' is empty", "write its code, or delete it")
    kinds = {marker.kind for marker in markers(source)}
    if "tests" in keys or kinds == {"HIDDEN TESTS"}:
        return _test(keys, source, line, name, piece, found)
    if "points" in keys:
        todo = "add ':tests:' with the solution cell that it judges, or delete ':points:'"
        found.add(piece.line, "points-without-tests", f"the cell '{name}' has points and tests nothing", todo)
    if "slow" in keys:
        found.add(piece.line, "slow-place", f"the cell '{name}' is slow and no test", "delete ':slow:'")
    return Cell("solution" if "SOLUTION" in kinds else "given", source, line, name)


def _test(keys: Keys, source: str, line: int, name: str, piece: Piece, found: Findings) -> Cell:
    if "tests" not in keys:
        todo = "add ':tests:' with the solution cell that it judges"
        found.add(piece.line, "test-without-tests", f"the cell '{name}' has hidden tests and no ':tests:'", todo)
    points = _points(keys, piece.line, f"the test '{name}'", found)
    if keys.get("slow", True) not in (True, None):
        found.add(piece.line, "slow-form", f"':slow:' is {keys['slow']!r}", "write ':slow: true', or delete it")
    return Cell("test", source, line, name, _tests(keys, piece.line, found), points, slow="slow" in keys)


def _tests(keys: Keys, line: int, found: Findings) -> tuple[str, ...]:
    value = keys.get("tests", "")
    names = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else ()
    if "tests" in keys and (not all(names) or not names or len(set(names)) < len(names)):
        found.add(line, "tests-form", f"':tests:' is {value!r}", "write names as in ':tests: forward, backward'")
    return tuple(dict.fromkeys(name for name in names if name))


def _markdown(piece: Piece, found: Findings) -> Cell:
    source = "\n".join(piece.body)
    keys = _question_keys(piece, found)
    if not keys:
        return Cell("text", source, piece.body_line)
    _check_keys(keys, QUESTION_KEYS, piece.line, found)
    name = _name(keys, piece.line, "this question", found)
    points = _points(keys, piece.line, f"the question '{name}'", found)
    if not source.strip():
        found.add(piece.line, "empty-cell", f"the question '{name}' has no words", "write it below the `+++`")
    return Cell("written", source, piece.body_line, name, points=points)


def _question_keys(piece: Piece, found: Findings) -> Keys:
    """Return what the `+++` line says; nothing for plain Markdown."""
    if not piece.info:
        return {}
    try:
        pairs = json.loads(piece.info, object_pairs_hook=lambda pairs: pairs)
        keys = json.loads(piece.info)
    except (ValueError, RecursionError) as error:
        found.add(
            piece.line, "key-form", f"what follows `+++` is not JSON: {error}", 'write {"name": "…", "points": 1}'
        )
        return {}
    if not isinstance(keys, dict):
        found.add(piece.line, "key-form", f"{piece.info!r} is no JSON object", 'write {"name": "…", "points": 1}')
        return {}
    _check_repeats([key for key, _ in pairs], piece.line, found)
    return keys


def _code_keys(piece: Piece, found: Findings) -> tuple[Keys, Sequence[str], int]:
    """Return the `:key: value` lines of a code cell, its code, and the file's line where the code begins."""
    body, line = list(piece.body), piece.body_line
    keys: dict[str, Any] = {}
    names: list[str] = []
    while body and body[0].lstrip().startswith(":"):
        key = _key(body.pop(0), line, found)
        keys |= key
        names += key
        line += 1
    _check_repeats(names, piece.line, found)
    index, first = next(((index, text.strip()) for index, text in enumerate(body) if text.strip()), (0, ""))
    if first.startswith(("---", ":")):
        todo = "write keys as ':key: value' lines, right below the fence"
        found.add(line + index, "key-form", f"{first!r} is no code", todo)
        return keys, (), line
    if body and not body[0].strip():
        return keys, body[1:], line + 1
    return keys, body, line


def _key(text: str, line: int, found: Findings) -> dict[str, Any]:
    try:
        key = yaml.safe_load(text.lstrip()[1:])
    except (yaml.YAMLError, ValueError):
        key = None
    if isinstance(key, dict) and all(isinstance(name, str) for name in key):
        return key
    found.add(line, "key-form", f"{text.strip()!r} is not a key with a value", "write it as in ':points: 2'")
    return {}


def _check_repeats(names: Sequence[str], line: int, found: Findings) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.add(line, "repeated-key", f"the key '{name}' stands twice", "keep one")


def _check_keys(keys: Keys, known: Sequence[str], line: int, found: Findings) -> None:
    for key in keys:
        if key not in known:
            what = f"'{key}' is not a key here{near(key, known)}"
            found.add(line, "unknown-key", what, f"use {', '.join(known[:-1])} and {known[-1]}")


def _name(keys: Keys, line: int, title: str, found: Findings) -> str:
    name = keys.get("name")
    if name is None:
        found.add(line, "missing-name", f"{title} has no name", "give it one that will never change")
        return ""
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST:
        todo = f"write lowercase words with single dashes, such as 'forward-shapes', {LONGEST} characters at most"
        found.add(line, "name-form", f"the name {name!r} has another form", todo)
    return str(name)


def _points(keys: Keys, line: int, title: str, found: Findings) -> float:
    value = keys.get("points")
    if value is None:
        found.add(line, "missing-points", f"{title} has no points", "say how many it is worth")
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        found.add(line, "points-form", f"the points of {title} are {value!r}", f"write a number from 0 to {MOST}")
        return 0.0
    return value
