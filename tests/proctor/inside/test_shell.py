"""A notebook's cells run as in a kernel, and what they show comes back in nbformat's form."""

from __future__ import annotations

import os
import signal
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from proctor.inside import wire


def kinds(outputs: list[dict[str, Any]]) -> list[str]:
    return [each.get("name") or each["output_type"] for each in outputs]


def checked(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs that nbformat's own schema accepts."""
    cell = new_code_cell("x", outputs=[nbformat.from_dict(each) for each in outputs])
    nbformat.validate(new_notebook(cells=[cell]))
    return outputs


def test_prints_come_back_in_order_one_output_for_each_stream_in_turn(plain: Any) -> None:
    ended, outputs = plain.cell("import sys\nprint('a')\nprint('b')\nprint('c', file=sys.stderr)\nprint('d')")
    assert ended == "well"
    assert [(each["name"], each["text"]) for each in checked(outputs)] == [
        ("stdout", "a\nb\n"),
        ("stderr", "c\n"),
        ("stdout", "d\n"),
    ]


def test_the_value_of_the_last_line_is_shown_with_the_number_of_the_cell(plain: Any) -> None:
    plain.cell("x = 20")
    _, outputs = plain.cell("x + 1\nx + 2")
    (output,) = checked(outputs)
    assert output["output_type"] == "execute_result"
    assert output["data"] == {"text/plain": "22"}
    assert output["execution_count"] == 2
    assert plain.says("_ + 1") == "23"


@pytest.mark.parametrize("source", ["x = 1", "1;", "None", "def f(): pass", "", "   \n", "# nothing"])
def test_a_cell_without_a_value_shows_nothing(plain: Any, source: str) -> None:
    assert plain.cell(source) == ("well", [])


def test_each_cell_shows_only_its_own_outputs(plain: Any) -> None:
    plain.cell("print('one')\n1")
    assert plain.cell("pass") == ("well", [])


def test_displays_keep_their_place_and_their_forms(plain: Any) -> None:
    _, outputs = plain.cell("from IPython.display import HTML\nprint('a')\ndisplay(HTML('<b>x</b>'))\nprint('b')\n7")
    assert kinds(checked(outputs)) == ["stdout", "display_data", "stdout", "execute_result"]
    assert outputs[1]["data"]["text/html"] == "<b>x</b>"


def test_an_update_replaces_the_display_of_the_same_id(plain: Any) -> None:
    source = "handle = display('first', display_id=True)\nprint('between')\nhandle.update('second')"
    _, outputs = plain.cell(source)
    assert kinds(checked(outputs)) == ["display_data", "stdout"]
    assert outputs[0]["data"]["text/plain"] == "'second'"


def test_clearing_takes_away_what_was_shown_before(plain: Any) -> None:
    source = "from IPython.display import clear_output\nprint('old')\nclear_output()\nprint('new')"
    assert plain.says(source) == "new\n"
    waiting = "print('old')\nclear_output(wait=True)\nprint('new')"
    assert plain.says(waiting) == "new\n"
    assert plain.says("print('old')\nclear_output(wait=True)") == "old\n", "it waits for an output that never comes"


def test_a_long_animation_ends_in_its_last_picture(plain: Any) -> None:
    """What was cleared away does not count towards the cap."""
    source = """
from IPython.display import HTML, clear_output
for number in range(40):
    clear_output(wait=True)
    display(HTML(f"<i>{number}</i>" + " " * 2**19))
"""
    _, outputs = plain.cell(source)
    (picture,) = outputs
    assert picture["data"]["text/html"].startswith("<i>39</i>")


def test_an_error_names_the_cell_and_shows_the_line(plain: Any) -> None:
    plain.cell("def divide(x):\n    return 1 / x", "forward")
    ended, outputs = plain.cell("print('before')\ndivide(0)", "your cell 3")
    assert ended == "error"
    assert kinds(checked(outputs)) == ["stdout", "error"]
    error = outputs[1]
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    text = "\n".join(error["traceback"])
    assert "Cell forward" in text
    assert "Cell your cell 3" in text
    assert "return 1 / x" in text
    assert "\x1b" not in text


def test_a_syntax_error_names_the_cell_and_nothing_of_it_runs(plain: Any) -> None:
    ended, outputs = plain.cell("print('never')\nx = = 1", "forward")
    assert ended == "error"
    (error,) = checked(outputs)
    assert error["ename"] == "SyntaxError"
    assert "Cell forward, line 2" in "\n".join(error["traceback"])


def test_cells_after_an_error_run(plain: Any) -> None:
    plain.cell("x = 1\nraise ValueError('no')\nx = 2")
    assert plain.says("x") == "1"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("import sys; sys.exit()", "SystemExit"),
        ("exit()", "SystemExit"),
        ("quit", "SystemExit"),
        ("%no_such_magic", "UsageError"),
        ("class Lies(type):\n    __name__ = 7\nclass Own(Exception, metaclass=Lies): pass\nraise Own", "Own"),
        ("class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute", "SystemExit"),
        (
            "class T(str):\n    def __getitem__(self, _): return 7\nclass O(Exception):\n"
            "    def __str__(self): return T('x')\nraise O",
            "O",
        ),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Own(BaseException): pass\nraise Own('mine')", "Own"),
        ("raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])", "ExceptionGroup"),
    ],
)
def test_no_exception_ends_the_notebook(plain: Any, source: str, says: str) -> None:
    ended, outputs = plain.cell(source)
    assert ended == "error"
    assert says in [each.get("ename", "") for each in outputs], "what judges an unsealed test"
    assert plain.says("1 + 1") == "2"


