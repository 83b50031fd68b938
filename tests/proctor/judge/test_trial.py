"""A test judged against a real copy of a student's notebook: every sentence of "Sealed tests" in DESIGN.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from proctor.judge import points
from proctor.judge.trial import Said

Try = Callable[..., Said]


def passed(said: Said) -> bool:
    return (said.state, said.message) == ("passed", "")


# -- values ---------------------------------------------------------------------------------------------------------


def test_the_students_answer_is_judged_by_its_value(attempt: Try) -> None:
    test = "x = 3\nwith student:\n    y = f(x)\nassert y == 9, f'f(3) is {y}, expected 9'"
    assert passed(attempt(test, "def f(x): return x * x"))
    said = attempt(test, "def f(x): return x + x")
    assert (said.state, said.message) == ("failed", "f(3) is 6, expected 9")


def test_arrays_and_tensors_cross_both_ways(attempt: Try) -> None:
    opening = "import numpy as np\nimport torch"
    test = """
a, t = np.arange(6.0).reshape(2, 3), torch.arange(4)
with student:
    b, u, s, p = double(a), double(t), a.sum(), torch.nn.Parameter(torch.ones(2))
assert type(b) is np.ndarray and b.dtype == np.float64 and (b == 2 * a).all(), f"b is {b}"
assert type(u) is torch.Tensor and u.dtype == torch.int64 and torch.equal(u, 2 * t), f"u is {u}"
assert type(s) is np.float64 and s == 15, f"s is {s}"
assert type(p) is torch.Tensor and p.sum() == 2, f"p is {p}"
"""
    assert passed(attempt(test, "def double(x): return 2 * x", opening=opening))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("torch.nn.Linear(2, 3)", "torch.nn.modules.linear.Linear"),
        ("[1, {'a': object()}]", "object at [1]['a']"),
        ("type('Liar', (int,), {'__eq__': lambda *_: True, '__hash__': int.__hash__})(1)", "Liar"),
        ("type('Liar', (torch.Tensor,), {})([1.0])", "Liar"),
        ("(each for each in [1])", "generator"),
        ("len", "builtin_function_or_method"),
    ],
)
def test_reading_what_cannot_come_back_fails_and_names_variable_and_type(attempt: Try, made: str, named: str) -> None:
    test = "with student:\n    y = f()\nassert y == 1, 'not 1'"
    said = attempt(test, f"def f(): return {made}", opening="import torch")
    assert said.state == "failed"
    assert said.message.startswith("'y' holds ")
    assert named in said.message
    assert said.message.endswith("which cannot be judged: give back plain numbers, lists, arrays or tensors")


def test_what_cannot_come_back_costs_nothing_unless_it_is_read(attempt: Try) -> None:
    assert passed(attempt("with student:\n    m = object()\n    y = 1\nassert y == 1, 'no'"))


def test_what_cannot_come_back_is_there_for_later_blocks(attempt: Try) -> None:
    test = """
with student:
    model = torch.nn.Linear(2, 1)
    seen = id(model)
for _ in range(2):
    with student:
        same = id(model) == seen
    assert same, "the model is another one"
"""
    assert passed(attempt(test, opening="import torch"))


def test_all_that_a_block_makes_is_there_for_later_blocks(attempt: Try) -> None:
    """Not only what plain assignment binds: loops, imports and definitions too."""
    test = """
with student:
    import math
    def loss(x): return x + math.pi
    class Box: size = 3
    for i in range(4): pass
    with open("/dev/null") as file: pass
with student:
    y = (round(loss(1), 2), Box.size, i, file.closed)
assert y == (4.14, 3, 3, True), f"y is {y}"
"""
    assert passed(attempt(test))


def test_a_value_that_came_back_and_was_not_changed_is_the_students_own_object(attempt: Try) -> None:
    test = """
with student:
    values = [1, 2]
    alias = values
    x = torch.ones(2, requires_grad=True)
with student:
    alias.append(3)
    n = len(values)
    (2 * x).sum().backward()
    gradient = x.grad.clone()
assert n == 3, "values was sent anew"
assert gradient.tolist() == [2, 2], "x was sent anew"
"""
    assert passed(attempt(test, opening="import torch"))


def test_a_value_that_the_judge_changes_is_sent_anew(attempt: Try) -> None:
    test = """
with student:
    x = [1]
    y = 5
