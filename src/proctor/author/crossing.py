"""What crosses between a test and its blocks: which names go in, which come back, and what is lost on the way.

Only plain data, arrays and tensors cross, as copies. Without sealing nothing is copied, so a test that relies on the
object itself would pass in the student's notebook and fail when graded, or the other way round.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from proctor.author.blocks import Block, blocks, outside_blocks
from proctor.author.changes import Change, changes
from proctor.author.code import Code
from proctor.author.names import Event
from proctor.author.rules import Findings
from proctor.author.syntax import dotted, words

__all__ = ["check_crossing"]

# What a tensor's copy has lost: its graph, its device, its place in memory.
LOST = words(
    "backward data_ptr device get_device grad grad_fn is_contiguous is_cuda is_leaf register_hook requires_grad"
    " retain_grad storage stride untyped_storage"
)
CONSTANTS = words("e inf nan newaxis pi tau")  # attributes of modules that are numbers
LIBRARIES = words("F math nn np numpy optim torch")
BUILTIN_MAKERS = words("enumerate filter frozenset iter map object open range reversed slice zip")
MAKERS = words("Generator device partial pick_device")  # more calls whose result is no plain data
FLUENT = words("double eval float manual_seed to train")  # methods that return their own object


def check_crossing(code: Code, imports: Collection[str], found: Findings) -> None:
    """Note what a test with blocks cannot send, cannot get back, or changes where it has no effect.

    Args:
        code: of the test.
        imports: names that the opening cell imports.
        found: takes the problems.
    """
    if blocks(code.tree):
        _Crossing(code, imports, found).check()


class _Crossing:
    """One test, with the names on either side of its blocks."""

    def __init__(self, code: Code, imports: Collection[str], found: Findings) -> None:
        self.code, self.found = code, found
        self.blocks = blocks(code.tree)
        happened = code.events
        self.modules = {*imports, *(event.name for event in happened if event.how == "import")}
        self.made = {event.name for event in happened if event.kind == "bind" and event.block}  # in some block
        self.made_outside = {event.name for event in happened if event.kind == "bind" and not event.block}
        self.read_outside = {event.name for event in happened if event.kind == "read" and not event.block}
        self.sent = {name for block in self.blocks for name in self._needs(block)}

    def check(self) -> None:
        """Note every problem."""
        self._check_changes_in_blocks()
        self._check_changes_between()
        self._check_sent()
        self._check_returned()
        self._check_losses()

    def _needs(self, block: Block) -> set[str]:
        """Return the names that a block reads before it binds them, if ever."""
        own: set[str] = set()
        needed: set[str] = set()
        for event in self.code.events:
            if event.block != block.lineno:
                continue
            if event.kind == "bind":
                own.add(event.name)
            elif event.name not in own:
                needed.add(event.name)
        return needed

    def _check_changes_in_blocks(self) -> None:
        for block in self.blocks:
            for change in changes(block.body, modules=self.modules):
                if change.bound_above or self._may_change(change):
                    continue
                what = f"'{change.how}' changes '{change.name}', which this block has not made"
                todo = "assign a changed copy to a name in the block, or make the object there"
                self.found.add(self.code.line(change.node), "changes-outer", what, todo)

    def _may_change(self, change: Change) -> bool:
        """Return whether an earlier block made the object, and no copy of it goes stale."""
        line = getattr(change.node, "lineno", 1)
        earlier = any(event.kind == "bind" and event.block and event.line < line for event in self._of(change.name))
        alone = change.name not in self.made_outside
        return earlier and alone and (change.rebinds or change.name not in self.read_outside)

    def _of(self, name: str) -> Iterator[Event]:
        return (event for event in self.code.events if event.name == name)

    def _check_changes_between(self) -> None:
        for change in changes(self.code.tree.body, modules=self.modules, skip=self.blocks):
            line = self.code.line(change.node)
            if change.name in self.sent and "requires_grad" in change.how:
                self._cannot_cross(line, f"a block reads '{change.name}', whose copy does not record gradients")
            elif change.name in self.made & self.sent and not change.rebinds:
                what = f"'{change.how}' changes the judge's copy of '{change.name}'; blocks still see the old one"
                todo = "assign the changed value to a name, and read that in the block"
                self.found.add(line, "changes-between", what, todo)

    def _check_sent(self) -> None:
        for event in self.code.events:
            if event.how in ("def", "class") and not event.block and event.name in self.sent:
                what = f"a block reads '{event.name}', which is defined outside it"
                self._cannot_cross(self.code.line(event), what)
        for target, value in _assigned(outside_blocks(self.code.tree)):
            kind = "a tensor that records gradients" if _records_gradients(value) else self._kind(value)
            if target.id in self.sent and kind:
                self._cannot_cross(self.code.line(target), f"a block reads '{target.id}', which is {kind}")

    def _cannot_cross(self, line: int, what: str) -> None:
        todo = "make it inside the block, or send plain data, arrays or tensors"
        self.found.add(line, "cannot-cross", what, todo)

    def _check_returned(self) -> None:
        inside = (pair for block in self.blocks for pair in _assigned(ast.walk(block)))
        kept = {(target.id, target.lineno) for target, value in inside if self._kind(value)}
        assigned = (event for event in self.code.events if event.block and event.how in ("assign", "augment"))
        returned = {event.name for event in assigned if (event.name, event.line) not in kept}
        for event in self.code.events:
            if event.kind == "read" and not event.block and event.name in self.made - self.made_outside - returned:
                what = f"'{event.name}' stays in the student's process, and is read outside the block"
                todo = "assign what the test needs of it to a name, as plain data, an array or a tensor"
                self.found.add(self.code.line(event), "stays-inside", what, todo)

    def _kind(self, value: ast.expr) -> str:
        """Return what an expression makes that cannot cross, in words; nothing if it may."""
        if isinstance(value, ast.Lambda):
            return "a function"
        if isinstance(value, ast.GeneratorExp):
            return "a generator"
        if isinstance(value, ast.List | ast.Tuple):
            return next(filter(None, map(self._kind, value.elts)), "")
        if isinstance(value, ast.Call):
            return self._kind_of_result(value)
        name = dotted(value)
        library = name.split(".")[0]
        is_data = library not in self.modules & LIBRARIES or name.split(".")[-1] in CONSTANTS
        return "" if is_data else f"'{name}', which is no data"

    def _kind_of_result(self, call: ast.Call) -> str:
        if isinstance(call.func, ast.Attribute) and call.func.attr in FLUENT and isinstance(call.func.value, ast.Call):
            return self._kind_of_result(call.func.value)
        name = dotted(call.func)
        first, _, last = name.rpartition(".")
        is_layer = first.split(".")[-1] in ("nn", "optim") and last[:1].isupper() and last != "Parameter"
        is_kept = last in MAKERS or name in BUILTIN_MAKERS
        return f"the result of '{name}'" if is_layer or is_kept else ""

    def _check_losses(self) -> None:
        came_back = self.made - self.made_outside
        for node in outside_blocks(self.code.tree):
            if _asks_for_lost(node, came_back):
                what = f"'{ast.unparse(node)}' asks a copy for what only the student's own object has"
                todo = "ask inside the block, and assign the answer to a name"
                self.found.add(self.code.line(node), "lost-in-crossing", what, todo)


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Yield each name with what an assignment, or a loop over a written-out list, gives it."""
    for node in nodes:
        if isinstance(node, ast.Assign):
            yield from (pair for target in node.targets for pair in _paired(target, node.value))
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            yield from _paired(node.target, node.value)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.List | ast.Tuple):
            yield from (pair for value in node.iter.elts for pair in _paired(node.target, value))


