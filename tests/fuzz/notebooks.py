"""A notebook of an instructor's with one cell of each kind, what students received of it, and what may come back."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions

from proctor.author import NameOpenTasks, build_notebook, read_assignment

from .mutate import as_text, odd_value, spoil_bytes, spoil_tree

__all__ = ["SECRET", "Material", "ours", "small", "spoiled", "spoiled_tree"]

SECRET = (
    "secret_answer"  # in every solution and hidden test of the small notebook, and in nothing that students receive
)
ROOT = Path(__file__).resolve().parents[2]
Tree = dict[str, Any]  # a notebook, parsed
Change = Callable[[random.Random, list[Any]], None]

HALF_WRITTEN = (
    *("%%bash\nrm -rf /", "!pip install x", "%matplotlib inline", "%%writefile t.py\nx", "?f", "%%html\n"),
    *("def f(:", "    return", "'''", "f(", "\\", "### BEGIN HIDDEN TESTS", "### END SOLUTION", "<b>"),
    *("### BEGIN SOLUTION\n### END HIDDEN TESTS", "\x00", "\ufeffx = 1", "x = 1\r\n\x0c", "\u2028", "with student:\n"),
    *("from IPython import get_ipython", "exit()", "assert True", "0.1", "import os\nos._exit(0)", "", " \n\t"),
)  # fmt: skip
KINDS = ("code", "markdown", "raw")


@dataclass(frozen=True)
class Material:
    """One assignment as three parsed notebooks, of which nobody changes anything."""

    source: Tree  # the instructor's
    released: Tree
    answered: Tree  # the release with something written into each open place

    def fresh(self) -> Tree:
        """Return the answered notebook, to be changed."""
        tree: Tree = json.loads(json.dumps(self.answered))
        return tree


@cache
def small() -> Material:
    """Return a notebook as instructors make them in JupyterLab, with cells that nbgrader does not know."""
    hidden = f"### BEGIN HIDDEN TESTS\nassert f(2) == {SECRET}\n### END HIDDEN TESTS\n"
    cells = [
        _cell("markdown", "# Course"),
        _cell("code", "import math", "imports", locked=True),
        _cell("code", "rate = 0.1"),
        _cell("markdown", "Read this.", "read-only", locked=True),
        _cell("code", f"### BEGIN SOLUTION\n{SECRET} = 1\n### END SOLUTION", "f", solution=True),
        _cell("code", f"assert f(1) == 1\n{hidden}", "f-test", grade=True, locked=True, points=2),
        _cell("code", "plot = f(4)"),
        _cell("markdown", "---"),
        _cell("code", f"{SECRET} = 7", "g", solution=True),
        _cell("code", "assert g == 7", "g-test", grade=True, locked=True, points=1.5),
        _cell("markdown", "---"),
        _cell("markdown", f"{SECRET}.", "why", grade=True, solution=True, points=3),
        _cell("code", f"{SECRET} = 2", "sketch", grade=True, solution=True, points=1),
        _cell("markdown", "Build it.", "build", task=True, locked=True, points=4),
        _cell("raw", "raw"),
        _cell("code", "assert True", "last-test", grade=True, locked=True, points=1),
    ]
    source = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})  # type: ignore[no-untyped-call]
    notebook, resources = copy.deepcopy(source), {"language": "python"}
    for clear in (ClearSolutions, ClearHiddenTests, ClearMarkScheme):
        notebook, resources = clear().preprocess(notebook, resources)
    return _material(source, notebook)


@cache
def ours() -> Material:
    """Return a whole assignment of this course."""
    source = build_notebook(read_assignment(ROOT / "assignments" / "backprop"))
    opened, resources = NameOpenTasks().preprocess(copy.deepcopy(source), {})
    opened, _ = ClearHiddenTests().preprocess(opened, resources)
    return _material(source, opened)


def _cell(kind: str, source: str, name: str = "", **flags: Any) -> Tree:
    flags = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3} | flags
    metadata = {"nbgrader": {"grade_id": name, **flags}} if name else {}
    more: Tree = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": "given", "metadata": metadata, "source": source, **more}


def _material(source: Any, released: Any) -> Material:
    answered = json.loads(json.dumps(released))
    for number, cell in enumerate(answered["cells"]):
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = f"answer_{number} = {number}"
    return Material(json.loads(json.dumps(source)), json.loads(json.dumps(released)), answered)


def spoiled(rng: random.Random, material: Material) -> bytes:
    """Return the bytes of a notebook that was spoiled as a tree, as bytes, or as both."""
    data = as_text(rng, spoiled_tree(rng, material)).encode("utf-8", "surrogatepass")
    return spoil_bytes(rng, data) if rng.random() < 0.4 else data


def spoiled_tree(rng: random.Random, material: Material) -> Tree:
    """Return a notebook after changes that somebody makes on purpose, changes at random, or both."""
    tree = material.fresh()
    verb = rng.choice(("forge", "forge", "spoil", "both", "neither"))
    if verb in ("forge", "both"):
        for _ in range(rng.randint(1, 8)):
            rng.choice(CHANGES)(rng, tree["cells"])
    if verb in ("spoil", "both"):
        part: Any = rng.choice((tree, tree["cells"], tree["cells"], {"cells": tree["cells"]}))
        spoil_tree(rng, part, others=rng.sample(tree["cells"], min(3, len(tree["cells"]))))
    if rng.random() < 0.2:
        tree[rng.choice(("nbformat", "nbformat_minor", "metadata", "worksheets"))] = odd_value(rng)
    return tree


def _any(rng: random.Random, cells: list[Any]) -> dict[str, Any]:
    """Return one of the cells; a new one if there is none that is an object."""
    objects = [cell for cell in cells if type(cell) is dict]
    return rng.choice(objects) if objects else _new(rng)


def _new(rng: random.Random) -> dict[str, Any]:
    source = rng.choice((rng.choice(HALF_WRITTEN), f"x = {rng.random()}"))
    return {"cell_type": rng.choice(KINDS), "id": "own", "metadata": {}, "source": source}


def _marks(rng: random.Random, cells: list[Any]) -> dict[str, Any]:
    """Return the marks of one of the cells, made if it has none."""
    metadata = _any(rng, cells).setdefault("metadata", {})
    marks = metadata.setdefault("nbgrader", {}) if type(metadata) is dict else {}
    return marks if type(marks) is dict else {}


def _delete(rng: random.Random, cells: list[Any]) -> None:
    start = rng.randint(0, len(cells))
    del cells[start : start + rng.choice((1, 1, 1, 3, len(cells)))]


def _repeat(rng: random.Random, cells: list[Any]) -> None:
    cells.insert(rng.randint(0, len(cells)), json.loads(json.dumps(_any(rng, cells))))


def _move(rng: random.Random, cells: list[Any]) -> None:
    if cells:
        cells.insert(rng.randint(0, len(cells)), cells.pop(rng.randrange(len(cells))))


def _shuffle(rng: random.Random, cells: list[Any]) -> None:
    rng.choice((rng.shuffle, list.reverse))(cells)


def _claim(rng: random.Random, cells: list[Any]) -> None:
    """Give a cell the name of another: the cell is then there twice, or two are swapped."""
    first, second = _marks(rng, cells), _marks(rng, cells)
    name = first.get("grade_id", "")
    if rng.random() < 0.5:
        first["grade_id"] = second.get("grade_id", "")
    second["grade_id"] = rng.choice((name, name, f"{name} ", name.upper() if type(name) is str else name))


def _misname(rng: random.Random, cells: list[Any]) -> None:
    _marks(rng, cells)["grade_id"] = odd_value(rng)


def _forge(rng: random.Random, cells: list[Any]) -> None:
    """Change points and flags, or make a graded cell of one's own."""
    forged = rng.choice((100, -1, "<<nan>>", "<<huge>>", "many", None, True, False))
    _marks(rng, cells)[rng.choice(("points", "grade", "solution", "locked", "task", "schema_version"))] = forged
    if rng.random() < 0.3:
        marks = {
            "grade": True,
            "locked": True,
            "solution": False,
            "grade_id": rng.choice(("mine", "f-test")),
            "points": 99,
        }
        cells.insert(rng.randint(0, len(cells)), {**_new(rng), "metadata": {"nbgrader": marks}})