x = x + [2]
x, y = y, x
with student:
    seen = (x, y)
assert seen == (5, [1, 2]), f"the block saw {seen}"
for x in range(3):
    with student:
        seen = x
    assert seen == x, f"the block saw {seen}"
"""
    assert passed(attempt(test))


def test_a_copy_that_the_judge_changes_does_not_reach_the_block_under_another_name(attempt: Try) -> None:
    test = "with student:\n    x = [1]\nz = x\nz = z + [2]\nwith student:\n    seen = (x, z)\n"
    test += "assert seen == ([1], [1, 2]), f'{seen}'"
    assert passed(attempt(test))


def test_augmented_assignment_starts_from_the_judges_value(attempt: Try) -> None:
    test = (
        "total = 0\nfor x in (1, 2):\n    with student:\n        total += f(x)\nassert total == 10, f'total is {total}'"
    )
    assert passed(attempt(test, "total = 100\ndef f(x): return x + 3.5"))


def test_a_name_that_no_branch_gave_a_value_fails_the_test_that_reads_it(attempt: Try) -> None:
    test = "y = 1\nwith student:\n    if f():\n        y = 2\nassert y == 1, 'y changed'"
    said = attempt(test, "def f(): return False")
    assert (said.state, said.message) == ("failed", "'y' was never given a value")
    assert passed(attempt(test.replace("y == 1", "y == 2"), "def f(): return True"))


@pytest.mark.parametrize("name", ["max", "input", "id"])
def test_a_lost_name_is_not_the_builtin_one(attempt: Try, name: str) -> None:
    said = attempt(f"with student:\n    {name} = object()\nassert {name}, 'no'")
    assert (said.state, said.message[: len(name) + 9]) == ("failed", f"'{name}' holds "), said


def test_a_lost_name_is_lost_in_functions_and_loops_too(attempt: Try) -> None:
    test = "def g():\n    return y\nwith student:\n    y = object()\nassert [g() for _ in range(2)], 'no'"
    assert attempt(test).message.startswith("'y' holds object, which cannot be judged")


def test_other_names_of_the_test_that_do_not_exist_are_no_fault_of_the_student(attempt: Try) -> None:
    said = attempt("with student:\n    y = 1\nassert z == 1, 'no'")
    assert (said.state, said.message) == ("failed", "NameError: name 'z' is not defined")


def test_what_the_test_cannot_send_is_no_fault_of_the_student(attempt: Try) -> None:
    said = attempt("x = object()\nwith student:\n    y = x\nassert y, 'no'")
    assert said.state == "not judged"
    assert (
        said.message == "the test sends what cannot leave it: object at x cannot cross"
        or "cannot cross" in said.message
    )


def test_a_test_that_is_no_python_is_not_judged(attempt: Try) -> None:
    said = attempt("assert = 1")
    assert said.state == "not judged"
    assert said.message.startswith("the test cannot be run: ")


# -- names and imports ----------------------------------------------------------------------------------------------


def test_names_that_hide_modules_cost_nothing(attempt: Try) -> None:
    opening = "import torch\nfrom torch.nn import functional as F\nimport math as m"
    test = "import numpy as np\nwith student:\n    y = float(F.relu(torch.tensor(-1.0))) + m.sqrt(4) + np.sqrt(9)\n"
    test += "assert y == 5, f'y is {y}'"
    assert passed(attempt(test, "F = 3\ntorch = None\nnp = m = 'x'", opening=opening))


def test_the_notebooks_own_names_are_afterwards_as_before(attempt: Try) -> None:
    cells = """
x, i, total, np, helper, mine = "mine", "mine", "mine", "mine", "mine", "mine"
def own(): return x, i, total, np, helper, "mine" if "other" not in globals() else "theirs"
"""
    test = """
import numpy as np
x = 5
with student:
    before = x
    total = 1
    other = 2
    for i in range(3): pass
    def helper(): pass
    [mine := each for each in range(2)]
assert before == 5, "the block does not see the test's own x"
try:
    with student:
        total = 1 / 0
except ZeroDivisionError:
    pass
def unsent(): pass
"""
    check = """
seen = own()
with student:
    seen = own()
