"""Code of a cell as a syntax tree."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

__all__ = ["compile_problem", "dotted", "is_block", "normal_form", "parse", "parse_notebook", "syntax_problem", "words"]

CELL = "<cell>"


def parse(source: str) -> ast.Module | None:
    """Return the tree of plain Python; None if it is none."""
    try:
        return _tree(source)
    except (SyntaxError, ValueError):
        return None


def _tree(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `compile_problem` reports them
        return ast.parse(source, CELL)


def parse_notebook(source: str) -> ast.Module | None:
    """Return the tree of a notebook's cell, in which magics have become calls; None if it is neither."""
    tree = parse(source)
    if tree is None and (plain := _without_magics(source)) is not None:
        tree = parse(plain)
    return tree


def _without_magics(source: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual line ends
            return str(TransformerManager().transform_cell(source))  # type: ignore[no-untyped-call]  # untyped
    except SyntaxError:
        return None


def syntax_problem(source: str) -> tuple[int, str]:
    """Return line, counted from 0, and words of what keeps the source from being Python."""
    try:
        _tree(source)
    except SyntaxError as error:
        return max(error.lineno or 1, 1) - 1, error.msg
    except ValueError as error:
        return 0, str(error)
    raise AssertionError("the source is correct")


def compile_problem(tree: ast.Module, source: str) -> tuple[int, str, bool] | None:
    """Return what the compiler holds against a tree: line, counted from 0, words, and whether it is only a warning.

    Args:
        tree: of the source, magics replaced.
        source: searched for warnings that only the parser gives, such as an unknown escape.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            parse_again = ast.parse(source, CELL) if parse(source) else tree
            compile(parse_again, CELL, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError as error:
            return max(error.lineno or 1, 1) - 1, error.msg, False
    return (warned[0].lineno - 1, str(warned[0].message), True) if warned else None


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def is_block(node: ast.AST) -> bool:
    """Return whether this is a `with` that has `student` among its items, in whatever form."""
    return isinstance(node, ast.With | ast.AsyncWith) and any(_names_student(item.context_expr) for item in node.items)


def _names_student(node: ast.expr) -> bool:
    node = node.func if isinstance(node, ast.Call) else node
    return dotted(node).split(".")[-1] == "student"


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a name or a chain of attributes on one, otherwise nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def normal_form(source: str) -> str:
    """Return code without what changes nothing about it: comments, layout, docstrings and annotations.

    Raises:
        SyntaxError: the source is not Python.
    """
    tree = parse_notebook(source)
    if tree is None:
        raise SyntaxError("the source is not Python")
    return ast.dump(_Bare().visit(tree))


class _Bare(ast.NodeTransformer):
    """Takes docstrings and annotations away."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body: list[Any] = getattr(node, "body", [])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = body[1:] or [ast.Pass()]
        return node
