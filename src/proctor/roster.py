"""The made-up class: what each student of the demo hands in, made from the assignment itself."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.course import DEMO_PREFIX
from proctor.model import Assignment, Row, Verdict

__all__ = ["Pupil", "make_class"]

Notebook = dict[str, Any]  # a notebook's JSON

RIGHT = ("grace", "emmy")
WRONG = ("blaise", "carl", "marie", "sofia", "george")
MARKERS = ("### BEGIN SOLUTION", "### END SOLUTION")


@dataclass(frozen=True)
class Pupil:
    """A made-up student: one file handed in, and the verdict that it was made for."""

    student: str
    note: str  # what it is, in a few words
    text: str  # of the file, which need not be a notebook
    state: str = "complete"
    score: float | None = None  # automatic points; None where they depend on when a cell is stopped

    def meets(self, verdict: Verdict) -> bool:
        """Whether a verdict is the expected one."""
        return verdict.state == self.state and self.score in (None, verdict.score)


def make_class(assignment: Assignment, rows: Sequence[Row], released: str) -> tuple[Pupil, ...]:
    """Return the class: right, differently right, half done, wrong, untouched, odd and broken submissions.

    Args:
        assignment: with its reference solutions.
        rows: of `answers.md`.
        released: the text of the notebook that students receive.
    """
    blank: Notebook = json.loads(released)
    full = assignment.automatic_points
    reference = {cell.name: _solution(cell.source) for cell in assignment.of_kind("solution")}
    solved = _filled(blank, reference)
    half = _filled(blank, _first_half(assignment, reference))
    return (
        _pupil("ada", "the reference", solved, score=full),
        *_rows("right", RIGHT, assignment, rows, solved),
        _pupil("alan", "the first half of the tasks", half),
        *_rows("wrong", WRONG, assignment, rows, solved),
        _pupil("noor", "nothing changed", blank, score=0.0),
        _pupil("linus", "right, with warnings on stderr", _filled(solved, _noisy(reference)), score=full),
        _pupil("iris", "right, a test cell copied", _with_a_copy(solved), score=full),
        _pupil("zeno", "an endless loop", _filled(solved, _endless(assignment, reference)), state="partial"),
        Pupil(f"{DEMO_PREFIX}otto", "a file cut in half", _text(solved)[: len(_text(solved)) // 2], "not judged"),
    )


def _pupil(name: str, note: str, notebook: Notebook, *, state: str = "complete", score: float | None = None) -> Pupil:
    return Pupil(f"{DEMO_PREFIX}{name}", note, _text(notebook), state, score)


def _rows(
    kind: str, names: Sequence[str], assignment: Assignment, rows: Sequence[Row], solved: Notebook
) -> Iterator[Pupil]:
    """Yield a submission for rows of one kind, spread over the whole table."""
    chosen = [row for row in rows if row.kind == kind]
    step = max(1, len(chosen) // len(names))
    for name, row in zip(names, chosen[::step], strict=False):
        lost = sum(assignment.cell(cell).points for cell in row.loses)
        score = assignment.automatic_points - lost
        yield _pupil(name, f"{kind}: {row.title}", _filled(solved, row.replaces), score=score)


def _solution(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if line.strip() not in MARKERS)


def _first_half(assignment: Assignment, reference: Mapping[str, str]) -> dict[str, str]:
    tasks = assignment.tasks[: (len(assignment.tasks) + 1) // 2]
    done = {name for task in tasks for name in task.cells}
    return {name: source for name, source in reference.items() if name in done}


def _text(notebook: Notebook) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _filled(notebook: Notebook, sources: Mapping[str, str]) -> Notebook:
    """Return a copy of the notebook with these cells' sources."""
    filled = copy.deepcopy(notebook)
    for cell in filled["cells"]:
        cell["source"] = sources.get(_name(cell), cell["source"])
    return filled


def _name(cell: Mapping[str, Any]) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def _with_a_copy(notebook: Notebook) -> Notebook:
    """Return the notebook with its first test cell twice, the second with an id of its own, as JupyterLab pastes it."""
    copied = copy.deepcopy(notebook)
    cells = copied["cells"]
    tests = [
        index
        for index, cell in enumerate(cells)
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade")
    ]
    for index in tests[:1]:
        twin = copy.deepcopy(cells[index])
        if "id" in twin:
            twin["id"] = f"{twin['id']}-copy"[-64:]
        cells.insert(index + 1, twin)
    return copied


def _noisy(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources with a warning at the start of every function."""
    warn = ast.parse("import warnings\nwarnings.warn('this may be slow')").body
    return {name: _with_bodies(source, lambda body: [*warn, *body]) for name, source in sources.items()}


def _endless(assignment: Assignment, sources: Mapping[str, str]) -> dict[str, str]:
    """Return one source whose functions never return: the one that the fewest tests judge, to keep the demo short."""
    tests = assignment.of_kind("test")
    calls = {name: sum(name in test.tests for test in tests) for name in sources}
    candidates = [name for name in sources if calls[name] and any(_functions(ast.parse(sources[name])))]
    name = min(candidates or sources, key=lambda each: calls[each])
    loop = ast.parse("while True:\n    pass").body
    return {name: _with_bodies(sources[name], lambda _body: loop)}


def _with_bodies(source: str, change: Callable[[list[ast.stmt]], list[ast.stmt]]) -> str:
    """Return the source with the body of each function changed; docstrings stay."""
    tree = ast.parse(source)
    for function in list(_functions(tree)):
        start = 1 if ast.get_docstring(function) is not None else 0
        function.body[start:] = change(function.body[start:])
    return ast.unparse(tree)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