assert seen == ("mine",) * 6, f"own() sees {seen}"
"""
    said = attempt(test + check.replace("seen = own()\n", "", 1), cells)
    assert said.state == "failed", "blocks of one test see one another"
    assert attempt("with student:\n    seen = own()\nassert seen == ('mine',) * 6, f'{seen}'", cells).state == "passed"


def test_an_opening_name_that_cannot_cross_is_the_notebooks_own(attempt: Try) -> None:
    opening = "import torch\ndevice = torch.device('cpu')\nscale = 3"
    test = "with student:\n    y = torch.ones(2, device=device) * scale\nassert y.sum() == 6, f'{y}'"
    assert passed(attempt(test, "scale = 100", opening=opening))


def test_futures_of_ours_do_not_reach_a_block(attempt: Try) -> None:
    test = "with student:\n    def f(x: int): pass\n    kind = type(f.__annotations__['x']).__name__\n"
    test += "assert kind == 'type', kind"
    assert passed(attempt(test))


# -- exceptions -----------------------------------------------------------------------------------------------------

BUILTIN = [
    ArithmeticError,
    AttributeError,
    BufferError,
    EOFError,
    FileNotFoundError,
    FloatingPointError,
    ImportError,
    IndexError,
    KeyError,
    LookupError,
    MemoryError,
    ModuleNotFoundError,
    NameError,
    NotImplementedError,
    OSError,
    OverflowError,
    PermissionError,
    RecursionError,
    ReferenceError,
    RuntimeError,
    StopAsyncIteration,
    StopIteration,
    SyntaxError,
    TimeoutError,
    TypeError,
    UserWarning,
    ValueError,
    ZeroDivisionError,
    DeprecationWarning,
]


@pytest.mark.parametrize("name", [kind.__name__ for kind in BUILTIN])
def test_a_builtin_exception_arrives_as_what_it_is(attempt: Try, name: str) -> None:
    test = f"""
try:
    with student:
        f()
except {name} as error:
    assert type(error) is {name}, f"it is a {{type(error)}}"
    assert "why" in str(error), f"it says {{error}}"
else:
    raise AssertionError("nothing was raised")
"""
    assert passed(attempt(test, f"def f(): raise {name}('why')"))


def test_an_exception_of_the_students_own_arrives_as_the_builtin_one_that_it_is_a_case_of(attempt: Try) -> None:
    cells = "class Base(ValueError): pass\nclass Own(Base, KeyError): pass\ndef f(): raise Own('why')"
    test = (
        "try:\n    with student:\n        f()\nexcept ValueError as error:\n    assert type(error) is ValueError, 'no'"
    )
    assert passed(attempt(test, cells))


HOSTILE = {
    "assertion": "assert False, 'mine'",
    "assertion of one's own": "class A(AssertionError): pass\n    raise A('mine')",
    "plain": "raise Exception('mine')",
    "base": "class B(BaseException): pass\n    raise B('mine')",
    "exit": "raise SystemExit(0)",
    "shell exit": "exit()",
    "interrupt": "raise KeyboardInterrupt",
    "generator exit": "raise GeneratorExit",
    "group": "raise ExceptionGroup('mine', [ValueError('a')])",
    "base group": "raise BaseExceptionGroup('mine', [KeyboardInterrupt()])",
    "five arguments": "b'\\xff'.decode()",
    "mute": "class M(Exception):\n        def __str__(self): raise ValueError\n    raise M",
    "exits when shown": "class M(Exception):\n        def __str__(self): raise SystemExit\n    raise M",
    "text of one's own": "class T(str):\n        def __getitem__(self, _): return 7\n"
    "    class M(Exception):\n        def __str__(self): return T('x')\n    raise M",
    "lying name": "class L(type):\n        __name__ = 7\n    class M(Exception, metaclass=L): pass\n    raise M",
    "lying name text": "class L(type):\n        __name__ = 'ValueError'\n"
    "    class M(Exception, metaclass=L): pass\n    raise M",
    "raising name": "class L(type):\n        @property\n        def __name__(cls): raise SystemExit\n"
    "    class M(Exception, metaclass=L): pass\n    raise M",
    "lying order": "class L(type):\n        __mro__ = (ValueError,)\n"
    "    class M(Exception, metaclass=L): pass\n    raise M",
    "named like ours": "class StoppedError(Exception): pass\n    raise StoppedError('passed')",
    "no frames": "class M(Exception):\n        __traceback__ = property(lambda self: 1 / 0)\n    raise M",
    "deep": "return f()",
    "changed builtins": "import builtins\n    class M(Exception): pass\n    builtins.M = M\n    raise M('mine')",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_other_exception_passes_for_one_that_a_test_expects(attempt: Try, body: str) -> None:
    """It is a StudentError, or the process has crashed; no test passes and nothing escapes."""
    test = """
