"""Where a `with student:` block may stand, and what may stand in it and around it.

The judge cuts each block out of its cell and sends it to the sandbox as text. So it must be a block that can be cut
out, and everything around it must mean the same with the student's code in another process.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator

from proctor.author.code import Code
from proctor.author.rules import Findings
from proctor.author.syntax import dotted, is_block, words

__all__ = ["blocks", "check_blocks", "is_check", "outside_blocks"]

Block = ast.With | ast.AsyncWith
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)
OF_FUNCTIONS = (ast.Return, ast.Yield, ast.YieldFrom, ast.Delete, ast.Nonlocal, *WAITS)  # in a block, only inside one
TRANSPARENT = (ast.If, ast.For, ast.Try, ast.ExceptHandler, ast.With)  # a block may stand in these

# Context managers that change one process, the judge's, and never reach into the sandbox.
ONE_SIDED = words(
    "autocast catch_warnings chdir detect_anomaly enable_grad errstate fork_rng inference_mode no_grad patch"
    " printoptions redirect_stderr redirect_stdout set_grad_enabled"
)


def blocks(tree: ast.AST) -> tuple[Block, ...]:
    """Return the blocks of a cell in order, wherever they stand."""
    found = (node for node in ast.walk(tree) if isinstance(node, Block) and is_block(node))
    return tuple(sorted(found, key=lambda block: block.lineno))


def outside_blocks(tree: ast.AST) -> list[ast.AST]:
    """Return every node of a cell that is in no block."""
    inside = {node for block in blocks(tree) for node in ast.walk(block)}
    return [node for node in ast.walk(tree) if node not in inside]


def is_check(call: ast.Call) -> bool:
    """Return whether this call judges: a check of `descent.checks`, `raises`, or a function named like an assert."""
    name = dotted(call.func).split(".")[-1]
    return name.startswith(("check_", "assert")) or name == "raises"


def check_blocks(code: Code, imports: Collection[str], found: Findings) -> None:
    """Note blocks of a wrong form, in a wrong place, with jumps or checks inside, or with a wrong frame around.

    Args:
        code: of any cell.
        imports: names that the cell and the opening cell import; a student's own `check_sum` is no check of ours.
        found: takes the problems.
    """
    _check_student(code, found)
    for block, around in _framed(code.tree, ()):
        _check_form(block, code, found)
        _check_place(block, around, code, found)
        _check_around(around, code, found)
        for node in _jumps(block.body, in_loop=False, in_function=False):
            what = f"'{_first_line(node)}' reaches out of the block"
            todo = "keep it inside a loop or a function of the block, or write the block without it"
            found.add(code.line(node), "block-jump", what, todo)
        _check_no_verdict(block, code, imports, found)


def _check_student(code: Code, found: Findings) -> None:
    for event in code.events:
        if event.name != "student" or event.how == "student":
            continue
        if event.kind == "read":
            found.add(code.line(event), "student-name", "'student' is read", "use it only in 'with student:'")
        elif not (event.how == "import" and code.cell.name == "opening"):
            what = f"'{code.cell.name}' binds 'student'"
            found.add(code.line(event), "student-name", what, "import it in the opening cell, and nowhere else")


def _check_form(block: Block, code: Code, found: Findings) -> None:
    item = block.items[0]
    plain = isinstance(block, ast.With) and len(block.items) == 1 and item.optional_vars is None
    if not plain or not isinstance(item.context_expr, ast.Name):
        found.add(
            code.line(block), "block-form", f"'{_first_line(block)}' is no block", "write 'with student:' by itself"
        )


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).split("\n")[0]


def _check_place(block: Block, around: tuple[ast.AST, ...], code: Code, found: Findings) -> None:
    if not code.is_test:
        what = f"a block in the {code.cell.kind} cell '{code.cell.name}'"
        found.add(code.line(block), "block-place", what, "only tests have blocks: write its lines without it")
    for node in around:
        if not isinstance(node, TRANSPARENT) or is_block(node):
            outer = "another block" if is_block(node) else f"'{type(node).__name__.lower()}'"
            todo = "move it to the top level of the cell, or into a for, if, try or with there"
            found.add(code.line(block), "block-place", f"a block inside {outer}, at line {code.line(node)}", todo)


def _framed(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[tuple[Block, tuple[ast.AST, ...]]]:
    """Yield each block with the statements that it stands in, outermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Block) and is_block(child):
            yield child, around
        framing = isinstance(child, ast.stmt | ast.ExceptHandler)
        yield from _framed(child, (*around, child) if framing else around)


def _check_around(around: tuple[ast.AST, ...], code: Code, found: Findings) -> None:
    for node in around:
        if isinstance(node, ast.With) and not is_block(node):
            for item in node.items:
                _check_manager(item.context_expr, code, found)
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                _check_exceptions(handler.type, code, found)


def _check_manager(manager: ast.expr, code: Code, found: Findings) -> None:
    name = dotted(manager.func if isinstance(manager, ast.Call) else manager)
    if not ONE_SIDED.isdisjoint(name.split(".")) or name == "torch.device":
        what = f"'{name}' around a block has no effect on the student's code when tests are sealed"
        found.add(code.line(manager), "block-around", what, "move it into the block")
    if isinstance(manager, ast.Call) and name.split(".")[-1] in ("raises", "suppress"):
        for expected in manager.args:
            _check_exceptions(expected, code, found)


def _check_exceptions(expected: ast.expr | None, code: Code, found: Findings) -> None:
    """Note types that a student's exception does not have any more once it has crossed."""
    for node in expected.elts if isinstance(expected, ast.Tuple) else [expected] if expected else []:
        kind = getattr(builtins, dotted(node), None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, AssertionError):
            what = f"'{ast.unparse(node)}' does not leave the student's process as what it is"
            todo = "expect a built-in exception, such as ValueError, and no AssertionError"
            found.add(code.line(node), "foreign-exception", what, todo)


def _jumps(body: list[ast.stmt], *, in_loop: bool, in_function: bool) -> Iterator[ast.AST]:
    """Yield the statements and expressions of a block that reach out of it."""
    for node in body:
        yield from _jumps_of(node, in_loop=in_loop, in_function=in_function)


def _jumps_of(node: ast.AST, *, in_loop: bool, in_function: bool) -> Iterator[ast.AST]:
    if isinstance(node, ast.Break | ast.Continue):
        reaches_out = not in_loop
    else:
        reaches_out = isinstance(node, ast.Global) or (isinstance(node, OF_FUNCTIONS) and not in_function)
    if reaches_out:
        yield node
    function = isinstance(node, Function | ast.ClassDef)
    loop = isinstance(node, ast.For | ast.While | ast.AsyncFor)
    for name, value in ast.iter_fields(node):
        inside = (in_loop or loop) if name != "orelse" or not loop else in_loop
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _jumps_of(
                    child, in_loop=inside and not function, in_function=in_function or isinstance(node, Function)
                )


def _check_no_verdict(block: Block, code: Code, imports: Collection[str], found: Findings) -> None:
    for node in ast.walk(block):
        if isinstance(node, ast.Assert):
            verdict = "an assert"
        elif isinstance(node, ast.Call) and is_check(node) and dotted(node.func).split(".")[0] in imports:
            verdict = f"'{dotted(node.func)}'"
        else:
            continue
        what = f"{verdict} in a block runs beside the student's code, which can read and change it"
        found.add(code.line(node), "block-judges", what, "assign what it compares, and compare outside the block")
