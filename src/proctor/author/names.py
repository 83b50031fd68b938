"""Which names a cell reads and binds at module level, in the order in which that happens.

A small model of Python's scopes, kept as a list of events, because every rule about names asks the same two
questions: what was bound when this was read, and on which side of `with student:` does it happen?
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from proctor.author.syntax import is_block

__all__ = ["Event", "bound", "events", "local_names"]

NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
How = Literal["", "assign", "augment", "class", "def", "except", "for", "global", "import", "match", "student", "with"]


@dataclass(frozen=True)
class Event:
    """A name of the module is read, bound or unbound."""

    kind: Literal["read", "bind", "unbind"]
    name: str
    line: int  # in the cell, counted from 1
    how: How = ""  # it is bound; "student" for a read in the head of a block
    deferred: bool = False  # happens only when a function is called
    block: int = 0  # line of the `with student:` that it happens in; 0 outside


@dataclass
class _Scope:
    """A function, a class or a comprehension inside the module."""

    kind: Literal["function", "class", "comprehension"]
    names: set[str]
    global_names: set[str] = field(default_factory=set)


def events(tree: ast.Module) -> tuple[Event, ...]:
    """Return what a cell does with names of the module, in order.

    Bodies of functions count where they are written, marked as deferred. A branch that may not run counts as one that
    does. Generators count as read at once, as `sum` and `all` read them.
    """
    recorder = _Recorder()
    recorder.visit(tree)
    return tuple(recorder.events)


def bound(tree: ast.Module) -> dict[str, Event]:
    """Return the names that a cell binds in the module, with the first time that it does."""
    names: dict[str, Event] = {}
    for event in events(tree):
        if event.kind == "bind":
            names.setdefault(event.name, event)
    return names


class _Recorder(ast.NodeVisitor):
    """Walks a tree in the order of evaluation."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.scopes: list[_Scope] = []
        self.block = 0
        self.branches = 0  # around the current statement, at module level

    # --- reading and binding

    def _event(self, kind: Literal["read", "bind", "unbind"], name: str, node: ast.AST, how: How = "") -> None:
        deferred = any(scope.kind == "function" for scope in self.scopes)
        line = getattr(node, "lineno", 1)
        self.events.append(Event(kind, name, line, how, deferred, self.block))

    def _is_local(self, name: str) -> bool:
        for depth, scope in enumerate(reversed(self.scopes)):
            if name in scope.global_names:
                return False
            if name in scope.names and (scope.kind != "class" or depth == 0):
                return True
        return False

    def _read(self, name: str, node: ast.AST, how: How = "") -> None:
        if not self._is_local(name):
            self._event("read", name, node, how)

    def _bind(self, name: str, node: ast.AST, how: How) -> None:
        scope = next((scope for scope in reversed(self.scopes) if scope.kind != "comprehension"), None)
        if scope is None:
            self._event("bind", name, node, how)
        elif name in scope.global_names:
            self._event("bind", name, node, "global")
        elif scope.kind == "class":
            scope.names.add(name)

    def _target(self, node: ast.AST, how: How) -> None:
        """Bind the names of an assignment target; what it reads on the way is read."""
        for child in _in_target(node):
            if isinstance(child, ast.Name):
                self._bind(child.id, child, how)
            else:
                self.visit(child)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id, node)
        elif isinstance(node.ctx, ast.Del) and not self.scopes and not self.branches:
            self._event("unbind", node.id, node)

    # --- assignments

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._target(target, "assign")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not any(scope.kind == "function" for scope in self.scopes):
            self.visit(node.annotation)
        if node.value:
            self.visit(node.value)
            self._target(node.target, "assign")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id, node.target)
        self.visit(node.value)
        self._target(node.target, "augment")

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target.id, node.target, "assign")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.split(".")[0], node, "import")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name, node, "import")

    def visit_TypeAlias(self, node: Any) -> None:  # Python 3.12: `type Pair = tuple[int, int]`, evaluated on demand
        self._bind(node.name.id, node, "assign")

    # --- control flow

    def _branch(self, *parts: Sequence[ast.AST]) -> None:
        self.branches += 1
        for part in parts:
            for node in part:
                self.visit(node)
        self.branches -= 1

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branch(node.body, node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._branch(node.body, node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._target(node.target, "for")
        self._branch(node.body, node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815  the visitor's own naming

    def visit_Try(self, node: Any) -> None:
        self._branch(node.body, node.handlers, node.orelse, node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815  the visitor's own naming

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self.visit(node.type)
        fresh = bool(node.name) and all(event.name != node.name or event.kind != "bind" for event in self.events)
        if node.name:
            self._bind(node.name, node, "except")
        for child in node.body:
            self.visit(child)
        if node.name and fresh and not self.scopes:
            self._event("unbind", node.name, node)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if is_block(node) and isinstance(item.context_expr, ast.Name):
                self._read(item.context_expr.id, item.context_expr, "student")
            else:
                self.visit(item.context_expr)
            if item.optional_vars:
                self._target(item.optional_vars, "with")
        outer = self.block
        self.block = node.lineno if is_block(node) else outer
        for child in node.body:
            self.visit(child)
        self.block = outer

    visit_AsyncWith = visit_With  # noqa: N815  the visitor's own naming

    def visit_match_case(self, node: ast.match_case) -> None:
        self.visit(node.pattern)
        if node.guard:
            self.visit(node.guard)
        self._branch(node.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name:
            self._bind(node.name, node, "match")

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name, node, "match")

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self._bind(node.rest, node, "match")

    # --- scopes

    def _inside(self, scope: _Scope, *parts: Sequence[ast.AST]) -> None:
        self.scopes.append(scope)
        for part in parts:
            for node in part:
                self.visit(node)
        self.scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._defaults(node.args)
        generic = _Scope("comprehension", _type_parameters(node))
        annotations = [arg.annotation for arg in _arguments(node.args) if arg.annotation]
        self._inside(generic, annotations, [node.returns] if node.returns else [])
        self._bind(node.name, node, "def")
        local, global_names = local_names(node.body)
        names = local | generic.names | {arg.arg for arg in _arguments(node.args)}
        self._inside(_Scope("function", names, global_names), node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  the visitor's own naming

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        names = local_names([node.body])[0] | {arg.arg for arg in _arguments(node.args)}
        self._inside(_Scope("function", names), [node.body])

    def _defaults(self, args: ast.arguments) -> None:
        for default in [*args.defaults, *(value for value in args.kw_defaults if value)]:
            self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._inside(_Scope("comprehension", _type_parameters(node)), node.bases, node.keywords)
        _, global_names = local_names(node.body)
        names = _type_parameters(node) | {"__module__", "__qualname__"}
        self._inside(_Scope("class", names, global_names), node.body)
        self._bind(node.name, node, "class")

    def _comprehension(self, node: Any) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        names = {child.id for each in node.generators for child in ast.walk(each.target) if isinstance(child, ast.Name)}
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        later = [part for each in others for part in (each.iter, *each.ifs)]
        self._inside(_Scope("comprehension", names), first.ifs, later, results)

    visit_ListComp = visit_SetComp = visit_DictComp = _comprehension  # noqa: N815  the visitor's own naming
    visit_GeneratorExp = _comprehension  # noqa: N815  the visitor's own naming


def _in_target(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the names of an assignment target, and the expressions that it reads."""
    if isinstance(node, ast.Tuple | ast.List):
        for element in node.elts:
            yield from _in_target(element)
    elif isinstance(node, ast.Starred):
        yield from _in_target(node.value)
    else:
        yield node


def _arguments(args: ast.arguments) -> list[ast.arg]:
    single = [arg for arg in (args.vararg, args.kwarg) if arg]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *single]


def _type_parameters(node: ast.AST) -> set[str]:
    return {parameter.name for parameter in getattr(node, "type_params", [])}  # Python 3.12


def local_names(body: Sequence[ast.AST]) -> tuple[set[str], set[str]]:
    """Return the names that the body of a function binds for itself, and those that it declares global."""
    names: set[str] = set()
    global_names: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Global):
            global_names |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, NAMED) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names - global_names, global_names


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a body, but nothing from inside the functions and classes in it."""
    for node in body:
        yield node
        if isinstance(node, ast.comprehension):
            yield from _own_nodes([node.iter, *node.ifs])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(list(ast.iter_child_nodes(node)))