try:
    with student:
        f()
except (ValueError, KeyError, AssertionError, OSError):
    pass
"""
    said = attempt(test, f"def f():\n    {body}")
    assert said.state in ("failed", "crashed")
    assert said.message


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_any_exception_of_the_students_fails_the_test(attempt: Try, body: str) -> None:
    said = attempt("with student:\n    y = f()\nassert True, 'no'", f"def f():\n    {body}")
    assert said.state in ("failed", "crashed")
    hidden = attempt(
        "### BEGIN HIDDEN TESTS\nwith student:\n    y = f()\n### END HIDDEN TESTS", f"def f():\n    {body}"
    )
    assert hidden.state in ("failed", "crashed")
    assert "\n" not in hidden.message


# -- what is said ---------------------------------------------------------------------------------------------------


def test_an_exception_is_told_with_the_line_of_the_students(attempt: Try) -> None:
    said = attempt("with student:\n    y = f(0)\n", "def f(x):\n    return 1 / x")
    assert (said.state, said.message) == (
        "failed",
        "ZeroDivisionError: division by zero (in 'cell-1', line 2: return 1 / x)",
    )


def test_a_visible_test_tells_all_and_shows_the_students_frames(attempt: Try) -> None:
    cells = "def f(x):\n    return g(x)\ndef g(x):\n    raise ValueError('a' * 500 + '\\nsecond line')"
    said = attempt("with student:\n    y = f(0)\n", cells)
    assert said.message.startswith("ValueError: " + "a" * 500 + "\nsecond line (in 'cell-1', line 4: raise ")
    assert 'File "<cell cell-1>", line 2, in f\n    return g(x)' in said.message
    assert "line 4, in g" in said.message


def test_a_hidden_test_tells_one_line_of_at_most_120_characters(attempt: Try) -> None:
    cells = "def f(x):\n    return g(x)\ndef g(x):\n    raise ValueError('a' * 50 + '\\n' + 'b' * 500)"
    said = attempt("### BEGIN HIDDEN TESTS\nwith student:\n    y = f(0)\n### END HIDDEN TESTS", cells)
    assert said.message == (
        f"ValueError: {'a' * 50} {'b' * 68}… (in 'cell-1', line 4: raise ValueError('a' * 50 + '\\n' + 'b' * 500))"
    )


def test_prints_of_visible_blocks_are_kept_and_those_of_hidden_ones_are_not(attempt: Try) -> None:
    test = """
with student:
    y = f("seen")
### BEGIN HIDDEN TESTS
with student:
    y = f("secret")
