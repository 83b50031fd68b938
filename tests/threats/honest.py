"""Honest students, whose work looks odd; and the neighbours who prove that nobody stopped the class."""

from __future__ import annotations

import copy

from .entry import Attack, Notebook, code_cell, named

__all__ = ["ATTACKS", "NEIGHBOUR"]

NEIGHBOUR = "riccia"  # a word in the work of one student, which no other may see


def _copied(notebook: Notebook) -> None:
    for name in ("double-seen", "add-cases"):
        cell = named(notebook, name)
        notebook["cells"].insert(notebook["cells"].index(cell) + 1, copy.deepcopy(cell))


def _split(notebook: Notebook) -> None:
    """Write the helper and the test runs into cells of their own, as people do."""
    cells = notebook["cells"]
    named(notebook, "double")["source"] = "def double(x):\n    return twice(x)"
    cells.insert(cells.index(named(notebook, "double")), code_cell("def twice(x):\n    return x + x"))
    cells.insert(cells.index(named(notebook, "double-seen")), code_cell("double(21)"))
    cells.append({"cell_type": "markdown", "metadata": {}, "source": "I liked this."})
    cells.append(code_cell(""))


def _jupyter_noise(notebook: Notebook) -> None:
    notebook["metadata"] |= {"toc": {}, "widgets": {}, "colab": {"provenance": []}, "accelerator": "GPU"}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"colab": {"base_uri": "https://localhost"}, "collapsed": True, "id": f"x{number}"}


NOISE = [
    Attack(
        "neighbour-first",
        row="honest: another style",
        does="answers everything, before all others in the list",
        added={"": f"# {NEIGHBOUR}: my own thoughts\nprint('done')"},
        shows=["done"],
    ),
    Attack(
        "zz-neighbour-last",
        row="honest: another style",
        does="answers everything, after all others in the list",
    ),
    Attack(
        "zz-tensor-neighbour",
        row="honest: another style",
        does="answers everything about tensors",
        assignment="tensor",
    ),
    Attack(
        "warns",
        row="honest: noise",
        does="warns, prints and logs to stderr in correct code",
        cells={
            "double": "import logging, sys, warnings\n\n"
            "def double(x):\n"
            "    warnings.warn('this is old', DeprecationWarning)\n"
            "    warnings.warn('this is odd')\n"
            "    logging.warning('logged')\n"
            "    print('to stderr', file=sys.stderr)\n"
            "    return 2 * x",
            "greet": "import sys\n\n"
            "def greet(name):\n    print('to stderr', file=sys.stderr)\n    return f'Hello, {name}!'",
        },
        added={"": "import sys\nprint('a last word', file=sys.stderr)"},
        shows=["a last word"],
    ),
    Attack(
        "progress",
        row="honest: noise",
        does="draws progress bars in cells and in functions",
        cells={
            "ordered": "import sys\n\n"
            "def ordered(items):\n"
            "    for step in range(100):\n"
            "        sys.stderr.write(f'\\r{step}%|{\"█\" * (step // 10):<10}|')\n"
            "        sys.stderr.flush()\n"
            "    return sorted(items)"
        },
        added={
            "": "from IPython.display import clear_output, display\n\n"
            "shown = display('0%', display_id=True)\n"
            "for step in range(50):\n"
            "    print(f'\\r{step}', end='', flush=True)\n"
            "    shown.update(f'{step}%')\n"
            "    clear_output(wait=True)\n"
            "print('finished')"
        },
        shows=["finished"],
    ),
    Attack(
        "magics",
        row="honest: odd notebooks",
        does="uses magics, shell commands, help and top-level await",
        added={
            "double-seen": "%matplotlib inline\n%time double(2)\nfiles = !ls\n!echo shell",
            "add-cases": "%%time\nadd(1, 2)",
            "": "import asyncio\nawait asyncio.sleep(0)\nprint?\n%timeit -n 1 -r 1 double(3)",
        },
        shows=["shell", "Wall time"],
    ),
    Attack(
        "plots",
        row="honest: odd notebooks",
        does="draws figures in cells and in functions",
        cells={
            "double": "import matplotlib.pyplot as plt\n\n"
            "def double(x):\n    plt.plot([x, 2 * x])\n    plt.show()\n    return 2 * x"
        },
        added={"": "fig, ax = plt.subplots()\nax.plot([double(each) for each in range(9)]);"},
        shows=["image/png"],
    ),
    Attack(
        "unicode",
        row="honest: odd notebooks",
        does="uses names and texts in other alphabets",
        cells={
            "double": "def double(größe):\n    número_二 = größe\n    return número_二 + größe",
            "greet": "def greet(имя):\n    '''Приветствие 👋'''\n    return f'Hello, {имя}!'",
        },
        added={"": "print('Ωμέγα 🎓 السلام')"},
        shows=["Ωμέγα 🎓 السلام"],
    ),
    Attack(
        "threads",
        row="honest: odd notebooks",
        does="computes with threads and leaves the pool open, so that no test can have a copy of the process",
        cells={
            "double": "from concurrent.futures import ThreadPoolExecutor\n\n"
            "pool = ThreadPoolExecutor(3)\nlist(pool.map(abs, range(9)))\n\n"
            "def double(x):\n    return sum(pool.map(abs, [x, x]))",
        },
    ),
    Attack(
        "processes-honest",
        row="honest: odd notebooks",
        does="computes with processes",
        cells={
            "ordered": "import multiprocessing\n\n"
            "def ordered(items):\n"
            "    with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "        return sorted(pool.map(abs, items))"
        },
        on_landlock={"loses": {"ordered-cases": "failed: PermissionError: "}},  # semaphores are shared memory
    ),
    Attack(
        "copied-tests",
        row="honest: odd notebooks",
        does="copied two test cells by mistake",
        change=_copied,
        notes=["a copy of test cell 'double-seen' was left out"],
    ),
    Attack("split-cells", row="honest: odd notebooks", does="adds and splits cells", change=_split),
    Attack("noisy-metadata", row="honest: odd notebooks", does="saved its work in Colab", change=_jupyter_noise),
    Attack(
        "large-outputs",
        row="honest: odd notebooks",
        does="prints more than anybody reads, in cells and in functions",
        cells={"double": "def double(x):\n    print('step ' * 100_000)\n    return 2 * x"},
        added={"": "for number in range(100_000):\n    print(number, 'of many')"},
        shows=["0 of many"],
    ),
]