def _paired(target: ast.AST, value: ast.expr) -> Iterator[tuple[ast.Name, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target, value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for inner, part in zip(target.elts, value.elts, strict=False):
            yield from _paired(inner, part)


def _records_gradients(value: ast.expr) -> bool:
    for node in ast.walk(value):
        if isinstance(node, ast.keyword) and node.arg == "requires_grad":
            return not (isinstance(node.value, ast.Constant) and node.value.value is False)
        if isinstance(node, ast.Call) and _last_name(node.func) in ("requires_grad_", "Parameter"):
            return True
    return False


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else dotted(node)


def _base(node: ast.AST) -> str:
    """Return the name that a chain of subscripts starts from."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _asks_for_lost(node: ast.AST, names: Collection[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in LOST and _base(node.value) in names
    if isinstance(node, ast.Compare):
        return _compares_identity(node, names)
    return isinstance(node, ast.Call) and _asks_for_kind(node, names)


def _compares_identity(node: ast.Compare, names: Collection[str]) -> bool:
    """Return whether `is` compares one of the names with anything but a constant."""
    operands = [node.left, *node.comparators]
    if not any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops):
        return False
    return any(_base(operand) in names for operand in operands) and not any(
        isinstance(operand, ast.Constant) for operand in operands
    )


def _asks_for_kind(node: ast.Call, names: Collection[str]) -> bool:
    """Return whether a call asks one of the names for its identity, or for a type that its copy does not have."""
    if not node.args or _base(node.args[0]) not in names:
        return False
    asked = {part for each in node.args[1:] for child in ast.walk(each) for part in dotted(child).split(".")}
    return dotted(node.func) == "id" or (
        dotted(node.func) == "isinstance" and not asked.isdisjoint({"nn", "Parameter", "OrderedDict", "Module"})
    )
