"""What students receive runs as it is, and stops at open tasks alone, each by its name."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from proctor.author import read_assignment
from proctor.course import find_course
from proctor.release import release

COURSE = find_course(Path(__file__).parent)
OPEN = re.compile(r"Task '([a-z0-9-]+)' is open")
LIMIT = 300  # s for a cell; on a busy machine PyTorch alone takes a while to import


@pytest.mark.parametrize("name", COURSE.names)
def test_an_untouched_notebook_stops_only_at_open_tasks_and_names_them(name: str, tmp_path: Path) -> None:
    assignment = read_assignment(COURSE.assignment(name))
    notebook = nbformat.read(release(COURSE, name), as_version=4)
    NotebookClient(
        notebook, timeout=LIMIT, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    stopped = {}
    for cell in (each for each in notebook.cells if each.cell_type == "code"):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors:
            cell_name = cell.metadata.nbgrader.grade_id
            named = OPEN.findall(errors[0].evalue)
            assert named, f"{cell_name}: {errors[0].ename}: {errors[0].evalue}"
            stopped[cell_name] = named[0]
    tests = {cell.name: cell.tests for cell in assignment.of_kind("test")}
    assert tests.keys() <= stopped.keys(), "every test stops at a task that is open"
    assert {cell: task for cell, task in stopped.items() if cell in tests and task not in tests[cell]} == {}
    assert set(stopped.values()) == {cell.name for cell in assignment.of_kind("solution")}, "some task is never named"
