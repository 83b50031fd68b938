"""In-place changes that can be seen in the syntax tree: which names' objects does some code change?

A change in the student's process does not reach the judge's copy of a value, nor the other way round.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from proctor.author.names import local_names
from proctor.author.syntax import dotted, words

__all__ = ["Change", "changes"]

# Methods that change their object, of lists, dicts, sets, deques, arrays and modules.
ALWAYS = words(
    "append appendleft clear difference_update discard eval extend extendleft insert intersection_update itemset"
    " load_state_dict pop popitem popleft remove reverse setdefault setflags symmetric_difference_update train"
    " update zero_grad"
)
# The same, but tensors have methods of these names that return a result: a change only where that is thrown away.
AS_STATEMENT = words("add fill partition put resize sort")
# Functions that change their first argument.
FIRST_ARGUMENT = words("copyto delattr fill_diagonal heapify heappop heappush insort place put putmask setattr shuffle")
# Methods that return another view of the same values.
VIEWS = words(
    "detach diagonal expand flatten items narrow permute ravel reshape select squeeze swapaxes t transpose unsqueeze"
    " values view view_as"
)
LOOPS = words("enumerate reversed zip")  # hand their arguments' elements on


@dataclass(frozen=True)
class Change:
    """Some code changes the object that a name stands for."""

    name: str
    node: ast.AST
    how: str  # the change in the code's own words, such as "X[0] = …"
    bound_above: bool  # the same code has bound the name before, so that the object is its own
    rebinds: bool = False  # the change also binds the name, as in `X += 1`


def changes(body: Iterable[ast.AST], *, modules: Collection[str], skip: Collection[ast.AST] = ()) -> list[Change]:
    """Return the changes in a sequence of statements.

    Args:
        body: the statements, in order.
        modules: names of imported modules, whose functions change their first argument if anything.
        skip: statements to leave out.
    """
    finder = _Finder(modules, skip)
    for node in body:
        finder.visit(node)
    return finder.found


class _Finder(ast.NodeVisitor):
    """Follows names through a body: which are its own, and which stand for part of another's object."""

    def __init__(self, modules: Collection[str], skip: Collection[ast.AST]) -> None:
        self.modules, self.skip = modules, skip
        self.found: list[Change] = []
        self.own: set[str] = set()
        self.part_of: dict[str, str] = {}  # `row` -> `X` after `row = X[0]`

    def visit(self, node: ast.AST) -> None:
        if node not in self.skip:
            super().visit(node)

    def _root(self, node: ast.AST) -> str:
        """Return the name whose object an expression is, or is part of; nothing if it makes a new one."""
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
            if isinstance(node, ast.Call):
                if not (isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS):
                    return ""
                node = node.func
            node = node.value
        return self.part_of.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    def _note(self, changed: ast.AST, node: ast.AST, *, rebinds: bool = False) -> None:
        name = self._root(changed)
        if name:
            text = ast.unparse(node).split("\n")[0]
            self.found.append(Change(name, node, text, name in self.own, rebinds))

    def _bind(self, target: ast.AST, value: ast.AST | None, node: ast.AST) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._bind(element, value, node)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, value, node)
        elif isinstance(target, ast.Name):
            root = self._root(value) if value else ""
            self.part_of.pop(target.id, None)
            if root and root != target.id and root not in self.own and root not in self.modules:
                self.part_of[target.id] = root
            self.own.add(target.id)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            self._note(target.value, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, node.value, node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)
            self._bind(node.target, node.value, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self._note(node.target, node, rebinds=True)
        else:
            self._note(node.target.value, node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, node.value, node)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind_loop(node.target, node.iter, node)
        for child in [*node.body, *node.orelse]:
            self.visit(child)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        self._bind_loop(node.target, node.iter, node)
        for child in node.ifs:
            self.visit(child)

    def _bind_loop(self, target: ast.AST, iterated: ast.expr, node: ast.AST) -> None:
        sources: list[ast.expr] = [iterated]
        if isinstance(iterated, ast.Call) and dotted(iterated.func) in LOOPS:
            sources = iterated.args
        rooted = [source for source in sources if self._root(source)]
        self._bind(target, rooted[0] if rooted else None, node)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        outside, parts = set(self.own), dict(self.part_of)
        for generator in node.generators:
            self.visit(generator)
        for child in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.visit(child)
        self.own, self.part_of = outside, parts

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815  the visitor's own naming

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars:
            self._bind(node.optional_vars, None, node.context_expr)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.own |= {alias.asname or alias.name.split(".")[0] for alias in node.names}

    visit_ImportFrom = visit_Import  # noqa: N815  the visitor's own naming

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.own.add(node.name)
        self._visit_body(node.body, node.args)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  the visitor's own naming

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_body([node.body], node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.own.add(node.name)
        self.generic_visit(node)

    def _visit_body(self, body: Iterable[ast.AST], args: ast.arguments) -> None:
        body, outside, parts = list(body), set(self.own), dict(self.part_of)
        parameters = {node.arg for node in ast.walk(args) if isinstance(node, ast.arg)}
        self.own |= parameters | local_names(body)[0]
        for child in body:
            self.visit(child)
        self.own, self.part_of = outside, parts

    def visit_Expr(self, node: ast.Expr) -> None:
        method = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(method, ast.Attribute) and method.attr in AS_STATEMENT and self._root(method) not in self.modules:
            self._note(method.value, node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        for keyword in node.keywords:
            if keyword.arg == "out":
                self._note(keyword.value, node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        in_place = name.endswith("_") and not name.startswith("_")
        of_module = isinstance(node.func, ast.Name) or self._root(node.func) in self.modules
        if of_module and node.args and (in_place or name in FIRST_ARGUMENT):
            self._note(node.args[0], node)
        elif not of_module and isinstance(node.func, ast.Attribute) and (in_place or name in ALWAYS):
            self._note(node.func.value, node)