### END HIDDEN TESTS
"""
    cells = "import sys\ndef f(x):\n    print(x)\n    print(x.upper(), file=sys.stderr)"
    said = attempt(test, cells)
    assert (said.state, said.printed) == ("passed", "seen\nSEEN\n")
    failing = attempt("with student:\n    y = f('seen')\n    1 / 0", cells)
    assert (failing.state, failing.printed) == ("failed", "seen\nSEEN\n")


AUTHOR = "value = 0\n{before}with student:\n    y = 1\n{check}\n{after}"


@pytest.mark.parametrize(
    ("check", "seen", "hidden"),
    [
        ("assert y == 2, f'y is {y},\\nexpected 2'", "y is 1,\nexpected 2", "y is 1,\nexpected 2"),
        ("assert y == 2", "a check does not hold", "a check does not hold"),
        ("e = AssertionError('y is 1, expected 2')\ne.brief = 'y is wrong'\nraise e", "y is 1, expected 2",
         "y is wrong"),
        ("[2][y]", "IndexError: list index out of range",
         "the test could not use what your code gave back (IndexError)"),
        ("raise SystemExit('2')", "SystemExit: 2", "the test could not use what your code gave back (SystemExit)"),
        ("int('secret')", "ValueError: invalid literal for int() with base 10: 'secret'",
         "the test could not use what your code gave back (ValueError)"),
    ],
)  # fmt: skip
def test_the_author_is_quoted_and_hidden_values_are_not(attempt: Try, check: str, seen: str, hidden: str) -> None:
    visible = AUTHOR.format(before="", check=check, after="")
    assert attempt(visible).message == seen
    begin, end = "### BEGIN HIDDEN TESTS\n", "### END HIDDEN TESTS\n"
    assert attempt(AUTHOR.format(before=begin, check=check, after=end)).message == hidden
    after = f"{begin}pass\n{end}" + AUTHOR.format(before="", check=check, after="")
    assert attempt(after).message == hidden, "what stands below a hidden line"


def test_a_message_holds_only_what_a_file_can_hold(attempt: Try) -> None:
    said = attempt("with student:\n    y = f()\nassert y == 1, f'y is {y}'", "def f(): return 'x\\ud800'")
    assert said.message == "y is x?"
    said = attempt(
        "with student:\n    y = f()", "def f():\n    print('\\ud800')\n    raise ValueError('x\\ud800' * 9000)"
    )
    said.message.encode()
    said.printed.encode()
    assert len(said.message) <= 4000


# -- state ----------------------------------------------------------------------------------------------------------


def test_no_test_sees_what_another_left_behind(attempt: Try) -> None:
    cells = "seen = []\ndef f():\n    seen.append(1)\n    globals()['left'] = 1\n    return len(seen)"
    test = "with student:\n    n = f()\n    left = 'left' in globals()\nassert n == 1, f'n is {n}'"
    assert passed(attempt(test, cells))
    assert passed(attempt("with student:\n    n, there = f(), 'n' in globals()\nassert (n, there) == (1, False), 'no'"))


def test_a_test_sees_the_notebook_as_it_was_at_its_place(notebook: Any, attempt: Try) -> None:
    notebook.cell("x = 1\ndef f(): return x")
    copy = notebook.copy()
    notebook.cell("x = 2\ndef f(): return 7")
    with copy.sock:
        assert copy.block("y = f()", "y")[1] == {"y": 1}
    assert passed(attempt("with student:\n    y = f()\nassert y == 7, f'y is {y}'"))


# -- processes that do not answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "import os\n    os._exit(0)",
        "import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
        "import ctypes\n    ctypes.string_at(0)",
        "import os\n    os.closerange(3, 100)\n    return 9",
        "import os\n    for fd in range(3, 50):\n        try: os.write(fd, b'garbage' * 100)\n"
        "        except OSError: pass\n    return 9",
    ],
)
def test_a_process_that_ends_or_talks_nonsense_has_crashed(attempt: Try, body: str) -> None:
    said = attempt("with student:\n    y = f()\nassert y == 1, 'no'", f"def f():\n    {body}")
    assert said.state == "crashed"
    assert said.message.startswith(("your code ended its process", "what your code returned could not be read: "))


def test_an_endless_block_is_timed_out(attempt: Try) -> None:
    said = attempt("with student:\n    y = f()\nassert y == 1, 'no'", "def f():\n    while True: pass", limit=0.3)
    assert (said.state, said.message) == ("timed out", "your code ran past 0 s and was stopped")


def test_a_test_cannot_swallow_that_the_process_is_gone(attempt: Try) -> None:
    test = """
try:
    with student:
        y = f()
except BaseException:
    pass
try:
    with student:
        y = 1
finally:
    y = 1
assert y == 1, "no"
"""
    assert attempt(test, "def f():\n    while True: pass", limit=0.3).state == "timed out"
    swallowed = test.split("try:\n    with student:\n        y = 1")[0]
    assert attempt(swallowed, "def f():\n    import os\n    os._exit(0)").state == "crashed"


FORGE = """
import os, socket
def sockets():
    for fd in range(3, 60):
        try: yield socket.socket(fileno=os.dup(fd))
        except OSError: pass
def send(message, trees, buffers=()):
    import json
    header = json.dumps({"m": message, "v": trees, "b": [len(each) for each in buffers]}).encode()
    frame = b"GDW1" + len(header).to_bytes(8, "little") + sum(map(len, buffers)).to_bytes(8, "little") + header
    for each in sockets(): each.sendall(frame + b"".join(buffers))