def test_an_exception_that_cannot_be_shown_still_ends_the_cell_in_an_error(plain: Any) -> None:
    ended, outputs = plain.cell("class Mute(Exception):\n    def __str__(self): raise RuntimeError\nraise Mute")
    assert ended == "error"
    assert outputs[-1]["output_type"] == "error"
    source = "class Mute(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise Mute"
    ended, outputs = plain.cell(source)
    assert ended == "error"
    assert outputs[-1]["output_type"] == "error"
    assert plain.says("1 + 1") == "2"


def test_magics_run(plain: Any) -> None:
    assert "Wall time" in plain.says("%%time\nx = 4")
    assert plain.says("x") == "4"
    assert plain.says("%who_ls int") == "['x']"
    assert "Type:" in plain.says("y = 1\ny?")


def test_shell_commands_and_raw_writes_are_shown(plain: Any) -> None:
    assert "from a child\n" in plain.says("!echo from a child").replace("\r", "")
    assert plain.says("import os\nos.write(1, b'raw \\xff')\nos.write(2, b' both');") == "raw \ufffd both"
    assert plain.says("import subprocess\nsubprocess.run(['echo', 'quiet']);") == "quiet\n"
    assert plain.says("print('only this')") == "only this\n"


def test_code_at_the_top_level_may_wait(plain: Any) -> None:
    source = "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nawait f()"
    assert plain.says(source) == "5"
    assert plain.says("await f() + 1") == "6"


def test_names_and_texts_of_any_script_work(plain: Any) -> None:
    assert plain.says("größe, 变量 = 'ñ', '\N{PILE OF POO}'\nprint(größe, 变量)") == "ñ \N{PILE OF POO}\n"


@pytest.mark.parametrize("source", ["x = '\ud800'", "\ud800", "x\0", "print('\\ud800')"])
def test_text_that_is_no_text_does_not_end_the_notebook(plain: Any, source: str) -> None:
    plain.cell(source)
    assert plain.says("1 + 1") == "2"


def test_asking_for_input_fails_at_once(plain: Any) -> None:
    ended, outputs = plain.cell("input('your name? ')")
    assert ended == "error"
    assert outputs[-1]["ename"] in ("EOFError", "StdinNotImplementedError")


def test_the_shell_is_there_for_those_who_ask(plain: Any) -> None:
    assert plain.says("get_ipython().user_ns is globals()") == "True"
    assert plain.says("import sys\nsys.stdout.isatty(), sys.stdout.fileno(), sys.stdout.encoding, __name__") == (
        "(False, 1, 'utf-8', '__main__')"
    )
    assert plain.says("In[1]") == "'get_ipython().user_ns is globals()'"