STYLE = [
    Attack(
        "classes",
        row="honest: another style",
        does="writes classes, decorators, lambdas and partial functions",
        cells={
            "double": "from functools import lru_cache, partial\nimport operator\n\ndouble = partial(operator.mul, 2)",
            "add": "class Adder:\n    def __call__(self, x, y):\n        return sum((x, y))\n\nadd = Adder()",
            "ordered": "@lru_cache\ndef cached(items):\n    return tuple(sorted(items))\n\n"
            "ordered = lambda items: [*cached(tuple(items))]",
            "greet": "greet = 'Hello, {}!'.format",
        },
    ),
    Attack(
        "own-names",
        row="honest: another style",
        does="uses names that the tests use: answer, total, result, student, seed, math, zero",
        cells={
            "double": "answer, zero, drawn, fresh, math, seed, student = 1, 2, 3, 4, 5, 6, 7\n\n"
            "def double(x):\n    return x + x",
            "add": "total = None\n\ndef add(x, y):\n    total = x\n    return total + y",
            "ordered": "result = print\nsum = max = open = None\n\ndef ordered(items):\n    return sorted(items)",
        },
    ),
    Attack(
        "slow",
        row="honest: another style",
        does="takes a second for what takes others no time, and seeds its own generators",
        cells={
            "double": "import random, time\n\nrandom.seed(7)\n\ndef double(x):\n    time.sleep(0.5)\n    return x + x",
        },
    ),
    Attack(
        "nothing",
        row="honest: another style",
        does="hands in some tasks only; what is open says so",
        cells={"double": "raise NotImplementedError('later')"},
        loses={"double-seen": "failed: NameError: name 'double' is not defined", "double-hidden": "failed: NameError"},
    ),
]

ATTACKS = [*NOISE, *STYLE]
