"""Points without an answer: every way around a test that we know."""

from __future__ import annotations

from pathlib import Path

from .entry import Attack, Notebook, adds, code_cell, named

__all__ = ["ATTACKS"]

NOTHING = "def double(x):\n    return None"
LOST = {"double-seen": "failed: double(3) is None, expected 6", "double-hidden": "failed: double(0) is not 0"}
TYPED = "def double(x):\n    return 6 if x else 0"
TYPED_LOST = {"double-hidden": "failed: is 6 typed in?"}
TESTS = ("double-seen", "double-hidden", "add-cases", "ordered-cases", "greet-open")

LIAR = """\
class Liar:
    def yes(self, *_, **__):
        return True

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = yes
    __hash__ = lambda self: 0
    __float__ = lambda self: 6.0
    __int__ = __index__ = __len__ = lambda self: 6
    __add__ = __sub__ = __rsub__ = __abs__ = __round__ = __getitem__ = __call__ = lambda self, *_: self
    __repr__ = __str__ = lambda self: "6"
    __array__ = lambda self, *_, **__: [6]
    __class__ = int
"""

OPEN = """\
import os, stat

def sockets():
    return [fd for fd in range(3, 256) if is_socket(fd)]

def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
"""


def _marked_to_be_skipped(notebook: Notebook) -> None:
    for name in TESTS:
        named(notebook, name)["metadata"]["tags"] = ["skip-execution"]


def _marked_in_every_way(notebook: Notebook) -> None:
    for name in TESTS:
        marks = named(notebook, name)["metadata"]
        marks |= {"tags": ["skip-execution", "raises-exception", "remove-cell"], "execution": {"timeout": 0}}
        marks |= {"editable": True, "deletable": True, "init_cell": False, "jupyter": {"source_hidden": True}}
        marks["nbgrader"] |= {"locked": False, "checksum": "0"}


def _another_kernel(notebook: Notebook) -> None:
    notebook["metadata"]["kernelspec"] = {"name": "bash", "display_name": "Bash", "language": "bash"}


def _points_changed(notebook: Notebook) -> None:
    for name, points in zip(TESTS, (1e9, -1, "all", None, float("inf")), strict=True):
        named(notebook, name)["metadata"]["nbgrader"]["points"] = points


def _deleted(notebook: Notebook) -> None:
    doomed = [named(notebook, name) for name in TESTS]
    notebook["cells"] = [cell for cell in notebook["cells"] if not any(cell is each for each in doomed)]


def _duplicated(notebook: Notebook) -> None:
    for name in TESTS:
        cell = named(notebook, name)
        notebook["cells"].append({**cell, "source": "pass"})
        notebook["cells"].insert(0, {**cell, "source": "pass"})


def _reversed(notebook: Notebook) -> None:
    notebook["cells"].reverse()


def _relabelled(notebook: Notebook) -> None:
    """Let an easy test stand for a hard one, and a test for a task."""
    names = {"double-seen": "greet-open", "double-hidden": "double", "add-cases": "double-hidden"}
    cells = {new: named(notebook, old) for old, new in names.items()}
    for new, cell in cells.items():
        cell["metadata"]["nbgrader"]["grade_id"] = new


def _edited(notebook: Notebook) -> None:
    for name in TESTS:
        named(notebook, name)["source"] = "assert True"


def _own_graded(notebook: Notebook) -> None:
    marks = {"grade": True, "solution": False, "locked": False, "points": 50, "schema_version": 3, "cell_type": "code"}
    notebook["cells"] += [code_cell("True", nbgrader={**marks, "grade_id": f"bonus-{number}"}) for number in range(3)]


