"""What a test cell must be to judge fairly: able to fail, and the same beside the student's code and apart from it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from proctor.author.blocks import blocks, check_blocks, is_check, outside_blocks
from proctor.author.cells import OPENING
from proctor.author.code import Code
from proctor.author.crossing import check_crossing
from proctor.author.names import bound
from proctor.author.rules import Findings
from proctor.author.syntax import dotted, words

__all__ = ["check_tests"]

PREDICATES = words("all allclose any array_equal equal hasattr isclose isfinite isinstance issubclass")
DYNAMIC = words("dir eval exec globals input locals vars")  # `dir` and `vars` without arguments
SEEDS = frozenset(
    ("torch.manual_seed", "torch.random.manual_seed", "np.random.seed", "numpy.random.seed", "random.seed")
)
SECRET = "seed"  # of `descent.checks`: what is drawn from it may be seen, and tells nothing of what is drawn next
SETTERS = ("torch.set_", "torch.use_deterministic", "np.set_", "np.seterr", "os.environ.", "os.putenv", "os.chdir")


def check_tests(codes: Sequence[Code], found: Findings) -> None:
    """Note every test that breaks a rule about tests, and every block in any cell that breaks one about blocks."""
    opening = next((code for code in codes if code.cell.name == OPENING), None)
    imports = _imports(opening) if opening else set()
    owners = _owners(codes, imports)
    for code in codes:
        check_blocks(code, imports | _imports(code), found)
        if code.is_test:
            _check_verdict(code, found)
            _check_end(code, found)
            _check_names(code, owners, found)
            _check_settings(code, imports | _imports(code), found)
            check_crossing(code, imports, found)


def _imports(code: Code) -> set[str]:
    return {name for name, event in bound(code.tree).items() if event.how == "import"}


def _owners(codes: Sequence[Code], imports: Collection[str]) -> dict[str, Code]:
    """Return which cell binds a name of the notebook: a solution cell if any, the opening cell only if no other."""
    cells = sorted((code for code in codes if not code.is_test), key=_rank)
    return {
        name: code
        for code in cells
        for name, event in bound(code.tree).items()
        if code.cell.name == OPENING or event.how != "import" or name not in imports
    }


def _rank(code: Code) -> int:
    return 2 if code.cell.kind == "solution" else int(code.cell.name != OPENING)


def _check_verdict(code: Code, found: Findings) -> None:
    """Note a test that passes whatever happens, and asserts that would not say why they fail."""
    name = f"the test '{code.cell.name}'"
    if not any(_can_fail(node) for node in outside_blocks(code.tree)):
        found.add(code.cell.line, "cannot-fail", f"{name} asserts nothing", "assert what the student's code must do")
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and node.test.value:
            what = f"'assert {ast.unparse(node.test)}' always holds"
            found.add(code.line(node), "cannot-fail", what, "assert what the student's code must do")
        elif isinstance(node, ast.Assert) and node.msg is None:
            what = f"'{ast.unparse(node)}' fails without a word"
            found.add(code.line(node), "assert-message", what, "add what came and what was expected, after a comma")


def _can_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant) or not node.test.value
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and is_check(node))


def _check_end(code: Code, found: Findings) -> None:
    """Note results that are thrown away, and a last value, which nbgrader reads as a partial score."""
    for node in outside_blocks(code.tree):
        if isinstance(node, ast.Expr) and _is_forgotten(node.value):
            what = f"the result of '{ast.unparse(node)}' is thrown away"
            found.add(code.line(node), "forgotten-assert", what, "write 'assert' before it")
    shown = [node for node in code.tree.body if (node.end_lineno or 1) not in code.hidden]
    for last in {id(body[-1]): body[-1] for body in (code.tree.body, shown) if body}.values():
        if isinstance(last, ast.Expr) and _may_show(last.value):
            what = f"the last line, '{ast.unparse(last)}', may show a value, which nbgrader reads as a score"
            found.add(code.line(last), "value-at-end", what, "assign it to '_', or end in an assert")


def _may_show(value: ast.expr) -> bool:
    is_quiet = not isinstance(value, ast.Call) or is_check(value) or dotted(value.func) == "print"
    return not is_quiet and not _is_forgotten(value)


def _is_forgotten(value: ast.expr) -> bool:
    """Return whether an expression does nothing but answer a question that nobody hears."""
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else dotted(value.func)
        return name in PREDICATES
    if isinstance(value, ast.Constant):
        return not isinstance(value.value, str) and value.value is not ...
    return not isinstance(value, ast.Await | ast.Yield | ast.YieldFrom)


def _check_names(code: Code, owners: Mapping[str, Code], found: Findings) -> None:
    """Note names that the test takes from the student's side, or leaves there."""
    own = bound(code.tree)
    for name, event in own.items():
        if name in owners and name != "_":
            what = f"the test '{code.cell.name}' binds '{name}', which '{owners[name].cell.name}' binds too"
            found.add(code.line(event), "rebinds", what, "use another name in the test")
    read = {event.name for event in code.events if event.kind == "read"}
    if not any(owners[name].cell.name != OPENING for name in read & owners.keys()):
        what = f"the test '{code.cell.name}' reads no name that the student's cells bind"
        found.add(code.cell.line, "reads-nothing", what, "call what the student wrote")
    for event in code.events:
        if event.kind == "read" and event.block and event.name == SECRET and SECRET in owners:
            what = f"a block of '{code.cell.name}' reads '{SECRET}', the secret that hidden tests draw from"
            found.add(code.line(event), "secret-in-block", what, "draw with it outside, and read what was drawn")
    is_sealed = bool(blocks(code.tree) or code.hidden)
    for event in code.events:
        if event.kind != "read" or event.block or event.name not in owners or event.name in own:
            continue
        owner = owners[event.name].cell
        if owner.kind == "solution" and is_sealed:
            what = f"'{event.name}', which the student writes in '{owner.name}', is read outside a block"
            todo = "wrap the line in 'with student:', and compare what it assigns outside"
            found.add(code.line(event), "outside-block", what, todo)
        elif owner.kind == "given" and owner.name != OPENING and is_sealed:
            what = f"'{event.name}', which '{owner.name}' binds, is read outside a block"
            todo = f"bind it in '{OPENING}' or in the test, or read it in a block: the judge runs only '{OPENING}'"
            found.add(code.line(event), "judge-cannot-see", what, todo)


