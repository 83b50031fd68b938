"""Read `answers.md`: the wrong answers and the other right ones that test an assignment's tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from proctor.author.layout import Heading, Piece, lay_out, read_text
from proctor.author.rules import Findings, near
from proctor.author.syntax import compile_problem, normal_form, parse_notebook, syntax_problem
from proctor.model import Assignment, Row

__all__ = ["read_answers"]

ROW = re.compile(r"(Wrong|Right): (.*\S)")
KEY = re.compile(r"(\w+):\s*(.*)")
KEYS = ("loses", "says", "differs")
BOTH = "write '## Wrong: title' or '## Right: title'"
Kind = Literal["wrong", "right"]


def read_answers(folder: Path, assignment: Assignment) -> tuple[Row, ...]:
    """Read the rows of `answers.md`.

    Args:
        folder: the assignment's.
        assignment: its cells, which the rows replace.

    Raises:
        AuthoringError: the file breaks a rule; carries every problem, in the order of the file.
    """
    path = folder / "answers.md"
    found = Findings(path)
    text = read_text(path, found)
    layout = lay_out(text, found, front_matter=False)
    lines = text.split("\n")
    _check_title(layout.headings, assignment, found)
    heads = [heading for heading in layout.headings if heading.level > 1]
    rows = []
    for head, following in zip(heads, [*heads[1:], None], strict=False):
        end = following.line if following else len(lines) + 1
        pieces = [piece for piece in layout.pieces if piece.kind == "code" and head.line < piece.line < end]
        rows.append(_row(head, pieces, lines[head.line : end - 1], assignment, found))
    _check_rows(rows, layout.pieces, heads, found)
    found.settle()
    return tuple(row for row in rows if row)


def _check_title(headings: Sequence[Heading], assignment: Assignment, found: Findings) -> None:
    wanted = f"Answers: {assignment.name}"
    titles = [heading for heading in headings if heading.level == 1]
    if not titles or titles[0] != headings[0] or titles[0].text != wanted or len(titles) > 1:
        line = titles[-1].line if titles else 1
        what = f"the title is '{titles[-1].text}'" if titles else "there is no title"
        found.add(line, "answers-title", what, f"write one line '# {wanted}', at the top")


def _check_rows(rows: Sequence[Row | None], pieces: Sequence[Piece], heads: Sequence[Heading], found: Findings) -> None:
    if not rows:
        found.add(1, "answer-heading", "there are no answers", BOTH)
    for piece in pieces:
        if piece.kind == "code" and (not heads or piece.line < heads[0].line):
            found.add(piece.line, "answer-heading", "the cell belongs to no answer", BOTH)
    lines: dict[str, int] = {}
    for row in rows:
        if row and row.title in lines:
            what = f"'{row.title}' is also the answer at line {lines[row.title]}"
            found.add(row.line, "answer-title", what, "give one of them another title")
        elif row:
            lines[row.title] = row.line


def _row(
    head: Heading, pieces: Sequence[Piece], lines: Sequence[str], assignment: Assignment, found: Findings
) -> Row | None:
    """Return one answer; note what is wrong with it.

    Args:
        head: its heading.
        pieces: its cells.
        lines: of the file, from below the heading to the next one.
        assignment: what it answers.
        found: takes the problems.
    """
    match = ROW.fullmatch(head.text) if head.level == 2 else None
    if match is None:
        found.add(head.line, "answer-heading", f"'{head.text}' heads no answer", BOTH)
        return None
    kind: Kind = "wrong" if match[1] == "Wrong" else "right"
    keys = _keys(head, pieces, lines, found)
    replaces: dict[str, str] = {}
    for piece in pieces:
        _check_piece(piece, replaces, assignment, found)
        replaces[piece.info] = "\n".join(piece.body)
    if not pieces:
        found.add(
            head.line, "answer-cell", f"'{match[2]}' has no cell", "add a fence ```{code-cell} NAME with the answer"
        )
    _check_keys(kind, head, keys, found)
    loses = _loses(keys, head, assignment, found)
    return Row(kind, match[2], head.line, replaces, loses, keys.get("says", ""), keys.get("differs", ""))


def _keys(head: Heading, pieces: Sequence[Piece], lines: Sequence[str], found: Findings) -> dict[str, str]:
    """Read the `key: value` lines of a row; whatever else is outside its cells is a problem."""
    in_cells = {line for piece in pieces for line in range(piece.line, piece.body_line + len(piece.body) + 1)}
    keys: dict[str, str] = {}
    for line, text in enumerate(lines, head.line + 1):
        if line in in_cells or not text.strip():
            continue
        match = KEY.fullmatch(text.strip())
        known = match is not None and match[1] in KEYS
        if match is None or not known or match[1] in keys or (pieces and line > pieces[0].line):
            why = "stands twice" if match and match[1] in keys else "is no line of an answer"
            hint = near(match[1], KEYS) if match and not known else ""
            todo = "write 'loses:', 'says:' and 'differs:' once each, below the heading and above the cells"
            found.add(line, "answer-key", f"'{text.strip()}' {why}{hint}", todo)
        else:
            keys[match[1]] = match[2].strip()
    return keys


def _check_keys(kind: Kind, head: Heading, keys: Mapping[str, str], found: Findings) -> None:
    for key in ("loses", "says"):
        if kind == "wrong" and not keys.get(key):
            what = f"the wrong answer has no '{key}:'"
            todo = "name the tests that it loses" if key == "loses" else "quote what the student reads in one of them"
            found.add(head.line, "answer-wrong", what, todo)
        elif kind == "right" and key in keys:
            found.add(head.line, "answer-right", f"the right answer has '{key}:'", "delete it, or head it '## Wrong:'")
    if keys.get("differs") == "":
        found.add(head.line, "answer-key", "'differs:' gives no reason", "say why the verdicts differ, or delete it")


def _loses(keys: Mapping[str, str], head: Heading, assignment: Assignment, found: Findings) -> tuple[str, ...]:
    names = [name.strip() for name in keys.get("loses", "").split(",") if keys.get("loses")]
    kinds = {cell.name: cell.kind for cell in assignment.cells if cell.name}
    tests = [cell.name for cell in assignment.of_kind("test")]
    for name in names:
        if name not in tests:
            is_what = f"a {kinds[name]} cell" if name in kinds else f"no cell{near(name, tests)}"
            found.add(head.line, "answer-loses", f"'{name}' is {is_what}", "name cells with ':tests:'")
    if len(set(names)) < len(names):
        found.add(head.line, "answer-loses", "'loses:' names a test twice", "name it once")
    return tuple(dict.fromkeys(names))


def _check_piece(piece: Piece, replaces: Mapping[str, str], assignment: Assignment, found: Findings) -> None:
    """Note a cell that replaces nothing, is not Python, or changes nothing."""
    solutions = {cell.name: cell for cell in assignment.of_kind("solution")}
    name, source = piece.info, "\n".join(piece.body)
    if name not in solutions:
        what = f"'{name}' is no solution cell{near(name, solutions)}"
        found.add(piece.line, "answer-cell", what, "write ```{code-cell} NAME with the cell that it replaces")
    elif name in replaces:
        found.add(piece.line, "answer-cell", f"'{name}' is replaced above already", "keep one of the two")
    tree = parse_notebook(source)
    if tree is None:
        line, words = syntax_problem(source)
        found.add(piece.body_line + line, "syntax", f"the answer is not Python: {words}", "correct it")
        return
    if (problem := compile_problem(tree, source)) and not problem[2]:
        what = f"the answer is not Python: {problem[1]}"
        found.add(piece.body_line + problem[0], "syntax", what, "correct it")
    if name in solutions and normal_form(source) == normal_form(solutions[name].source):
        what = f"the answer for '{name}' is the reference itself"
        found.add(piece.line, "same-as-reference", what, "change it, or delete it")
