"""Read an assignment file, and refuse it with every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proctor.author.cells import check_names, read_cells
from proctor.author.code import check_compiles, check_order, read_code
from proctor.author.layout import lay_out, read_text
from proctor.author.markers import RegionKind, check_markers
from proctor.author.rules import Findings
from proctor.author.tasks import check_rubric, check_title, read_tasks
from proctor.author.testcells import check_tests
from proctor.model import Assignment, Cell

__all__ = ["read_assignment"]

REGIONS: dict[str, Sequence[RegionKind]] = {"solution": ["SOLUTION"], "written": ["SOLUTION"], "test": ["HIDDEN TESTS"]}


def read_assignment(folder: Path) -> Assignment:
    """Read `NAME/NAME.md` and apply every rule of `proctor.author.rules`.

    Args:
        folder: the assignment's; its name is the assignment's name.

    Raises:
        AuthoringError: the file breaks a rule; carries every problem, in the order of the file.
    """
    name = folder.resolve().name
    path = folder / f"{name}.md"
    found = Findings(path)
    layout = lay_out(read_text(path, found), found)
    title = check_title(layout, found)
    cells = read_cells(layout.pieces, found)
    check_names(cells, found)
    for cell in cells:
        _check_regions(cell, found)
    tasks = read_tasks(layout, cells, found)
    check_rubric(layout, tasks, found)
    codes = read_code(cells, found)
    check_order(codes, found)
    check_tests(codes, found)
    check_compiles(codes, found)
    found.settle()
    return Assignment(name, path, title, cells, tasks)


def _check_regions(cell: Cell, found: Findings) -> None:
    title = f"the {cell.kind} cell '{cell.name}'" if cell.name else "plain text"
    allowed = REGIONS.get(cell.kind, ())
    check_markers(cell.source, cell.line, allowed, found, is_code=cell.kind not in ("text", "written"), title=title)