def test_a_figure_becomes_a_picture(plain: Any) -> None:
    _, outputs = plain.cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    assert outputs[-1]["output_type"] == "display_data"
    assert outputs[-1]["data"]["image/png"].startswith("iVBOR")
    checked(outputs)
    ended, outputs = plain.cell("%matplotlib inline\nplt.plot([3, 1])\nplt.show()\nprint('after')")
    assert ended == "well"
    assert kinds(outputs) == ["display_data", "stdout"]


def test_the_error_that_ends_a_cell_is_kept_whatever_was_shown_before(plain: Any) -> None:
    """An unsealed test is judged by it."""
    many = "for number in range(500):\n    display(number)\nassert False, 'no'"
    _, outputs = plain.cell(many)
    assert (outputs[-1]["ename"], outputs[-1]["evalue"]) == ("AssertionError", "no")
    hook = "from IPython.display import clear_output\nget_ipython().events.register('post_execute', clear_output)"
    plain.cell(hook)
    _, outputs = plain.cell("assert False, 'no'")
    assert (outputs[-1]["ename"], outputs[-1]["evalue"]) == ("AssertionError", "no")


@pytest.mark.parametrize(
    "source",
    [
        "print('x' * 2**24)",
        "for _ in range(2**18):\n    print('xxxx', end='')\nprint('more' * 1000)",
        "import sys\nfor _ in range(2**12):\n    print('x')\n    print('y', file=sys.stderr)",
        "for _ in range(2**12):\n    display('x' * 2**12)",
        "from IPython.display import HTML\ndisplay(HTML('x' * 2**25))",
        "raise ValueError('x' * 2**25)",
        "import os\nos.write(1, b'x' * 2**24);",
        "display({'a/b': [0] * 2**21}, raw=True)",
        "x = []\nfor _ in range(300):\n    x = [x]\ndisplay({'a/b': x}, raw=True)",
    ],
)
def test_outputs_are_capped_and_the_notebook_lives_on(plain: Any, source: str) -> None:
    _, outputs = plain.cell(source)
    assert len(outputs) <= 402
    assert sum(len(repr(each)) for each in outputs) < 2**25
    assert plain.says("1 + 1") == "2"


def test_what_was_left_out_is_counted(plain: Any) -> None:
    text = plain.says("print('x' * (2**20 + 10), end='')")
    assert text.startswith("x" * 2**20 + "\n… 10 more characters or outputs were left out")


def test_a_display_of_any_type_comes_back_as_plain_data(plain: Any) -> None:
    source = """
class Odd(dict):
    def items(self): raise RuntimeError
display({"text/plain": "x", "application/json": {"a": (1, object(), {2: None})}}, raw=True, metadata={"m": Odd})
"""
    _, outputs = plain.cell(source)
    data = outputs[0]["data"]["application/json"]
    assert data["a"][0] == 1
    assert data["a"][1].startswith("<object object")
    assert data["a"][2] == {"2": None}


def test_an_interrupted_cell_ends_and_the_notebook_lives_on(plain: Any, folder: Any) -> None:
    flag = folder / "flag"
    os.mkfifo(flag)
    source = f"x = 1\nopen({str(flag)!r}, 'w').close()\nwhile True: pass"
    wire.send(plain.sock, {"do": "cell", "label": "endless", "source": source}, {})
    with flag.open() as waits:  # until the cell opens it too, and then until it closes it
        waits.read()
    os.kill(plain.pid, signal.SIGINT)
    answer, values = wire.read(plain.sock)
    flag.unlink()
    assert answer["ended"] == "error"
    assert values["outputs"][-1]["ename"] == "KeyboardInterrupt"
    assert plain.says("x + 1") == "2"


def test_an_interrupt_between_cells_changes_nothing(plain: Any) -> None:
    plain.cell("x = 1")
    os.kill(plain.pid, signal.SIGINT)
    assert plain.says("x") == "1"


def test_a_module_beside_the_notebook_can_be_imported_and_hides_none(plain: Any, folder: Any) -> None:
    """The assignment's own modules stand there; one called as a library's must not take its place."""
    for name in ("beside", "colorsys"):
        (folder / f"{name}.py").write_text("stolen = True")
    ended, _ = plain.cell("import beside, colorsys\nassert beside.stolen\nassert not hasattr(colorsys, 'stolen')")
    for name in ("beside", "colorsys"):
        (folder / f"{name}.py").unlink()
    assert ended == "well"