"""


@pytest.mark.parametrize(
    "body",
    [
        "send({'ended': 'well'}, {})",
        "send({'ended': 'well'}, {'y': 9})",
        "send({'ended': 'well', 'state': 'passed', 'share': 5}, {'state': 'passed', '__value__': 5, 'x': 9})",
        "send({'ended': 'well', 'refused': 7, 'device': 7, 'printed': 7}, {'y': True})",
        "send({'ended': 'well', 'refused': {'y': 7}}, {})",
        "send({}, {'y': 4})",
        "send({'ended': 'raised', 'builtin': 'AssertionError'}, {'y': 4})",
        "send({'ended': 'raised', 'builtin': 'object', 'type': 7, 'line': 'x', 'frames': [], 'says': None}, {})",
        "send({'ended': 'raised', 'builtin': 'ExceptionGroup', 'says': 'x'}, {})",
        "send({'ended': 'raised', 'builtin': '__import__', 'says': 'os'}, {})",
        "send({'ended': 'raised', 'builtin': 'StoppedError', 'says': 'x'}, {})",
        "send({'ended': 'raised', 'builtin': 'KeyboardInterrupt', 'says': 'x'}, {})",
        "send({'ended': ['well']}, {'y': 4})",
        "send([], {'y': 4})",
        "send({'ended': 'well'}, {'y': ['tensor', 'float32', [2**40]]}, [b''])",
        "send({'ended': 'well'}, {'y': ['no such kind']})",
        "send({'ended': 'well'}, {'y': 4}, [b'left over'])",
        "for _ in range(3): send({'ended': 'well'}, {'y': 9})",
    ],
)
def test_a_forged_answer_never_passes_for_a_right_one(attempt: Try, body: str) -> None:
    test = """
x = 2
with student:
    y = f(x)
assert type(y) is int and y == x + 2, f"y is {y}"
with student:
    y = f(x + 1)
assert type(y) is int and y == x + 3, f"y is {y}"
"""
    said = attempt(test, [FORGE, f"def f(x):\n    {body}\n    return 9"])
    assert said.state in ("failed", "crashed"), said
    assert said.message


def test_an_answer_sent_before_the_question_earns_nothing(attempt: Try, notebook: Any) -> None:
    test = "x = 2\nwith student:\n    y = f(x)\nassert y == 4, f'y is {y}'"
    notebook.cell(FORGE + "\ndef f(x): return 9")
    notebook.cell("import os, threading\nos.register_at_fork(after_in_child=lambda: send({'ended': 'well'}, {'y': 9}))")
    said = attempt(test)
    assert said.state in ("failed", "crashed")


def test_a_forged_exception_may_say_only_so_much(attempt: Try) -> None:
    answer = {"ended": "raised", "type": "a\nb" * 99, "says": "s\n" * 999, "place": "p\nq" * 99, "line": 10**600}
    body = f"send({answer | {'code': 'c' * 999, 'frames': 'f' * 999}!r}, {{}})"
    said = attempt(
        "### BEGIN HIDDEN TESTS\nwith student:\n    y = f()\n### END HIDDEN TESTS", [FORGE, f"def f():\n    {body}"]
    )
    assert said.state == "failed"
    assert "\n" not in said.message
    assert len(said.message) < 450


# -- chance ---------------------------------------------------------------------------------------------------------

DRAWS = """
import random
def draw(): return [random.random(), float(np.random.rand()), float(torch.rand(()))]
"""


def test_each_block_draws_anew_and_always_the_same(attempt: Try) -> None:
    opening = "import numpy as np\nimport torch"
    test = (
        "seen = []\nfor _ in range(3):\n    with student:\n        d = draw()\n    seen.append(d)\nassert 0, f'{seen}'"
    )
    first = attempt(test, DRAWS, opening=opening, chance="a/one")
    assert (
        attempt(test, DRAWS + "\nrandom.random(); np.random.rand(9); torch.rand(9)", opening=opening, chance="a/one")
        == first
    )
    draws = [tuple(each) for each in eval(first.message)]
    columns = list(zip(*draws, strict=True))
    assert all(len(set(column)) == 3 for column in columns), "another block, other draws"
    other = eval(attempt(test, DRAWS, opening=opening, chance="b/one").message)
    assert all(a != b for mine, yours in zip(draws, other, strict=True) for a, b in zip(mine, yours, strict=True))


def test_the_seed_never_leaves_the_judge(
    attempt: Try, notebook: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Neither as text, nor as a number; also where a block reads the imported name."""
    secret = 7_391_246_805_512
    (tmp_path / "seedkit.py").write_text(f"seed = {secret}\n")
    monkeypatch.syspath_prepend(tmp_path)
    notebook.cell("import sys, types\nsys.modules['seedkit'] = types.SimpleNamespace(seed=0)")
    sent: list[bytes] = []

    from proctor.inside import wire

    write = wire.write

    def spy(sock: Any, frame: wire.Frame) -> None:
        sent.append(wire._dump(frame) + b"".join(map(bytes, frame.buffers)))
        write(sock, frame)

    monkeypatch.setattr(wire, "write", spy)
    test = "fresh = seed % 1000\nwith student:\n    y = (fresh, seed)\nassert y == (512, 0), f'{y}'"
    assert passed(attempt(test, opening="from seedkit import seed", chance=f"{secret}/one"))
    blocks = [each for each in sent if b'"block"' in each]
    assert len(blocks) == 1
    assert str(secret).encode() not in b"".join(sent)
    assert secret.to_bytes(8, "little") not in b"".join(sent)
    assert b"/one" not in blocks[0]


