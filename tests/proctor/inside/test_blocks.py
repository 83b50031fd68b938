"""A block runs in the notebook's own globals, which are then as before, and its answer is plain data."""

from __future__ import annotations

from typing import Any

import pytest

OWN = "a = b = i = np = f = gone = 'mine'\ndef own(): return [a, b, i, np, f, gone]"


def test_a_block_sees_the_values_and_the_notebook_and_answers_with_what_it_assigns(notebook: Any) -> None:
    notebook.cell("def double(x): return 2 * x")
    answer, values = notebook.block("y = double(x)\nz = y + 1", "y", "z", values={"x": 4})
    assert answer == {"ended": "well", "refused": {}, "device": "", "printed": ""}
    assert values == {"y": 8, "z": 9}


def test_only_wanted_names_come_back(notebook: Any) -> None:
    assert notebook.block("y = 1\nz = 2", "y")[1] == {"y": 1}


def test_what_cannot_come_back_is_named_with_its_type_and_the_rest_comes(notebook: Any) -> None:
    answer, values = notebook.block("y = 1\nm = object()\nn = [m]", "y", "m", "n")
    assert answer["refused"] == {"m": "object", "n": "object at [0]"}
    assert values == {"y": 1}


def test_a_wanted_name_that_was_not_assigned_does_not_come_back(notebook: Any) -> None:
    answer, values = notebook.block("if False:\n    y = 1", "y")
    assert (answer["refused"], values) == ({}, {})


@pytest.mark.parametrize(
    "source",
    [
        "a = 1",
        "a, (b, *i) = 1, (2, 3)",
        "for i in range(3): pass",
        "import math as np",
        "from math import pi as a, e as b",
        "def f(): pass",
        "class f: pass",
        "with open('/dev/null') as f: pass",
        "try:\n    1 / 0\nexcept ZeroDivisionError as b: pass",
        "[a := x for x in range(3)]",
        "[(lambda: [b := x for x in range(3)])() for _ in range(2)]",
        "a += '!'",
        "del gone",
        "a = 1\nraise ValueError",
        "a = 1\nb = undefined",
        "match [1, 2]:\n    case [a, b]: pass",
        "pass",
    ],
)
def test_the_notebooks_names_are_afterwards_as_before(notebook: Any, source: str) -> None:
    notebook.cell(OWN)
    before = notebook.says("sorted(globals().keys() - {'_', '__', '___'}, key=str)[:0], own()")
    notebook.block("y = 0\n" + source, "y", "a", values={"a": "theirs", "x": 3}, imports=["import numpy as np"])
    assert notebook.says("'x' in globals(), 'y' in globals(), 'pi' in globals()") == "(False, False, False)"
    assert notebook.says("[], own()") == before == "([], ['mine', 'mine', 'mine', 'mine', 'mine', 'mine'])"


def test_what_the_students_own_code_does_to_the_notebook_stays(notebook: Any) -> None:
    notebook.cell("count = 0\ndef f():\n    global count\n    count += 1")
    notebook.block("f()\nf()")
    assert notebook.says("count") == "2"


def test_later_blocks_see_what_earlier_ones_made_until_the_judge_sends_another(notebook: Any) -> None:
    notebook.cell("import gc")
    notebook.block("m = [1]\ndef f(): return m", "m")
    assert notebook.block("same = f() is m", "same")[1] == {"same": True}
    assert notebook.block("y = m", "y", values={"m": [2]})[1] == {"y": [2]}
    notebook.block("m = 'half'\nraise ValueError", "m")
    assert notebook.says("'m' in globals()") == "False"


def test_a_name_that_the_judge_has_sent_is_not_kept(notebook: Any) -> None:
    notebook.cell("x = 'mine'")
    notebook.block("m = [1]", "m")
    notebook.block("pass", values={"m": 5})
    assert notebook.block("y = 'm' in globals()", "y")[1] == {"y": False}
    assert notebook.block("y = x", "y", values={"x": 1})[1] == {"y": 1}
    assert notebook.block("y = x", "y")[1] == {"y": "mine"}


def test_imports_run_apart_from_the_notebook_and_win_over_its_names(notebook: Any) -> None:
    notebook.cell("math = pi = 3")
    imports = ["import math", "from math import pi", "import os.path"]
    assert notebook.block("y = math.floor(pi) + len(os.sep)", "y", imports=imports)[1] == {"y": 4}
    assert notebook.says("math, pi, 'os' in globals()") == "(3, 3, False)"


def test_an_import_that_fails_is_told(notebook: Any) -> None:
    answer, _ = notebook.block("y = 1", "y", imports=["import no_such_module"])
    assert (answer["ended"], answer["builtin"]) == ("raised", "ModuleNotFoundError")