def _check_settings(code: Code, imports: Collection[str], found: Findings) -> None:
    """Note what hides names from the reader, what waits, and what changes the whole process."""
    outside = set(outside_blocks(code.tree))
    has_blocks = bool(blocks(code.tree))
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Call):
            _check_call(node, code, found, is_judge=has_blocks and node in outside)
        elif isinstance(node, ast.Import) and any(alias.name == "__main__" for alias in node.names):
            what = "'__main__' is another module when tests are sealed"
            found.add(code.line(node), "dynamic-names", what, "write the names out")
    for node in outside:
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            for target in [node.target] if isinstance(node, ast.AugAssign) else node.targets:
                _check_target(target, code, imports, found)
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef):
            found.add(code.line(node), "await-in-test", "the test waits", "call something that does not")


def _check_call(node: ast.Call, code: Code, found: Findings, *, is_judge: bool) -> None:
    name = dotted(node.func)
    if name in DYNAMIC and not (name in ("dir", "vars") and node.args):
        what = f"'{name}' binds or reads names that cannot be seen"
        found.add(code.line(node), "dynamic-names", what, "write the names out")
    if name.startswith(SETTERS) and name != "os.environ.get":
        what = f"'{name}' changes a setting of one process, and not of the other"
        found.add(code.line(node), "global-setting", what, "pass dtype, device and options where they are needed")
    if name in SEEDS and is_judge:
        what = f"'{name}' seeds the student's code in the notebook, and not when tests are sealed"
        todo = "draw with a generator, as in torch.Generator().manual_seed(seed + 1)"
        found.add(code.line(node), "global-setting", what, todo)


def _check_target(target: ast.AST, code: Code, imports: Collection[str], found: Findings) -> None:
    """Note an assignment to an attribute of what was imported, or into one, such as `os.environ`."""
    node = target.value if isinstance(target, ast.Subscript) else target
    if isinstance(node, ast.Attribute) and dotted(node).split(".")[0] in imports:
        what = f"'{ast.unparse(target)}' is a setting of a whole process"
        found.add(code.line(target), "global-setting", what, "pass dtype, device and options where they are needed")
