"""Rules about tests and their `with student:` blocks: one test cell that breaks one rule, and cells that break none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from proctor.author.rules import RULES

ASSERT = 'assert z == 7.0, "z is not 7"'
CALL = "with student:\n    z = dense(2.0, 3.0, 1.0)"
END = f"{CALL}\n{ASSERT}"


def block(*lines: str) -> str:
    """Return a block of these lines that also makes z, and an assert about z."""
    return "with student:\n" + "".join(f"    {line}\n" for line in lines) + f"    z = dense(2.0, 3.0, 1.0)\n{ASSERT}"


# rule, code of a test cell, the line that is blamed, words of the message
BROKEN = [
    # able to fail
    ("cannot-fail", CALL, "with student", "the test 'forward-values' asserts nothing"),
    ("cannot-fail", f"{CALL}\nassert True, 'fine'", "assert True", "'assert True' always holds"),
    ("suspect-code", f'{CALL}\nassert (z == 7.0, "z is not 7"), "no"', "assert (z", "assertion is always true"),
    ("assert-message", f"{CALL}\nassert z == 7.0", "assert z", "'assert z == 7.0' fails without a word"),
    ("forgotten-assert", f"{END}\nz == 7.0", "\nz == 7.0", "the result of 'z == 7.0' is thrown away; write 'assert'"),
    ("forgotten-assert", f"{END}\nmath.isclose(z, 7.0)", "\nmath.isclose", "is thrown away"),
    ("forgotten-assert", f"{END}\n(torch.ones(2) == z).all()", "\n(torch", "is thrown away"),
    ("forgotten-assert", f"{END}\n0.5", "\n0.5", "the result of '0.5' is thrown away"),
    ("value-at-end", f"{END}\nmath.floor(z)", "\nmath.floor", "'math.floor(z)', may show a value"),
    (
        "value-at-end",
        f"{CALL}\nmath.floor(z)\n### BEGIN HIDDEN TESTS\n{ASSERT}\n### END HIDDEN TESTS",
        "\nmath.floor",
        "which nbgrader reads as a score; assign it to '_', or end in an assert",
    ),
    ("reads-nothing", "z = 7.0\n" + ASSERT, "z = 7.0", "reads no name that the student's cells bind"),
    # names
    ("rebinds", f"{END}\nline = 3", "\nline", "the test 'forward-values' binds 'line', which 'demo' binds too"),
    ("rebinds", f"{END}\nGAIN = 3", "\nGAIN", "binds 'GAIN', which 'opening' binds too"),
    ("rebinds", f"import math\n{END}", "import math", "binds 'math', which 'opening' binds too"),
    ("rebinds", f"{END}\nfor steepest in range(3): pass", "\nfor", "binds 'steepest', which 'backward' binds too"),
    ("rebinds", f"{END}\nwith raises(ValueError) as line: pass", "\nwith raises", "'line'"),
    ("rebinds", block("line = 3"), "    line", "'line'"),
    ("rebinds", f"def spoil():\n    global line\n    line = 3\n{END}", "    line", "'line'"),
    ("rebinds", f"{END}\nfor i in range(3):\n    def dense(x): pass", "    def", "'dense', which 'forward' binds too"),
    ("dynamic-names", f"{END}\nexec('a = 1')", "\nexec", "'exec' binds or reads names that cannot be seen"),
    ("dynamic-names", f"{END}\nprint(vars())", "\nprint", "'vars'"),
    ("secret-in-block", block("drawn = seed + 1"), "    drawn", "reads 'seed', the secret that hidden tests draw from"),
    (
        "dynamic-names",
        f"import __main__\n{END}",
        "import __main__",
        "'__main__' is another module when tests are sealed",
    ),
    ("await-in-test", f"async def wait(): await wait()\n{END}", "async def", "the test waits"),
    (
        "global-setting",
        f"torch.set_default_dtype(torch.float64)\n{END}",
        "torch.set",
        "changes a setting of one process",
    ),
    ("global-setting", block("torch.set_num_threads(1)"), "    torch", "'torch.set_num_threads' changes a setting"),
    ("global-setting", f"torch.manual_seed(seed)\n{END}", "torch.manual", "draw with a generator"),
    ("global-setting", f"import os\nos.environ['A'] = '1'\n{END}", "os.environ", "a setting of a whole process"),
    ("global-setting", f"math.pi = 3\n{END}", "math.pi", "'math.pi' is a setting of a whole process"),
    # the form and the place of a block
    ("student-name", f"{END}\nprint(student)", "\nprint", "'student' is read; use it only in 'with student:'"),
    (
        "student-name",
        f"student = 3\n{ASSERT}",
        "student = 3",
        "'forward-values' binds 'student'; import it in the opening",
    ),
    (
        "block-form",
        f"with student as s:\n    z = dense(1, 2, 3)\n{ASSERT}",
        "with student",
        "'with student as s:' is no block",
    ),
    (
        "block-form",
        f"with raises(TypeError), student:\n    dense()\n{END}",
        "with raises",
        "write 'with student:' by itself",
    ),
    (
        "block-form",
        f"with student():\n    z = dense(1, 2, 3)\n{ASSERT}",
        "with student",
        "'with student():' is no block",
    ),
    (
        "block-form",
        f"import descent\nwith descent.checks.student:\n    z = dense(1, 2, 3)\n{ASSERT}",
        "with descent",
        "no block",
    ),
    ("block-form", f"async with student:\n    z = dense(1, 2, 3)\n{ASSERT}", "async with", "no block"),
    (
        "block-place",
        f"while True:\n    {CALL.replace(chr(10), chr(10) + '    ')}\n    break\n{ASSERT}",
        "    with student",
        "a block inside 'while', at line",
    ),
    (
        "block-place",
        "def run():\n    with student:\n        z = dense(1, 2, 3)\n    return z\nz = run()\n" + ASSERT,
        "    with student",
        "a block inside 'functiondef'",
    ),
    (
        "block-place",
        f"class Run:\n    with student:\n        z = dense(1, 2, 3)\n{END}",
        "    with student",
        "'classdef'",
    ),
    (
        "block-place",
        f"match seed:\n    case _:\n        with student:\n            z = dense(1, 2, 3)\n{ASSERT}",
        "        with student",
        "a block inside 'match'",
    ),
    (
        "block-place",
        block("with student:", "    y = dense(1, 2, 3)"),
        "    with student",
        "a block inside another block",
    ),
    # what a block may hold
    (
        "block-jump",
        f"for i in range(3):\n    with student:\n        z = dense(2, 3, 1)\n        break\n{ASSERT}",
        "        break",
        "'break' reaches out of the block",
    ),
    (
        "block-jump",
        f"for i in range(3):\n    with student:\n        if dense(1, 2, 3): continue\n{END}",
        "        if",
        "'continue'",
    ),
    ("block-jump", block("for i in range(3):", "    pass", "else:", "    break"), "        break", "'break'"),
    ("block-jump", block("return 3"), "    return", "'return 3' reaches out of the block"),
    (
        "block-jump",
        block("class A:", "    def f(self):", "        global q", "        q = 1"),
        "            global",
        "'global q'",
    ),
    ("block-jump", block("y = 1", "del y"), "    del", "'del y'"),
    ("block-jump", block("yield 1"), "    yield", "'(yield 1)'"),
    ("block-jump", block("y = await dense"), "    y = await", "'await dense'"),
    (
        "block-judges",
        block("assert dense(1, 2, 3), 'no'"),
        "    assert",
        "an assert in a block runs beside the student's code",
    ),
    ("block-judges", block("check_close(dense(1, 2, 3), 5)"), "    check", "'check_close' in a block runs beside"),
    ("block-judges", block("with raises(TypeError):", "    dense()"), "    with raises", "'raises' in a block"),
    # what may stand around a block
    (
        "block-around",
        f"with torch.no_grad():\n    {CALL.replace(chr(10), chr(10) + '    ')}\n{ASSERT}",
        "with torch",
        "'torch.no_grad' around a block has no effect",
    ),
    (
        "block-around",
        f"with torch.device('cpu'):\n    {CALL.replace(chr(10), chr(10) + '    ')}\n{ASSERT}",
        "with torch",
        "'torch.device' around a block",
    ),
    (
        "foreign-exception",
        f"with raises(AssertionError):\n    with student:\n        dense()\n{END}",
        "with raises",
        "'AssertionError' does not leave the student's process as what it is",
    ),
    (
        "foreign-exception",
        f"with raises((TypeError, torch.OutOfMemoryError)):\n    with student:\n        dense()\n{END}",
        "with raises",
        "'torch.OutOfMemoryError'",
    ),
    (
        "foreign-exception",
        f"try:\n    with student:\n        dense()\nexcept KeyboardInterrupt:\n    pass\n{END}",
        "except",
        "'KeyboardInterrupt'",
    ),
    # the two sides
    (
        "outside-block",
        "z = dense(2.0, 3.0, 1.0)\n### BEGIN HIDDEN TESTS\n" + ASSERT + "\n### END HIDDEN TESTS",
        "z = dense",
        "'dense', which the student writes in 'forward', is read outside a block; wrap the line in 'with student:'",
    ),
    ("outside-block", f"{END}\nassert dense(0, 0, 0) == 0, 'no'", "\nassert dense", "compare what it assigns outside"),
    ("outside-block", f"def again(): return dense(0, 0, 0)\n{END}", "def again", "'dense'"),
    ("judge-cannot-see", f"{END}\nprint(line)", "\nprint", "'line', which 'demo' binds, is read outside a block"),
    (
        "changes-outer",
        "X = torch.ones(2)\n" + block("X[0] = 3"),
        "    X[0]",
        "'X[0] = 3' changes 'X', which this block has",
    ),
    ("changes-outer", "X = torch.ones(2)\n" + block("X += 3"), "    X +=", "'X += 3' changes 'X'"),
    ("changes-outer", "X = torch.ones(2)\n" + block("X.data.mul_(3)"), "    X.data", "changes 'X'"),
    ("changes-outer", "X = torch.ones(2)\n" + block("Y = X.view(2)", "Y[0] = 1"), "    Y[0]", "changes 'X'"),
    (
        "changes-outer",
        "X = [[1], [2]]\n" + block("for i, row in enumerate(X): row.append(3)"),
        "    for",
        "'row.append(3)' changes 'X'",
    ),
    ("changes-outer", "X = [1]\n" + block("X.sort()"), "    X.sort", "'X.sort()' changes 'X'"),
    ("changes-outer", "X = {}\n" + block("X['a'] = dense(1, 2, 3)"), "    X['a']", "changes 'X'"),
    ("changes-outer", "X = {}\n" + block("X.update(a=1)"), "    X.update", "assign a changed copy"),
    ("changes-outer", "X = torch.ones(2)\n" + block("torch.nn.init.zeros_(X)"), "    torch", "changes 'X'"),
    ("changes-outer", "X = torch.ones(2)\n" + block("torch.add(X, 1, out=X)"), "    torch", "changes 'X'"),
    ("changes-outer", "X = torch.ones(2)\n" + block("for X.a in range(3): pass"), "    for", "changes 'X'"),
    ("changes-outer", "X = [1]\n" + block("f = lambda: X.append(1)"), "    f =", "changes 'X'"),
    ("changes-outer", "X = [1]\n" + block("X[0] = 1", "X = [2]"), "    X[0]", "changes 'X'"),
    ("changes-outer", block("line.append(3)"), "    line", "changes 'line'"),
    ("changes-outer", block("dense.cache = {}"), "    dense.cache", "changes 'dense'"),
    ("changes-outer", block("torch.relu = None"), "    torch.relu", "changes 'torch'"),
    (
        "changes-outer",
        f"{block('X = [1]')}\n{block('X.append(2)')}\nassert X == [1, 2], 'no'",
        "    X.append",
        "changes 'X'",
    ),
    (
        "changes-between",
        f"{block('X = [1]')}\nX.append(2)\n{block('y = len(X)')}",
        "X.append",
        "blocks still see the old one",
    ),
    (
        "cannot-cross",
        f"def f(): return 1\n{block('y = f()')}",
        "def f",
        "a block reads 'f', which is defined outside it",
    ),
    ("cannot-cross", f"class A: pass\n{block('y = A()')}", "class A", "make it inside the block, or send plain data"),
    ("cannot-cross", f"f = lambda: 1\n{block('y = f()')}", "f = lambda", "'f', which is a function"),
    ("cannot-cross", f"f = lambda: 1\n{block('def g(): return f()')}", "f = lambda", "'f', which is a function"),
    ("cannot-cross", f"f = (i for i in [1])\n{block('y = list(f)')}", "f = (", "'f', which is a generator"),
    ("cannot-cross", f"loss = nn.MSELoss()\n{block('y = loss(1, 2)')}", "loss = ", "the result of 'nn.MSELoss'"),
    (
        "cannot-cross",
        f"g = torch.Generator().manual_seed(1)\n{block('y = g')}",
        "g = ",
        "the result of 'torch.Generator'",
    ),
    ("cannot-cross", f"r = range(3)\n{block('y = list(r)')}", "r = ", "the result of 'range'"),
    ("cannot-cross", f"dtype = torch.float64\n{block('y = dtype')}", "dtype = ", "'torch.float64', which is no data"),
    ("cannot-cross", f"f, g = F.relu, 1\n{block('y = f(g)')}", "f, g", "'f', which is 'F.relu', which is no data"),
    (
        "cannot-cross",
        f"for f in (torch.relu, torch.tanh):\n    with student:\n        y = f(dense(1, 2, 3))\n{END}",
        "for f",
        "'torch.relu', which is no data",
    ),
    (
        "cannot-cross",
        f"w = torch.ones(2, requires_grad=True)\n{block('y = w')}",
        "w = ",
        "a tensor that records gradients",
    ),
    (
        "cannot-cross",
        f"w = torch.ones(2)\nw.requires_grad_()\n{block('y = w')}",
        "w.requires",
        "does not record gradients",
    ),
    ("stays-inside", f"{block('y = lambda: 1')}\nprint(y())", "\nprint", "'y' stays in the student's process"),
    ("stays-inside", f"{block('def y(): return 1')}\nprint(y())", "\nprint", "assign what the test needs of it"),
    ("stays-inside", f"{block('net = nn.Linear(2, 3)')}\nprint(net.weight)", "\nprint", "'net' stays"),
    ("stays-inside", f"{block('for y in range(3): pass')}\nprint(y)", "\nprint", "'y' stays"),
    ("stays-inside", f"{block('import os')}\nprint(os)", "\nprint", "'os' stays"),
    (
        "lost-in-crossing",
        f"{END}\nassert z.grad is None, 'no'",
        "\nassert z.grad",
        "'z.grad' asks a copy for what only",
    ),
    ("lost-in-crossing", f"{END}\nz[0].backward()\nassert z, 'no'", "\nz[0]", "ask inside the block"),
    ("lost-in-crossing", f"X = [1]\n{END}\nassert z is not X, 'no'", "\nassert z is", "'z is not X'"),
    (
        "lost-in-crossing",
        f"{END}\nassert isinstance(z, nn.Parameter), 'no'",
        "\nassert isi",
        "isinstance(z, nn.Parameter)",
    ),
    ("lost-in-crossing", f"{END}\nassert id(z), 'no'", "\nassert id", "'id(z)'"),
]

GOOD = [
    END,
    # no block and nothing hidden: the cell runs beside the student's code, unsealed
    "z = dense(2.0, 3.0, 1.0)\n" + ASSERT,
    "### BEGIN HIDDEN TESTS\n" + END + "\n### END HIDDEN TESTS",
    # blocks in for, if, try and with
    f"for i in range(3):\n    if i:\n        with student:\n            z = dense(2.0, 3.0, 1.0)\n        {ASSERT}",
    f"try:\n    with student:\n        dense()\nexcept (TypeError, ValueError) as e:\n    pass\nelse:\n    pass\n{END}",
    f"try:\n    with student:\n        dense()\nexcept Exception:\n    pass\nfinally:\n    pass\n{END}",
    "with raises(TypeError, says='x'):\n    with student:\n        dense()",
    # loops and functions inside a block
    block("for i in range(3):", "    if i: continue", "    break", "while False: break"),
    block("def f(a):", "    for b in a: yield b", "    return", "y = [c for c in f([1])]", "y.append(2)"),
    block(
        "class A:",
        "    def f(self):",
        "        n = 0",
        "        def g():",
        "            nonlocal n",
        "        return g",
    ),
    # what a block makes is its own
    block("X = [1]", "X.append(2)", "X += [3]", "X[0] = 4", "Y = X", "Y[0] = 5"),
    block("net = nn.Linear(2, 3)", "net.weight.data[0] = 1", "for p in net.parameters(): p.data.zero_()", "net.eval()"),
    block("net = nn.Linear(2, 3)") + "\n" + block("net.train()", "net.bias.data.fill_(0)", "y = net.bias"),
    block("with torch.no_grad():", "    X = torch.ones(2)", "    X.add_(1)"),
    "X = torch.ones(2)\n" + block("Y = X.clone()", "Y[0] = 1", "y = X.add(1)", "u, v = X.sort()"),
    "X = [[1]]\n" + block("Y = [row[:] for row in X]", "for row in Y: row.append(1)"),
    "X = [1]\n" + block("X = [2]", "X.append(3)") + "\nassert X, 'no'",
    block("total = 0") + "\n" + block("total += 1") + "\nassert total == 1, 'no'",
    # the judge's side
    "X = [1]\nX.append(2)\nX[0] = 3\n" + block("y = X") + "\ny.sort()\nassert y == [2, 3], 'no'",
    "f = lambda a: a\nclass A: pass\n" + END + "\nassert f(1) == 1 or A() is None, 'no'",
    "g = torch.Generator().manual_seed(seed + 1)\nX = torch.randn(3, generator=g)\n" + block("y = X"),
    "w = torch.ones(2, requires_grad=True)\n(w * 2).sum().backward()\n" + END + "\nassert w.grad is not None, 'no'",
    "pi, tau = math.pi, math.tau\n" + block("y = pi + tau"),
    "for name, f in [('relu', torch.relu), ('tanh', torch.tanh)]:\n    "
    + block("y = name").replace("\n", "\n    ")
    + "\n    print(f)",
    END + "\nassert z is not None and isinstance(z, float), 'no'",
    END + "\nassert all(isinstance(part, float) for part in [z]), 'no'",
    END + "\nprint(z)",
    END + "\n_ = math.floor(z)",
    END + "\nprint(vars(z), dir(z))",
    "import os\n" + END + "\nprint(os.environ.get('HOME'))",
    block("torch.manual_seed(0)", "y = torch.rand(2)"),
    f"torch.manual_seed(0)\nz = dense(2.0, 3.0, 1.0)\n{ASSERT}",
    block("y = dense", "r = range(3)", "k = torch.float64"),
    block("if (y := dense(1, 2, 3)): pass") + "\nassert y, 'no'",
    block("p, (q, *r) = 1, (2, 3)", "s: int = 1") + "\nassert [p, q, r, s], 'no'",
]


@pytest.mark.parametrize(("rule", "code", "blamed", "words"), BROKEN)
def test_each_broken_rule_is_named_with_its_line(desk: Any, rule: str, code: str, blamed: str, words: str) -> None:
    text = desk.with_test(f"{code}\n")
    start = text.index(code)
    line = text[: start + code.index(blamed)].count("\n") + 1 + blamed.startswith("\n")
    found = desk.problems(text)
    assert any((each.rule, each.line) == (rule, line) and words in str(each) for each in found), (line, found)


@pytest.mark.parametrize("code", GOOD)
def test_a_good_test_is_let_through(desk: Any, code: str) -> None:
    assert desk.problems(desk.with_test(f"{code}\n")) == ()


@pytest.mark.parametrize("kind", ["opening", "demo", "forward"])
def test_a_block_outside_a_test_is_refused(desk: Any, kind: str) -> None:
    place = {"opening": "GAIN = 2.0", "demo": "line = [", "forward": "def dense"}[kind]
    text = desk.change(desk.sample, place, f"with student:\n    made = 1\n{place}")
    (problem,) = desk.problems(text)
    assert problem.rule == "block-place"
    assert f"cell '{kind}'; only tests have blocks" in str(problem)


def test_hidden_tests_without_a_block_read_nothing_of_the_notebook(desk: Any) -> None:
    start = desk.sample.index("with student:\n    layer")
    old = desk.sample[start : desk.sample.index("```\n\n+++", start)]
    text = desk.change(desk.sample, old, "### BEGIN HIDDEN TESTS\nassert line[0] == 0, 'no'\n### END HIDDEN TESTS\n")
    (problem,) = desk.problems(text)
    assert (problem.rule, "or read it in a block: the judge runs only" in problem.todo) == ("judge-cannot-see", True)


def test_a_function_of_the_students_may_be_called_like_a_check(desk: Any) -> None:
    text = desk.change(desk.sample, "steepest = 3.0", "def check_slope(x): return x")
    text = desk.change(text, "steep = steepest", "steep = check_slope(3.0)")
    assert desk.problems(text) == ()


def test_a_name_that_solution_and_opening_both_bind_belongs_to_the_solution(desk: Any) -> None:
    text = desk.change(desk.sample, "GAIN = 2.0", "GAIN = steepest = 2.0")
    text = desk.change(text, "far = 10.0 * GAIN", "far = steepest * GAIN")
    (problem,) = desk.problems(text)
    assert (problem.rule, "in 'backward', is read outside" in problem.what) == ("outside-block", True)


def test_every_rule_is_raised_by_some_test() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert {rule for rule in RULES if not re.search(rf'["( ]{rule}["):]', sources)} == set()