def test_generators_are_seeded_before_each_block_and_after_its_imports(notebook: Any) -> None:
    draw = "y = [random.random(), float(numpy.random.rand()), float(torch.rand(()))]"
    imports = ["import random, numpy, torch"]
    notebook.cell("import random, numpy, torch")
    first = notebook.block(draw, "y", imports=imports, chance=7)[1]
    notebook.cell("random.random(); numpy.random.rand(3); torch.rand(3)")
    assert notebook.block(draw, "y", imports=imports, chance=7)[1] == first
    other = notebook.block(draw, "y", imports=imports, chance=2**32 - 1)[1]
    assert all(a != b for a, b in zip(first["y"], other["y"], strict=True))


def test_prints_are_cut_and_belong_to_visible_blocks_only(notebook: Any) -> None:
    source = "import sys\nprint('out')\nprint('err', file=sys.stderr)"
    assert notebook.block(source)[0]["printed"] == "out\nerr\n"
    assert notebook.block(source, shown=False)[0]["printed"] == ""
    assert notebook.block(source + "\nraise ValueError")[0]["printed"] == "out\nerr\n"
    assert len(notebook.block("print('x' * 10**6)")[0]["printed"]) == 10_000
    assert notebook.cell("pass") == ("well", []), "nothing of it is left for a cell"


def test_an_exception_is_told_with_the_students_frames_and_no_other(notebook: Any) -> None:
    notebook.cell("def f(x):\n    return g(x)\n\ndef g(x):\n    return 1 / x   # here", "forward")
    answer, values = notebook.block("secret = 3\ny = f(0)", "y")
    assert values == {}
    marked = answer.pop("frames").split("\n")  # Python may mark the place in a line below
    assert [line for line in marked if line.strip("~^ ")] == [
        '  File "<cell forward>", line 2, in f',
        "    return g(x)",
        '  File "<cell forward>", line 5, in g',
        "    return 1 / x   # here",
    ]
    assert answer == {
        "ended": "raised",
        "type": "ZeroDivisionError",
        "builtin": "ZeroDivisionError",
        "says": "division by zero",
        "place": "forward",
        "line": 5,
        "printed": "",
    }


def test_an_exception_of_the_block_itself_has_no_place(notebook: Any) -> None:
    answer, _ = notebook.block("y = 1 / 0", "y")
    assert (answer["place"], answer["line"], answer["frames"]) == ("", 0, "")


@pytest.mark.parametrize(
    ("raised", "builtin"),
    [
        ("ValueError('x')", "ValueError"),
        ("type('Own', (ValueError,), {})('x')", "ValueError"),
        ("type('Own', (KeyError, ValueError), {})('x')", "KeyError"),
        ("torch.linalg.LinAlgError('x')", "RuntimeError"),
        ("AssertionError('x')", ""),
        ("type('Own', (AssertionError, ValueError), {})('x')", ""),
        ("Exception('x')", ""),
        ("type('ValueError', (Exception,), {})('x')", ""),
        ("SystemExit(1)", ""),
        ("KeyboardInterrupt()", ""),
        ("GeneratorExit()", ""),
        ("BaseExceptionGroup('x', [KeyboardInterrupt()])", ""),
    ],
)
def test_the_nearest_builtin_exception_is_named_if_it_may_cross(notebook: Any, raised: str, builtin: str) -> None:
    answer, _ = notebook.block(f"raise {raised}", imports=["import torch"])
    assert answer["ended"] == "raised"
    assert answer["builtin"] == builtin


def test_long_messages_and_deep_frames_are_cut(notebook: Any) -> None:
    notebook.cell("def f(n):\n    if not n: raise ValueError('x' * 10**6)\n    f(n - 1)")
    answer, _ = notebook.block("f(200)")
    assert len(answer["says"]) == 2_000
    assert answer["frames"].count("File") <= 20
    assert len(answer["frames"]) <= 10_000


@pytest.mark.parametrize(
    ("source", "device"),
    [
        ("y = 1", ""),
        ("y = torch.ones(1)", "cpu"),
        ("m = torch.nn.Linear(1, 1)", "cpu"),
        ("m = torch.nn.Linear(1, 1, device='meta')\ny = torch.ones(1)", "cpu, meta"),
        ("m = torch.nn.ReLU()", ""),
    ],
)
def test_the_devices_of_what_a_block_makes_are_told(notebook: Any, source: str, device: str) -> None:
    assert notebook.block(source, "y", imports=["import torch"])[0]["device"] == device