def _unmark(rng: random.Random, cells: list[Any]) -> None:
    for cell in cells if rng.random() < 0.3 else [_any(rng, cells)]:
        if type(cell) is dict:
            cell["metadata"] = rng.choice(({}, None, [], {"nbgrader": None}, {"tags": ["skip-execution"]}))


def _retype(rng: random.Random, cells: list[Any]) -> None:
    _any(rng, cells)["cell_type"] = rng.choice((*KINDS, "heading", "Code", None, 3))


def _rewrite(rng: random.Random, cells: list[Any]) -> None:
    """Give a cell another source: of another cell, half-written, in lines, none, or no text."""
    other = _any(rng, cells).get("source")
    text = other if type(other) is str else ""
    lines = text.splitlines(keepends=True)
    odd = odd_value(rng)
    sources = (other, rng.choice(HALF_WRITTEN), lines, [*lines, 3], [None], None, text + "  \r\n", text * 2, odd)
    _any(rng, cells)["source"] = rng.choice(sources)


def _add(rng: random.Random, cells: list[Any]) -> None:
    start = rng.randint(0, len(cells))
    cells[start:start] = [_new(rng) for _ in range(rng.choice((1, 1, 1, 2, 5, 600)))]


def _merge(rng: random.Random, cells: list[Any]) -> None:
    first, second = _any(rng, cells), _any(rng, cells)
    first["source"] = f"{first.get('source')}\n{second.get('source')}"
    if first is not second and second in cells:
        cells.remove(second)


def _put_odd(rng: random.Random, cells: list[Any]) -> None:
    cells.insert(rng.randint(0, len(cells)), odd_value(rng))


CHANGES: tuple[Change, ...] = (
    *(_delete, _repeat, _move, _shuffle, _claim, _claim, _misname, _forge, _unmark, _retype),
    *(_rewrite, _rewrite, _add, _merge, _put_odd),
)
