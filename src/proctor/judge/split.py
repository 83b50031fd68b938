"""A test cell cut in two: what the judge runs, and the blocks that run beside the student's code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

__all__ = ["RUN", "VALUE", "Block", "Test", "hidden_from", "hides", "import_statements", "is_sealed", "split"]

RUN = "__run_block__"  # what a block becomes a call of
VALUE = "__value__"  # where the value of the last line goes
BEGIN = "### BEGIN HIDDEN TESTS"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


@dataclass(frozen=True)
class Block:
    """The lines under one `with student:`."""

    source: str
    line: int  # of `with student:`, counted from 1
    reads: tuple[str, ...]  # names whose values it may need
    wants: tuple[str, ...]  # names whose values it brings back
    shown: bool  # it stands in the visible part of the test


@dataclass(frozen=True)
class Test:
    """A test cell, ready to run."""

    __test__ = False  # no test class of pytest's

    code: CodeType
    blocks: tuple[Block, ...]
    imports: tuple[str, ...]  # the cell's own import statements
    imported: frozenset[str]  # the names that they bind
    hidden_from: int  # line; see `hidden_from`


def is_sealed(source: str) -> bool:
    """Return whether a cell has a block, so that its asserts can run apart from the student's code."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return any(_is_block(node) for node in ast.walk(tree))


def hides(source: str) -> bool:
    """Return whether a test has a hidden part."""
    return BEGIN in source


def split(source: str, filename: str) -> Test:
    """Cut a cell; raise SyntaxError if it is no plain Python."""
    tree = ast.parse(source, filename)
    hidden = hidden_from(tree, source)
    blocks: list[Block] = []
    imports = [node for node in _outside(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    cut = _Cutter(hidden, blocks).visit(tree)
    _keep_value(cut)
    code = compile(ast.fix_missing_locations(cut), filename, "exec", dont_inherit=True)
    return Test(code, tuple(blocks), *_statements(imports), hidden)


def hidden_from(tree: ast.Module, source: str) -> int:
    """Return the line, counted from 1, from which on a test tells nothing of its values; past the end if nothing hides.

    What runs after a hidden line, even in sight, may handle what that line has made. A statement with hidden lines in
    it is hidden as a whole, because a loop comes back to its first line.
    """
    lines = source.split("\n")
    first = next((number for number, line in enumerate(lines, start=1) if BEGIN in line), len(lines) + 1)
    around = (node.lineno for node in tree.body if node.lineno < first <= (node.end_lineno or 0))
    return min((first, *around))


def import_statements(source: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the import statements of a cell, and the names that they bind."""
    return _statements([node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)])


def _statements(nodes: Sequence[ast.Import | ast.ImportFrom]) -> tuple[tuple[str, ...], frozenset[str]]:
    wanted = [node for node in nodes if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")]
    names = {alias.asname or alias.name.split(".")[0] for node in wanted for alias in node.names}
    return tuple(ast.unparse(node) for node in wanted), frozenset(names)


class _Cutter(ast.NodeTransformer):
    """Replaces each block by a call with its number."""

    def __init__(self, hidden: int, blocks: list[Block]) -> None:
        self.hidden, self.blocks = hidden, blocks

    def visit_With(self, node: ast.With) -> ast.AST:
        if not _is_block(node):
            return self.generic_visit(node)
        call = ast.Call(ast.Name(RUN, ast.Load()), [ast.Constant(len(self.blocks))], [])
        self.blocks.append(self._block(node))
        return ast.copy_location(ast.Expr(call), node)

    def _block(self, node: ast.With) -> Block:
        read = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        read |= {
            each.target.id
            for each in ast.walk(node)
            if isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name)
        }
        wants = dict.fromkeys(name for statement in node.body for name in _assigned(statement))
        return Block(
            source=ast.unparse(ast.Module(node.body, [])),
            line=node.lineno,
            reads=tuple(sorted(read - {"student"})),
            wants=tuple(wants),
            shown=node.lineno < self.hidden,
        )


def _is_block(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Name) and item.context_expr.id == "student" for item in node.items
    )


def _outside(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are in no block."""
    for child in ast.iter_child_nodes(tree):
        if not _is_block(child):
            yield child
            yield from _outside(child)


def _assigned(node: ast.AST) -> Iterator[str]:
    """Yield the names that plain assignments bind, those in loops and branches too, but not in functions."""
    if isinstance(node, Definition):
        return
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.NamedExpr) or (isinstance(node, ast.AnnAssign) and node.value):
        targets = [node.target]
    for target in targets:
        names = (each for each in ast.walk(target) if isinstance(each, ast.Name))
        yield from (name.id for name in names if isinstance(name.ctx, ast.Store))
    for child in ast.iter_child_nodes(node):
        yield from _assigned(child)


def _keep_value(tree: ast.Module) -> None:
    """Assign the value of a last expression, which nbgrader reads as a part of the points."""
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr) and not _is_run(last.value):
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name(VALUE, ast.Store())], last.value), last)


def _is_run(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == RUN
