"""A test cell is cut in two: blocks become calls, and what a block may need and brings back is known by name."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from proctor.judge.split import RUN, VALUE, Test, hidden_from, import_statements, is_sealed, split


def cut(source: str) -> Test:
    return split(source, "<test one>")


def ran(source: str, **names: Any) -> tuple[list[int], dict[str, Any]]:
    """Run what the judge runs; return the numbers of the blocks it called, and its names afterwards."""
    called: list[int] = []
    space: dict[str, Any] = {RUN: called.append, **names}
    exec(cut(source).code, space)
    return called, space


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("with student:\n    a = 1\nwith student:\n    b = 2", [0, 1]),
        ("for _ in range(3):\n    with student:\n        a = 1", [0, 0, 0]),
        ("for _ in ():\n    pass\nelse:\n    with student:\n        a = 1", [0]),
        ("if 0:\n    with student:\n        a = 1\nelse:\n    with student:\n        a = 2", [1]),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    with student:\n        a = 1", [0]),
        ("try:\n    with student:\n        a = 1\nfinally:\n    with student:\n        b = 1", [0, 1]),
        ("from contextlib import nullcontext\nwith nullcontext():\n    with student:\n        a = 1", [0]),
        ("with student:\n    with student:\n        a = 1", [0]),
        ("with student: a = 1", [0]),
        ("x = 1", []),
    ],
)
def test_each_block_becomes_a_call_where_it_stood(source: str, expected: list[int]) -> None:
    called, space = ran(source)
    assert called == expected
    assert "a" not in space


def test_the_judge_runs_nothing_of_a_block() -> None:
    called, space = ran("x = 1\nwith student:\n    x = undefined\ny = x")
    assert (called, space["x"], space["y"]) == ([0], 1, 1)


def test_the_block_is_the_lines_under_it() -> None:
    (block,) = cut("x = 1\n\nwith student:\n    a = f(x)  # why\n    if a:\n        b = 'ñ'").blocks
    assert ast.dump(ast.parse(block.source)) == ast.dump(ast.parse("a = f(x)\nif a:\n    b = 'ñ'"))
    assert block.line == 3


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a = f(x)", "a"),
        ("a = b = f()", "a b"),
        ("a, (b, [c, *d]) = f()", "a b c d"),
        ("a[0], b, c.d = f()", "b"),
        ("a: int = f()", "a"),
        ("a: int", ""),
        ("a += 1", "a"),
        ("a[0] += 1", ""),
        ("(a := f())", "a"),
        ("print(b := f(a := 1))", "a b"),
        ("[a := x for x in y]", "a"),
        ("a = [b for b in c]", "a"),
        ("a = {b: c for b, c in d}", "a"),
        ("for i in x:\n    a = i", "a"),
        ("while x:\n    a = 1\nelse:\n    b = 2", "a b"),
        ("if x:\n    a = 1\nelif y:\n    b = 2\nelse:\n    c = 3", "a b c"),
        ("try:\n    a = 1\nexcept E as e:\n    b = 2\nelse:\n    c = 3\nfinally:\n    d = 4", "a b c d"),
        ("with open(x) as f:\n    a = f.read()", "a"),
        ("match x:\n    case [y]:\n        a = y", "a"),
        ("def f():\n    a = 1\nb = f()", "b"),
        ("async def f():\n    a = 1", ""),
        ("class C:\n    a = 1", ""),
        ("a = lambda: (b := 1)", "a"),
        ("import a\nfrom b import c", ""),
        ("a = 1\na = 2", "a"),
        ("größe = 1", "größe"),
        ("f(x)", ""),
    ],
)
def test_names_given_a_value_by_plain_assignment_come_back(lines: str, expected: str) -> None:
    indented = "\n".join("    " + line for line in lines.split("\n"))
    (block,) = cut(f"with student:\n{indented}").blocks
    assert sorted(block.wants) == expected.split()
    assert len(set(block.wants)) == len(block.wants)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a = f(x.y[z])", "f x z"),
        ("a += b", "a b"),
        ("a[i] += b", "a b i"),
        ("a = [x + y for x in z]", "x y z"),
        ("a = lambda x: x + y", "x y"),
        ("def g(x=y):\n    return x + z\na = g()", "g x y z"),
        ("a = student", ""),
        ("a = f'{x}'", "x"),
        ("a: b = c", "b c"),
        ("a = 1", ""),
    ],
)
def test_every_name_that_a_block_may_read_is_known(lines: str, expected: str) -> None:
    indented = "\n".join("    " + line for line in lines.split("\n"))
    (block,) = cut(f"with student:\n{indented}").blocks
    assert list(block.reads) == expected.split()


def test_imports_outside_blocks_are_known_with_the_names_they_bind() -> None:
    source = """
