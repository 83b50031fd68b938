"""The source notebook of an assignment, as nbgrader reads it (schema 3)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from proctor.disk import write_whole
from proctor.model import Assignment, Cell

__all__ = ["build_notebook", "write_source"]

SCHEMA = 3
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}
FLAGS = {  # what nbgrader is to do with a cell of each kind
    "given": {"grade": False, "locked": True, "solution": False},
    "solution": {"grade": False, "locked": False, "solution": True},
    "test": {"grade": True, "locked": True, "solution": False},
    "written": {"grade": True, "locked": False, "solution": True},
}


def build_notebook(assignment: Assignment) -> NotebookNode:
    """Return the source notebook: solutions, hidden tests and the metadata of nbgrader.

    A cell's id is its name; that of a text comes from its words. So the same file makes the same notebook, byte for
    byte. What only proctor reads (`tests`, `slow`) stands under the key `proctor` of a test's metadata.
    """
    seen: Counter[str] = Counter()
    cells = [_cell(cell, seen) for cell in assignment.cells]
    notebook: NotebookNode = new_notebook(cells=cells, metadata=METADATA)  # type: ignore[no-untyped-call]  # untyped
    return notebook


def write_source(assignment: Assignment, target: Path) -> bool:
    """Write the source notebook, whole or not at all; leave the file alone if it would not change.

    Args:
        assignment: what to write.
        target: `source/NAME/NAME.ipynb`; its folder is made.

    Returns:
        Whether the file changed.
    """
    notebook = build_notebook(assignment)
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]  # nbformat is untyped
    content = f"{text}\n".encode()
    if target.is_file() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content, mode=0o644)
    return True


def _cell(cell: Cell, seen: Counter[str]) -> NotebookNode:
    is_prose = cell.kind in ("text", "written")
    make: Callable[..., NotebookNode] = new_markdown_cell if is_prose else new_code_cell
    cell_id = cell.name or _id(cell.source, seen)
    return make(cell.source, id=cell_id, metadata=_metadata(cell))


def _id(text: str, seen: Counter[str]) -> str:
    """Return an id that no name can be (names have single dashes), different for equal texts."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    seen[digest] += 1
    return f"text--{digest}--{seen[digest]}"


def _metadata(cell: Cell) -> dict[str, Any]:
    if cell.kind == "text":
        return {}
    marks: dict[str, Any] = {"grade_id": cell.name, "schema_version": SCHEMA, "task": False, **FLAGS[cell.kind]}
    if marks["grade"]:
        marks["points"] = int(cell.points) if cell.points == int(cell.points) else cell.points
    if cell.kind != "test":
        return {"nbgrader": marks}
    return {"nbgrader": marks, "proctor": {"slow": cell.slow, "tests": list(cell.tests)}}
