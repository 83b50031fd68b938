"""What students receive of a cell: open tasks instead of solutions, visible checks without hidden ones."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from proctor.author.markers import Region, regions
from proctor.author.syntax import parse_notebook
from proctor.model import Cell

__all__ = ["ANSWER", "open_question", "open_task_stub", "without_hidden_tests"]

ANSWER = "*Your answer here.*"


def open_task_stub(cell: Cell) -> str:
    """Return a solution cell in which each solution region is one line that names the open task.

    The line raises NotImplementedError and is indented as the region's first marker is. It names the cell, and the
    function, method or class whose body the region stands in.
    """
    tree = parse_notebook(cell.source)
    return _replace(cell.source, lambda region: _stub(cell.name, _place(tree, region)))


def open_question(source: str) -> str:
    """Return a question with room for an answer: in place of the model answer, or at the end."""
    return _replace(source, lambda _region: ANSWER) if regions(source) else f"{source}\n\n{ANSWER}"


def without_hidden_tests(source: str) -> str:
    """Return a test without its hidden regions, cut as nbgrader cuts them."""
    return _replace(source, lambda _region: None)


def _stub(name: str, place: str) -> str:
    return f"raise NotImplementedError(\"Task '{name}' is open: write {place}.\")"


def _replace(source: str, text: Callable[[Region], str | None]) -> str:
    lines = source.split("\n")
    for region in reversed(regions(source)):
        opening = lines[region.first]
        new = text(region)
        indent = opening[: len(opening) - len(opening.lstrip())]
        lines[region.first : region.last + 1] = [] if new is None else [indent + new]
    return "\n".join(lines)


def _place(tree: ast.Module | None, region: Region) -> str:
    """Return `dense() here`, `Net.forward() here` or `Net here` for a region in a body, otherwise `this part`."""
    around = list(_around(tree.body if tree else [], region))
    if not around:
        return "this part"
    call = "" if isinstance(around[-1], ast.ClassDef) else "()"
    return ".".join(node.name for node in around) + f"{call} here"


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _around(body: Sequence[ast.AST], region: Region) -> Iterator[Definition]:
    """Yield the definitions that begin above the region and hold it, outermost first.

    A definition ends with its last statement, so one that ends inside the region holds it too: comments, markers
    among them, do not count.
    """
    for node in body:
        for inner in _definitions(node):
            if inner.lineno <= region.first and region.first + 1 < (inner.end_lineno or 0):
                yield inner
                yield from _around(inner.body, region)


def _definitions(node: ast.AST) -> Iterator[Definition]:
    """Yield the definitions in a statement, but not those inside them."""
    if isinstance(node, Definition):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _definitions(child)