from __future__ import annotations
import math, numpy.linalg as la
import torch.nn
from a.b import c as d, e
if x:
    import deep
with student:
    import inner
    y = inner.z
def f():
    import local
"""
    test = cut(source)
    expected = ["import math, numpy.linalg as la", "import torch.nn", "from a.b import c as d, e", "import deep"]
    assert sorted(test.imports) == sorted([*expected, "import local"])
    assert test.imported == {"math", "la", "torch", "d", "e", "deep", "local"}
    assert "import inner" in test.blocks[0].source


def test_imports_of_an_opening_cell() -> None:
    statements, names = import_statements(
        "import math\nfrom os import path as p\nX = 1\ntry:\n    import z\nfinally: 0"
    )
    assert sorted(statements) == ["from os import path as p", "import math", "import z"]
    assert names == {"math", "p", "z"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\nassert x", 3),
        ("x = 1\n### BEGIN HIDDEN TESTS\nassert x\n### END HIDDEN TESTS", 2),
        ("x = 1\nfor i in x:\n    a = 1\n    ### BEGIN HIDDEN TESTS\n    b = 2\n    ### END HIDDEN TESTS", 2),
        (
            "a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc\n### BEGIN HIDDEN TESTS\nd\n### END HIDDEN TESTS",
            2,
        ),
        ("with student:\n    a = 1\n    ### BEGIN HIDDEN TESTS\n    b = 2\n    ### END HIDDEN TESTS\nassert a", 1),
        ("if x:\n    for y in x:\n        ### BEGIN HIDDEN TESTS\n        b\n        ### END HIDDEN TESTS\na", 1),
    ],
)
def test_a_test_hides_its_values_from_the_first_hidden_line_on(source: str, expected: int) -> None:
    assert hidden_from(ast.parse(source), source) == expected
    assert cut(source).hidden_from == expected


def test_blocks_are_shown_up_to_the_first_hidden_line() -> None:
    source = """
with student:
    a = 1
### BEGIN HIDDEN TESTS
with student:
    b = 1
### END HIDDEN TESTS
with student:
    c = 1
"""
    assert [block.shown for block in cut(source).blocks] == [True, False, False]
    looped = (
        "for x in y:\n    with student:\n        a = 1\n    ### BEGIN HIDDEN TESTS\n    x\n    ### END HIDDEN TESTS"
    )
    assert [block.shown for block in cut(looped).blocks] == [False], "the loop comes back to it"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("3 / 2", 1.5), ("x = 1\nx + 1", 2), ("x = 1", None), ("x = 1\nx;", 1), ("def f(): pass", None), ("", None)],
)
def test_the_value_of_the_last_line_is_kept(source: str, expected: float | None) -> None:
    assert ran(source)[1].get(VALUE) == expected


def test_a_block_at_the_end_has_no_value() -> None:
    called, space = ran("1\nwith student:\n    2")
    assert called == [0]
    assert VALUE not in space


def test_lines_keep_their_numbers() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        ran("x = 1\nwith student:\n    a = 1\n    b = 2\n\n1 / 0")
    assert caught.traceback[-1].lineno + 1 == 6


def test_annotations_are_not_changed_by_ours() -> None:
    with pytest.raises(NameError):
        ran("x: undefined = 1")


@pytest.mark.parametrize("source", ["x = = 1", "%time x", "!ls", "return 1", "x\0"])
def test_what_is_no_plain_python_is_refused(source: str) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        cut(source)
    assert not is_sealed(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("with student:\n    x = 1", True),
        ("if 1:\n    with student:\n        x = 1", True),
        ("assert f(1) == 2", False),
        ("# with student:", False),
        ("'''\nwith student:\n    x = 1\n'''", False),
        ("with pupil:\n    x = 1", False),
        ("%magic\nwith student:\n    x = 1", False),
        ("x\0", False),
    ],
)
def test_a_test_is_sealed_if_it_has_a_block(source: str, expected: bool) -> None:
    assert is_sealed(source) is expected
