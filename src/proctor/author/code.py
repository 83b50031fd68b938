"""The code of all cells, read once: is it Python, and does every name exist before it is read?"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proctor.author.markers import regions
from proctor.author.names import Event, events
from proctor.author.rules import Findings, near
from proctor.author.student_view import open_task_stub, without_hidden_tests
from proctor.author.syntax import compile_problem, parse, parse_notebook, syntax_problem
from proctor.model import Cell

__all__ = ["Code", "check_compiles", "check_order", "read_code"]

EVERYWHERE = frozenset(dir(builtins)) | {"__name__", "__doc__", "__builtins__"}
NOTEBOOK = frozenset({"get_ipython", "display", "In", "Out", "exit", "quit", "_"})  # what only a kernel has


@dataclass(frozen=True)
class Code:
    """A code cell with its syntax tree and what it does with names."""

    cell: Cell
    tree: ast.Module
    events: tuple[Event, ...]
    hidden: frozenset[int]  # lines of hidden tests in the cell, counted from 1

    def line(self, node: ast.AST | Event) -> int:
        """Return the line of the file on which a node or an event of this cell stands."""
        line: int = node.line if isinstance(node, Event) else getattr(node, "lineno", 1)
        return self.cell.line + line - 1

    @property
    def is_test(self) -> bool:
        """Whether the cell is a graded test."""
        return self.cell.kind == "test"


def read_code(cells: Iterable[Cell], found: Findings) -> tuple[Code, ...]:
    """Parse the code cells, and note those that are not Python, as authors write them or as students receive them."""
    codes = []
    for cell in cells:
        if cell.kind in ("text", "written"):
            continue
        tree = parse(cell.source) if cell.kind == "test" else parse_notebook(cell.source)
        if tree is None:
            _note_syntax(cell, found)
            continue
        codes.append(Code(cell, tree, events(tree), _hidden_lines(cell)))
        _check_release(cell, found)
        _check_stars(codes[-1], found)
    return tuple(codes)


def _hidden_lines(cell: Cell) -> frozenset[int]:
    found = (region for region in regions(cell.source) if region.kind == "HIDDEN TESTS")
    return frozenset(line for region in found for line in range(region.first + 1, region.last + 2))


def _note_syntax(cell: Cell, found: Findings) -> None:
    line, words = syntax_problem(cell.source)
    if cell.kind == "test" and parse_notebook(cell.source) is not None:
        what = f"the test '{cell.name}' holds a magic or a shell command"
        found.add(cell.line + line, "magic-in-test", what, "write plain Python, or move it to a given cell")
    else:
        found.add(cell.line + line, "syntax", f"'{cell.name}' is not Python: {words}", "correct it")


def _check_release(cell: Cell, found: Findings) -> None:
    """Note a cell whose regions do not hold whole statements, so that what is left of it is no Python."""
    is_test = cell.kind == "test"
    released = without_hidden_tests(cell.source) if is_test else open_task_stub(cell)
    if parse_notebook(released) is None:
        line, words = syntax_problem(released)
        for region in regions(cell.source):  # back to the line in the source
            kept = 0 if is_test else 1
            line += region.last - region.first + 1 - kept if line >= region.first + kept else 0
        what = f"what students receive of '{cell.name}' is not Python: {words}"
        todo = "let every region hold whole statements, and leave something in each body"
        found.add(cell.line + line, "release-syntax", what, todo)


def _check_stars(code: Code, found: Findings) -> None:
    for node in ast.walk(code.tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            what = f"'{code.cell.name}' imports everything from '{node.module}'"
            found.add(code.line(node), "star-import", what, "name what it needs")


def check_compiles(codes: Iterable[Code], found: Findings) -> None:
    """Note what only the compiler sees, unless a rule with better words stands on the same line already."""
    for code in codes:
        problem = compile_problem(code.tree, code.cell.source)
        if problem is None:
            continue
        line, words, is_warning = code.cell.line + problem[0], problem[1], problem[2]
        if is_warning:
            found.add(line, "suspect-code", f"Python warns about '{code.cell.name}': {words}", "heed the warning")
        elif not found.has([line]):
            found.add(line, "syntax", f"'{code.cell.name}' is not Python: {words}", "correct it")


def check_order(codes: Sequence[Code], found: Findings) -> None:
    """Note names that a cell reads at module level although no cell above has bound them.

    What a test binds counts in that test alone: under sealed grading each test runs beside a copy of the student's
    notebook. What a hidden test binds does not count in the visible part, which students run without it.
    """
    names = set(EVERYWHERE)
    for index, code in enumerate(codes):
        if code.is_test:
            unknown = [*_unknown(code.events, set(names)), *_unknown(_visible(code), set(names))]
        else:
            unknown = _unknown(code.events, names, NOTEBOOK)
        for event in unknown:
            what, todo = _where_from(event.name, index, codes, names)
            found.add(code.line(event), "name-before-use", f"'{code.cell.name}' reads '{event.name}', {what}", todo)


def _visible(code: Code) -> list[Event]:
    return [event for event in code.events if event.line not in code.hidden]


def _unknown(happened: Iterable[Event], names: set[str], also: Iterable[str] = ()) -> list[Event]:
    """Return the first read of each name that does not exist yet; `names` takes up what is bound."""
    unknown: dict[str, Event] = {}
    for event in happened:
        if event.kind == "bind":
            names.add(event.name)
        elif event.kind == "unbind":
            names.discard(event.name)
        elif not event.deferred and event.name not in names and event.name not in also:
            unknown.setdefault(event.name, event)
    return list(unknown.values())


def _where_from(name: str, index: int, codes: Sequence[Code], names: Iterable[str]) -> tuple[str, str]:
    """Return where else a name is bound, and what to do about it."""
    binders = [code for code in codes if any(event.kind == "bind" and event.name == name for event in code.events)]
    above = [code for code in binders if code in codes[:index]]
    if codes[index] in binders:
        return "which it binds only below, or only in its hidden tests", "bind it above, outside them"
    if any(code.is_test for code in above):
        test = next(code.cell.name for code in above if code.is_test)
        return f"which only the test '{test}' binds", "bind it here too: no cell sees what another test binds"
    below = [code for code in binders if code not in above and not code.is_test]
    if below:
        return f"which '{below[0].cell.name}' binds only further down", "move one of the two cells"
    if name in NOTEBOOK:
        return "which exists in notebooks only", "tests also run where there is no notebook: write it without"
    return f"which no cell above binds{near(name, names)}", "bind or import it above"
