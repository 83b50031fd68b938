"""Rules about code: what is Python, and which names exist where."""

from __future__ import annotations

from typing import Any

import pytest

DEMO = "line = [dense(step, GAIN, 0.0) for step in range(3)]"

# rule, code of a given cell, the line that is blamed, words of the message
GIVEN = [
    ("syntax", "a = 1\nb = (", "b = (", "'demo' is not Python: '(' was never closed"),
    ("syntax", "a = 1\nreturn a", "return a", "'demo' is not Python: 'return' outside function"),
    ("suspect-code", "a = '\\d'", "a = '\\d'", "Python warns about 'demo': invalid escape sequence"),
    ("suspect-code", "a = 1\nb = a is 2", "b = a is 2", "Python warns about 'demo': \"is\" with"),
    (
        "star-import",
        "from math import *",
        "from math import *",
        "'demo' imports everything from 'math'; name what it needs",
    ),
    ("name-before-use", "a = gain", "a = gain", "'demo' reads 'gain', which no cell above binds; did you mean 'GAIN'?"),
    ("name-before-use", "a = steepest", "a = steepest", "which 'backward' binds only further down; move one"),
    ("name-before-use", "a = far", "a = far", "which only the test 'forward-values' binds; bind it here too"),
    ("name-before-use", "a = b\nb = 1", "a = b", "which it binds only below"),
    ("name-before-use", "b = 1\ndel b\na = b", "a = b", "'demo' reads 'b'"),
    ("name-before-use", "try:\n    a = 1\nexcept ValueError as b:\n    pass\nprint(b)", "print(b)", "'demo' reads 'b'"),
    ("name-before-use", "[b for a in range(3)]\na", "[b for", "'demo' reads 'b'"),
    ("name-before-use", "[c for c in range(3)]\nprint(c)", "print(c)", "'demo' reads 'c'"),
    ("name-before-use", "class A:\n    b = c\n    c = 1", "    b = c", "'demo' reads 'c'"),
    ("name-before-use", "def f(a=b): return a", "def f(a=b)", "'demo' reads 'b'"),
    ("name-before-use", "@cached\ndef f(): return 1", "@cached", "'demo' reads 'cached'"),
    ("name-before-use", "a: Unknown = 1", "a: Unknown", "'demo' reads 'Unknown'"),
    ("name-before-use", "a: int\nb = a", "b = a", "'demo' reads 'a'"),
    ("name-before-use", "a += 1", "a += 1", "'demo' reads 'a'"),
]

GOOD = [
    "%matplotlib inline\na = 1",
    "%%time\na = unknown_to_python",
    "!ls",
    "display(1)",
    "import asyncio\nawait asyncio.sleep(0)",
    "def f(): return g()\ndef g(): return f",
    "f = lambda: later\nlater = 1",
    "a = [b for b in range(3) if (c := b)]\nprint(c)",
    "for i, (j, *k) in []: pass\nprint(i, j, k)",
    "import os.path, math as m\nprint(os, m)",
    "with open('a') as file, open('b') as (c, d): print(file, c, d)",
    "match [1, {'a': 2}]:\n    case [p, {'a': q, **rest}] if p: print(p, q, rest)",
    "match [1, 2]:\n    case [first, *others] | (first, *others): print(first, others)",
    "try:\n    a = 1\nexcept (ValueError, OSError) as error:\n    print(error)\nelse:\n    print(a)",
    "class A:\n    b = 1\n    c = b + 1\n    d = [e for e in range(c)]\n    def f(self): return A, self.b, __class__",
    "def f(*args: int, key: float = GAIN, **more) -> None:\n    global made\n    made = args, key\nf()\nprint(made)",
    "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n        return n\n    return g",
    "if GAIN:\n    a = 1\nelse:\n    c = 2\nprint(a, c)",
    "while (a := 0): pass\nprint(a)",
    "total = sum(i * j for i in range(3) for j in range(i))",
    "table = {key: value for key, value in zip('ab', [1, 2])}\nprint(f'{table!r:>{len(table)}} {__name__}')",
]


@pytest.mark.parametrize(("rule", "code", "blamed", "words"), GIVEN)
def test_each_broken_rule_is_named_with_its_line(desk: Any, rule: str, code: str, blamed: str, words: str) -> None:
    text = desk.change(desk.sample, DEMO, code)
    start = text.index(":name: demo")
    line = text[: text.index(blamed, start)].count("\n") + 1
    found = desk.problems(text)
    assert [problem.rule for problem in found if problem.line == line] == [rule], found
    assert any(problem.line == line and words in str(problem) for problem in found), found


@pytest.mark.parametrize("code", GOOD)
def test_good_code_is_let_through(desk: Any, code: str) -> None:
    assert desk.problems(desk.change(desk.sample, DEMO, code)) == ()


def test_what_a_test_binds_no_later_test_sees(desk: Any) -> None:
    text = desk.change(
        desk.sample, 'check_close(steep, 3.0, name="steepest")', 'check_close(steep, far, name="steepest")'
    )
    (problem,) = desk.problems(text)
    assert "'backward-values' reads 'far', which only the test 'forward-values' binds" in problem.what


def test_what_hidden_tests_bind_the_visible_part_does_not_see(desk: Any) -> None:
    code = desk.sample[desk.sample.index("assert math.isclose") :].splitlines()[0]
    text = desk.change(desk.sample, "### END HIDDEN TESTS\n", f"### END HIDDEN TESTS\n{code}\n")
    (problem,) = desk.problems(text)
    assert "'forward-values' reads 'far', which it binds only below, or only in its hidden tests" in problem.what


def test_a_magic_in_a_test_is_named(desk: Any) -> None:
    (problem,) = desk.problems(desk.change(desk.sample, "x, w, b = 2.0", "%time x, w, b = 2.0"))
    assert problem.rule == "magic-in-test"
    assert problem.what == "the test 'forward-values' holds a magic or a shell command"


def test_names_that_only_a_kernel_has_are_refused_in_tests(desk: Any) -> None:
    (problem,) = desk.problems(desk.change(desk.sample, "far = 10.0", "display(z)\nfar = 10.0"))
    assert "'forward-values' reads 'display', which exists in notebooks only" in problem.what