def _modules_beside(folder: Path) -> None:
    trap = "open('/tmp/proctor-threat-imported', 'w').write('x')\nprint('the module beside ran')\n"
    for name in (
        *("ipykernel_launcher", "torch", "numpy", "math", "sitecustomize", "usercustomize", "conftest"),
        *("nbgrader_config", "coursekit", "ipython_config", "json", "inside"),
    ):
        (folder / f"{name}.py").write_text(trap, encoding="utf-8")
    for name in ("IPython", "proctor"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(trap, encoding="utf-8")
    (folder / "pyvenv.cfg").write_text("home = .\n", encoding="utf-8")
    (folder / "evil.pth").write_text(f"import os; {trap.splitlines()[0]}\n", encoding="utf-8")


METADATA = [
    Attack(
        "metadata-skip",
        row="metadata on test cells",
        does="tags every test to be skipped",
        cells={"double": NOTHING},
        change=_marked_to_be_skipped,
        loses=LOST,
    ),
    Attack(
        "metadata-marks",
        row="metadata on test cells",
        does="changes every mark that a test cell carries",
        cells={"double": NOTHING},
        change=_marked_in_every_way,
        loses=LOST,
    ),
    Attack(
        "metadata-kernel",
        row="metadata on test cells",
        does="asks for another kernel",
        cells={"double": NOTHING},
        change=_another_kernel,
        loses=LOST,
    ),
    Attack(
        "metadata-points",
        row="test cells changed",
        does="gives the tests other points",
        cells={"double": NOTHING},
        change=_points_changed,
        loses=LOST,
    ),
    Attack(
        "tests-deleted",
        row="test cells changed",
        does="deletes all tests",
        cells={"double": NOTHING},
        change=_deleted,
        loses=LOST,
        notes=["test cell 'double-hidden' was missing: the released one was run"],
    ),
    Attack(
        "tests-duplicated",
        row="test cells changed",
        does="puts an empty copy of every test at both ends",
        cells={"double": NOTHING},
        change=_duplicated,
        loses=LOST,
    ),
    Attack(
        "cells-reversed",
        row="test cells changed",
        does="turns the order of all cells round",
        cells={"double": NOTHING},
        change=_reversed,
        loses=LOST,
    ),
    Attack(
        "tests-relabelled",
        row="test cells changed",
        does="names one test after another, and one after a task",
        cells={"double": NOTHING},
        change=_relabelled,
        loses=LOST,
    ),
    Attack(
        "tests-edited",
        row="test cells changed",
        does="replaces every test by one that holds",
        cells={"double": NOTHING},
        change=_edited,
        loses=LOST,
        notes=["test cell 'double-seen' was changed: the released one was run"],
    ),
    Attack(
        "tests-added",
        row="test cells changed",
        does="adds graded cells of its own, worth 150 points",
        cells={"double": NOTHING},
        change=_own_graded,
        loses=LOST,
    ),
]

MACHINERY = [
    Attack(
        "input-transformer",
        row="transformers that drop tests",
        does="lets IPython drop every line with an assert or a check",
        cells={
            "double": f"{NOTHING}\n\n"
            "def drop(lines):\n"
            "    return [line for line in lines if 'assert' not in line and 'check_' not in line]\n\n"
            "get_ipython().input_transformers_cleanup.append(drop)\n"
            "get_ipython().input_transformers_post.append(drop)"
        },
        loses=LOST,
    ),
    Attack(
        "ast-transformer",
        row="transformers that drop tests",
        does="lets IPython cut asserts out of the syntax tree",
        cells={
            "double": f"import ast\n\n{NOTHING}\n\n"
            "class Drop(ast.NodeTransformer):\n"
            "    def visit_Assert(self, node):\n"
            "        return ast.Pass()\n\n"
            "get_ipython().ast_transformers.append(Drop())"
        },
        loses=LOST,
    ),
    Attack(
        "ast-transformer-unsealed",
        row="transformers that drop tests",
        does="cuts asserts out of a test without a block, which is marked as not sealed and can be fooled",
        cells={
            "double": f"import ast\n\n{NOTHING}\n\n"
            "class Drop(ast.NodeTransformer):\n"
            "    def visit_Assert(self, node):\n"
            "        return ast.Pass()\n\n"
            "get_ipython().ast_transformers.append(Drop())",
            "greet": "greet = None",
        },
        loses=LOST,
    ),
    Attack(
        "run-cell",
        row="patched machinery",
        does="replaces run_cell by one that runs no test",
        cells={
            "double": f"{NOTHING}\n\n"
            "shell = get_ipython()\n"
            "run_cell = shell.run_cell\n\n"
            "def skip(source, *args, **options):\n"
            "    return run_cell('' if 'assert' in source else source, *args, **options)\n\n"
            "shell.run_cell = skip\n"
            "type(shell).run_cell = lambda self, *args, **options: skip(*args, **options)"
        },
        loses=LOST,
    ),
    Attack(
        "custom-exceptions",
        row="patched machinery",
        does="swallows every exception in a handler and in the excepthook",
        cells={
            "double": f"import sys\n\n{NOTHING}\n\n"
            "get_ipython().set_custom_exc((BaseException,), lambda *_, **__: None)\n"
            "sys.excepthook = lambda *_: None"
        },
        loses=LOST,
    ),
    Attack(
        "builtins",
        row="patched machinery",
        does="replaces built-in functions and AssertionError",
        cells={
            "double": f"import builtins\n\n{NOTHING}\n\n"
            "class AssertionError(Exception):\n"
            "    def __new__(cls, *_):\n"
            "        return Warning()\n\n"
            "builtins.AssertionError = AssertionError\n"
            "builtins.abs = builtins.round = builtins.sum = lambda *_: 0"
        },
        loses=LOST,
    ),
    Attack(
        "exec",
        row="patched machinery",
        does="replaces exec by one that does not run the tests' lines",
        cells={
            "double": f"import builtins\n\n{NOTHING}\n\n"
            "run = builtins.exec\n"
            "builtins.exec = lambda code, *names: "
            "None if getattr(code, 'co_filename', '') == '<test>' else run(code, *names)"
        },
        loses={
            "double-seen": "failed: 'answer' was never given a value",
            "double-hidden": "failed: 'zero' was never given a value",
            **adds("failed: 'total' was never given a value"),
            "ordered-cases": "failed: 'result' was never given a value",
        },
    ),
    Attack(
        "helpers",
        row="patched machinery",
        does="replaces the checks that the tests import",
        cells={
            "ordered": "import coursekit\n\n"
            "coursekit.check_same = check_same = lambda *_: None\n\n"
            "def ordered(items):\n    return items"
        },
        loses={"ordered-cases": "failed: ordered([3, 1, 2]) is not [1, 2, 3]"},
    ),
    Attack(
        "student-rebound",
        row="patched machinery",
        does="rebinds `student` and `seed` to things of its own that swallow exceptions",
        cells={
            "double": f"{NOTHING}\n\n"
            "class Swallow:\n"
            "    def __enter__(self):\n        return self\n\n"
            "    def __exit__(self, *_):\n        return True\n\n"
            "student, seed, AssertionError = Swallow(), 0, Warning\n"
            "import coursekit\n"
            "coursekit.student = student"
        },
        loses=LOST,
    ),
    Attack(
        "modules-beside",
        row="modules beside the notebook",
        does="lays modules beside the notebook under the names of those that the grader imports",
        cells={"double": NOTHING},
        write=_modules_beside,
        loses=LOST,
        notes=["was left out: only the assignment's notebooks are graded", "files left out beside these: "],
    ),
    Attack(
        "modules-written",
        row="modules beside the notebook",
        does="writes such modules itself, from a cell, wherever Python may look",
        cells={
            "double": f"import os, sys\n\n{NOTHING}\n\n"
            "for folder in ['.', os.path.expanduser('~'), *sys.path]:\n"
            "    for name in ('sitecustomize', 'coursekit', 'inside', 'IPython'):\n"
            "        try:\n"
            "            open(os.path.join(folder, name + '.py'), 'w').write('print(1 / 0)')\n"
            "        except OSError:\n"
            "            pass\n"
            "sys.path.insert(0, os.getcwd())\n"
            "for name in ('coursekit', 'math'):\n"
            "    sys.modules.pop(name, None)"
        },
        loses={
            "double-seen": "failed: ZeroDivisionError",
            "double-hidden": "failed: ZeroDivisionError",
            **adds("failed: ZeroDivisionError"),
            "ordered-cases": "failed: ZeroDivisionError",
        },
    ),
]

VALUES = [
    Attack(
        "liar",
        row="lying values",
        does="returns an object that is equal to everything",
        cells={"double": f"{LIAR}\ndef double(x):\n    return Liar()"},
        loses={
            "double-seen": "failed: 'answer' holds __main__.Liar, which cannot be judged",
            "double-hidden": "failed: 'zero' holds __main__.Liar, which cannot be judged",
        },
    ),
    Attack(
        "liar-inside",
        row="lying values",
        does="returns a list of such objects",
        cells={"ordered": f"{LIAR}\ndef ordered(items):\n    return [Liar(), 2, 3]"},
        loses={"ordered-cases": "failed: 'result' holds __main__.Liar at [0], which cannot be judged"},
    ),
    Attack(
        "liar-number",
        row="lying values",
        does="returns a float that is equal to everything",
        cells={
            "double": "class float(float):\n"
            "    __eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n\n"
            "def double(x):\n    return float(1)"
        },
        loses={
            "double-seen": "failed: 'answer' holds __main__.float, which cannot be judged",
            "double-hidden": "failed: 'zero' holds __main__.float, which cannot be judged",
        },
    ),
    Attack(
        "liar-list",
        row="lying values",
        does="returns a list whose class lies about its length and contents",
        cells={
            "ordered": "class List(list):\n"
            "    __eq__ = lambda self, other: True\n    __len__ = lambda self: 3\n"
            "    __iter__ = lambda self: iter([1, 2, 3])\n\n"
            "def ordered(items):\n    return List(items)"
        },
        loses={"ordered-cases": "failed: 'result' holds __main__.List, which cannot be judged"},
    ),
    Attack(
        "liar-class",
        row="lying values",
        does="returns an object whose metaclass and name pretend to be int",
        cells={
            "double": "class Meta(type):\n"
            "    __name__ = property(lambda cls: 'int')\n"
            "    __eq__ = lambda cls, other: True\n"
            "    __hash__ = lambda cls: hash(int)\n"
            "    __instancecheck__ = __subclasscheck__ = lambda *_: True\n\n"
            "Six = Meta('Six', (), {'__eq__': lambda *_: True, '__class__': int, '__module__': 'builtins'})\n\n"
            "def double(x):\n    return Six()"
        },
        loses={
            "double-seen": "failed: 'answer' holds Six, which cannot be judged",
            "double-hidden": "failed: 'zero' holds Six, which cannot be judged",
        },
    ),
    Attack(
        "pickle",
        row="lying values",
        does="returns an object that would run a command when it is unpickled",
        cells={
            "double": "import os\n\n"
            "class Bomb:\n"
            "    def __reduce__(self):\n"
            "        return os.system, ('touch /tmp/proctor-threat-unpickled',)\n\n"
            "def double(x):\n    return Bomb()"
        },
        loses={
            "double-seen": "failed: 'answer' holds __main__.Bomb, which cannot be judged",
            "double-hidden": "failed: 'zero' holds __main__.Bomb, which cannot be judged",
        },
    ),
    Attack(
        "typed-in",
        row="visible answers typed in",
        does="returns what the visible checks want",
        cells={"double": TYPED},
        loses=TYPED_LOST,
    ),
]

FORGED = [
    Attack(
        "prints-ok",
        row="forged kernel messages",
        does="prints verdicts and shows results from within the tests",
        cells={
            "double": "from IPython.display import display\n\n"
            "def double(x):\n"
            "    print('ok\\npassed\\n4.0')\n"
            "    get_ipython().displayhook(4.0)\n"
            "    display(4.0)\n"
            "    return None"
        },
        loses=LOST,
    ),
    Attack(
        "raises-ok",
        row="forged kernel messages",
        does="ends the tests' blocks with SystemExit(0), which looks like success",
        cells={"double": "def double(x):\n    raise SystemExit(0)"},
        loses={"double-seen": "failed: SystemExit", "double-hidden": "failed: SystemExit"},
    ),
    *(
        Attack(
            f"partial-{name}",
            row="partial scores",
            does=f"shows {text} as the result of a test without a block",
            cells={
                "greet": "class Score:\n"
                f"    __repr__ = lambda self: {text!r}\n\n"
                "def greet(name):\n"
                "    get_ipython().displayhook(Score())\n"
                "    return f'Hello, {name}!'"
            },
            loses=loses,
        )
        for name, text, loses in (
            ("nan", "nan", {"greet-open": "failed: 0 of 1 points"}),
            ("negative", "-7", {"greet-open": "failed: 0 of 1 points"}),
            ("infinite", "inf", {}),
            ("above", "1e9", {}),
        )
    ),
    Attack(
        "writes-nonsense",
        row="lying replies on the wire",
        does="writes nonsense to every open descriptor while a cell runs",
        added={
            "double-seen": "import os\n\n"
            "for descriptor in range(3, 256):\n"
            "    try:\n"
            "        os.write(descriptor, b'\\xff' * 64)\n"
            "    except OSError:\n"
            "        pass"
        },
        stopped="ended the process",
    ),
    Attack(
        "answers-before-asked",
        row="lying replies on the wire",
        does="sends well-formed answers before they are asked for, for cells, copies and blocks alike",
        cells={"double": NOTHING},
        added={
            "double-seen": f"{OPEN}\n"
            "import socket, sys\n\n"
            "wire = next(module for name, module in sys.modules.items() if name.endswith('inside.wire'))\n"
            "message = {'ended': 'well', 'pid': os.getpid(), 'refused': {}, 'device': 'cuda:7', 'printed': ''}\n"
            "values = {'outputs': [], 'answer': 6, 'zero': 0, 'hornwort': 1.0, 'total': 7, 'result': [1, 2, 3]}\n"
            "for fd in sockets():\n"
            "    for _ in range(3):\n"
            "        wire.write(socket.socket(fileno=os.dup(fd)), wire.pack(message, values))"
        },
        loses={
            "double-seen": "failed: double(3) is None, expected 6",
            "double-hidden": "failed: double(0) is not 0",
            "add-negative": "failed: add(-2, -5) is not",
            "add-zero": "failed: add(0, 0) is not",
            "add-large": "failed: add(10**9, 1) is not",
            "ordered-cases": "failed: 'result' was never given a value",
        },
    ),
    Attack(
        "answers-for-the-block",
        row="lying replies on the wire",
        does="answers in place of the block, with the visible answer",
        cells={
            "double": f"{OPEN}\n"
            "import socket, sys\n\n"
            "def double(x):\n"
            "    wire = next(module for name, module in sys.modules.items() if name.endswith('inside.wire'))\n"
            "    message = {'ended': 'well', 'refused': {}, 'device': '', 'printed': ''}\n"
            "    values = {'answer': 6, 'zero': 0, 'hornwort': 6, 'drawn': 6}\n"
            "    for fd in sockets():\n"
            "        wire.write(socket.socket(fileno=os.dup(fd)), wire.pack(message, values))\n"
            "    os._exit(0)"
        },
        loses={"double-hidden": "crashed: your code ended its process"},
        stopped="test 'double-hidden': your code ended its process",
    ),
    *(
        Attack(
            f"frame-{name}",
            row="lying replies on the wire",
            does=f"answers a block with {what}",
            cells={
                "double": f"{OPEN}\nimport struct\n\n"
                "def double(x):\n"
                f"    frame = {frame}\n"
                "    for fd in sockets():\n"
                "        os.write(fd, frame)\n"
                "    os._exit(0)"
            },
            loses={
                "double-seen": "crashed: what your code returned could not be read",
                "double-hidden": "crashed: what your code returned could not be read",
            },
            stopped="test 'double-seen': what your code returned could not be read",
        )
        for name, what, frame in (
            ("huge", "a frame that announces 2**60 bytes", "struct.pack('<4sQQ', b'GDW1', 2**60, 2**60)"),
            ("nonsense", "bytes that are no frame", "b'HTTP/1.1 200 OK' * 9"),
            (
                "deep",
                "a header that is nested 100,000 deep",
                "struct.pack('<4sQQ', b'GDW1', 200_000, 0) + b'[' * 100_000 + b']' * 100_000",
            ),
            (
                "shape",
                "a tensor that claims a shape of 2**40 entries and brings none",
                "(lambda text: struct.pack('<4sQQ', b'GDW1', len(text), 0) + text)("
                'b\'{"m": {"ended": "well"}, "v": {"answer": ["array", "f8", [1099511627776]], '
                '"zero": ["array", "O", [1]]}, "b": []}\')',
            ),
        )
    ),
    Attack(
        "reads-the-block",
        row="known data and block texts",
        does="looks for the answer in the text and the constants of the block that calls it",
        cells={
            "double": "import sys\n\n"
            "def double(x):\n"
            "    frame, seen = sys._getframe(1), []\n"
            "    while frame:\n"
            "        seen += [each for each in frame.f_code.co_consts if type(each) in (int, float)]\n"
            "        seen += [each for each in frame.f_locals.values() if type(each) in (int, float)]\n"
            "        frame = frame.f_back\n"
            "    return 6 if x == 3 else x and max(seen)"
        },
        loses=TYPED_LOST,
    ),
    Attack(
        "detects-the-grader",
        row="detecting the grader",
        does="behaves only where it sees the sandbox's host name, user and parent",
        cells={
            "double": "import os, socket\n\n"
            "graded = socket.gethostname() == 'student' or os.getppid() == 1 or 'PROCTOR_SITE' in os.environ\n\n"
            "def double(x):\n    return (6 if x else 0) if graded else None"
        },
        loses=TYPED_LOST,
    ),
]

ATTACKS = [*METADATA, *MACHINERY, *VALUES, *FORGED]