# -- partial points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "share"),
    [
        ("1.5", 1.5), ("2", 2.0), ("-1", -1.0), ("None", None), ("True", None), ("'3'", None), ("[1]", None),
        ("float('inf')", math.inf), ("10 ** 400", math.inf), ("-10 ** 400", -math.inf), ("1 + 2j", None),
        ("np.float32(0.5)", 0.5), ("np.int64(2)", 2.0), ("np.bool_(True)", None), ("np.array(0.25)", 0.25),
        ("np.array([0.25])", None), ("np.complex64(1j)", None), ("torch.tensor(0.5)", 0.5),
        ("torch.tensor(True)", None), ("torch.tensor(1j)", None), ("torch.tensor([1.0])", None), ("x = 3", None),
    ],
)  # fmt: skip
def test_the_last_line_may_give_a_part_of_the_points(attempt: Try, last: str, share: float | None) -> None:
    test = f"with student:\n    y = 1\nassert y == 1, 'no'\n{last}"
    said = attempt(test, opening="import numpy as np\nimport torch")
    assert said.state == "passed"
    assert said.share == share


def test_a_share_of_nan_is_told_as_such(attempt: Try) -> None:
    said = attempt("with student:\n    y = float('nan')\ny")
    assert said.share is not None
    assert math.isnan(said.share)


@pytest.mark.parametrize(
    ("share", "earned"),
    [(None, 4.0), (3.0, 3.0), (4.0, 4.0), (9.0, 4.0), (-1.0, 0.0), (math.nan, 0.0), (math.inf, 4.0), (-math.inf, 0.0)],
)
def test_points_are_within_nothing_and_all(share: float | None, earned: float) -> None:
    assert points(share, 4.0) == earned


def test_the_device_is_told(attempt: Try) -> None:
    assert attempt("with student:\n    y = torch.ones(2)\nassert 1, 'no'", opening="import torch").device == "cpu"
    assert attempt("with student:\n    m = torch.nn.Linear(1, 1)", opening="import torch").device == "cpu"
    assert attempt("with student:\n    y = 1").device == ""


def test_after_a_hidden_block_the_students_code_says_little(attempt: Try) -> None:
    """What it saw there it may have kept, in a file or anywhere; a visible test must not publish it."""
    test = "with student:\n    y = f()\nassert y == 1, 'no'"
    cell = "def g(): raise ValueError('x' * 1000)\ndef f():\n    print('seen')\n    return g()"
    free, brief = attempt(test, cell), attempt(test, cell, is_brief=True)
    assert free.message.count("x") > 999
    assert (free.printed, brief.printed) == ("seen\n", "")
    says = brief.message.removeprefix("ValueError: ").partition(" (in 'cell-1', line 1: ")[0]
    assert says == "x" * 119 + "…"


def test_the_place_of_an_exception_is_looked_up(attempt: Try) -> None:
    """The student's process could put any text into a file name or a line of code."""
    lie = "def f():\n    exec(compile('raise ValueError(1)', '<cell the text of a hidden block>', 'exec'))"
    said = attempt("with student:\n    y = f()\nassert y == 1, 'no'", lie)
    assert said.message.startswith("ValueError: 1")
    assert "(in '" not in said.message
