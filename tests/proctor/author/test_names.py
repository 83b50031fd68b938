"""Names that a cell binds and reads, compared with what Python itself does with the same code."""

from __future__ import annotations

import ast
import builtins
import sys

import pytest

from proctor.author.names import bound, events

# code that runs; every name that it leaves behind was bound at module level
RUNS = [
    "a = b = 1\n(c, *d), [e] = (1, 2, 3), [4]",
    "a: int = 1\nb: int",
    "a = [1]\na[0], a = 2, 3",
    "for a, (b, c) in [(1, (2, 3))]:\n    d = a\nelse:\n    e = 1",
    "while (a := 0):\n    pass\nif a:\n    pass\nelif (b := 1):\n    c = 2",
    "x = [y for y in range(3) if (last := y)]",
    "x = {k: v for k, v in zip('ab', 'cd')}, {s for s in 'ab'}, list(g for g in 'ab')",
    "import os.path as p, json\nimport os.path\nfrom math import pi, tau as t",
    "def f(a, /, b=1, *c, d=2, **e):\n    g = 1\n    for h in []: pass\n    def i(): j = 1\n    return lambda k: k",
    "async def f():\n    async with f() as a, f() as b:\n        async for c in a: await b",
    "def f():\n    global a\n    a = 1\nf()",
    "def f():\n    global a\n    def g():\n        global a\n        a = 2\n    g()\nf()",
    "def f():\n    n = 1\n    def g():\n        nonlocal n\n        n += 1\n    g()\nf()",
    "class A:\n    b = 1\n    for c in [1]: d = c\n    def e(self): return __class__\n    class F: g = 1",
    "try:\n    a = 1\n    raise ValueError\nexcept ValueError as error:\n    b = 2\nfinally:\n    c = 3",
    "try:\n    raise ExceptionGroup('a', [ValueError()])\nexcept* ValueError as group:\n    b = 2",
    "from contextlib import nullcontext\nwith nullcontext(1) as a, nullcontext((2, 3)) as (b, c):\n    d = 1",
    "match {'a': [1, 2, 3], 'z': 0}:\n    case {'a': [b, *c] as d, **rest} if b: e = 1",
    "a = 1\nb = 2\ndel a",
    "f = lambda a, *b, c=1: (d := a)",
    "a = 1\na += 1",
]

# code that raises NameError when it runs, and the name
FAILS = [
    ("a", "a"),
    ("a = a", "a"),
    ("a += 1", "a"),
    ("a: int\na", "a"),
    ("def f(x=a): pass", "a"),
    ("def f(x: a): pass", "a"),
    ("def f() -> a: pass", "a"),
    ("@a\ndef f(): pass", "a"),
    ("f = lambda x=a: x", "a"),
    ("class A(a): pass", "a"),
    ("class A:\n    b = 1\n    c = [b for i in range(2)]", "b"),
    ("[x for x in range(3)]\nx", "x"),
    ("[a for x in range(3)]", "a"),
    ("[x for x in a]", "a"),
    ("[y for x in [[1]] for y in x if a]", "a"),
    ("for i in a: pass", "a"),
    ("with a: pass", "a"),
    ("print(f'{a}')", "a"),
    ("b = {}\nb[a] = 1", "a"),
    ("b = 1\ndel b\nb", "b"),
    ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    pass\nerror", "error"),
    ("match 1:\n    case a.b: pass", "a"),
    ("def f():\n    local = 1\nf()\nlocal", "local"),
]

# code whose bodies are not run: nothing is read before it is bound
LATER = [
    "def f(): return g()\ndef g(): return 1",
    "f = lambda: a\na = 1",
    "class A:\n    def f(self): return B\nclass B: pass",
    "def f():\n    x: Unknown = 1\n    return x",
]


def run(code: str, space: dict[str, object] | None = None) -> None:
    """Run code as a notebook does, without this file's own future import."""
    exec(compile(code, "cell", "exec", dont_inherit=True), {} if space is None else space)


def unbound(code: str) -> list[str]:
    """Return the names that are read at once and were not bound, as the events tell it."""
    names, missing = set(dir(builtins)), []
    for event in events(ast.parse(code)):
        if event.kind == "bind":
            names.add(event.name)
        elif event.kind == "unbind":
            names.discard(event.name)
        elif not event.deferred and event.name not in names:
            missing.append(event.name)
    return missing


@pytest.mark.parametrize("code", RUNS)
def test_what_python_binds_is_bound(code: str) -> None:
    space: dict[str, object] = {"__name__": "cell"}
    run(code, space)
    happened = events(ast.parse(code))
    left = {event.name for event in happened if event.kind == "bind"}
    for event in happened:
        if event.kind == "unbind":
            left.discard(event.name)
    assert left == space.keys() - {"__name__", "__builtins__", "__annotations__"}
    assert unbound(code) == []


@pytest.mark.parametrize(("code", "name"), FAILS)
def test_what_python_does_not_find_is_unbound(code: str, name: str) -> None:
    with pytest.raises(NameError, match=f"name '{name}' is not defined"):
        run(code)
    assert unbound(code) == [name]


@pytest.mark.parametrize("code", LATER)
def test_what_only_a_call_reads_is_not_missed(code: str) -> None:
    run(code)
    assert unbound(code) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_type_parameters_belong_to_what_they_stand_at() -> None:
    code = "type Pair[T] = tuple[T, T]\ndef f[T](a: T) -> Pair: return a\nclass A[T](dict[str, T]):\n    b: T"
    run(code)
    assert unbound(code) == []
    assert set(bound(ast.parse(code))) == {"Pair", "f", "A"}


def test_events_know_their_block() -> None:
    tree = ast.parse("a = 1\nwith student:\n    b = a\nc = b")
    sides = [(event.kind, event.name, event.block) for event in events(tree)]
    assert sides == [
        ("bind", "a", 0),
        ("read", "student", 0),
        ("read", "a", 2),
        ("bind", "b", 2),
        ("read", "b", 0),
        ("bind", "c", 0),
    ]


def test_a_name_is_bound_where_that_first_happens() -> None:
    first = bound(ast.parse("import a\nfor a in []: pass\ndef b(): pass"))
    assert {name: (event.how, event.line) for name, event in first.items()} == {"a": ("import", 1), "b": ("def", 3)}
