"""Time the reference solution of each assignment: graded with every hidden test, and under Validate.

Run it by `make bench-assignments`. What counts is the ratio of the two; the seconds are bounded by what a student waits
for and an instructor's class costs: 60 s for the reference, hidden tests included, on two cores.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from machine import machine
from nbgrader.validator import Validator

from proctor.author import build_notebook, read_assignment
from proctor.check import SEED, start_engines
from proctor.course import Course, find_course
from proctor.model import Assignment
from proctor.release import release
from proctor.sandbox import rung_here

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "assignments.json"


def main() -> None:
    """Measure, print a table, write the result."""
    course = find_course(HERE)
    rung = rung_here().name or "trusted"
    rows = {name: measure(course, name, rung) for name in course.names}
    result = {
        "what": "seconds for the reference solution: graded, hidden tests included, and under nbgrader's Validate",
        "command": "make bench-assignments",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "rung": rung,
        "assignments": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name:<14}graded {row['graded']:6.1f} s  Validate {row['validate']:6.1f} s  ratio {row['ratio']:.2f}")


def measure(course: Course, name: str, rung: str) -> dict[str, Any]:
    """Return the seconds of both ways, each with its start, and the ratio of grading to Validate."""
    assignment = read_assignment(course.assignment(name))
    graded = asyncio.run(grade(assignment, rung))
    validated = validate(assignment, release(course, name))
    return {"graded": round(graded, 1), "validate": round(validated, 1), "ratio": round(graded / validated, 2)}


async def grade(assignment: Assignment, rung: str) -> float:
    """Return how long `proctor check` takes to open its two sandboxes and its judge, and to judge the reference."""
    began = time.perf_counter()
    async with start_engines(assignment, seed=SEED, jobs=1, rung=rung) as engines:
        lost = [each for each in await engines.sealed(build_notebook(assignment)) if each.state != "passed"]
    assert not lost, f"the reference loses {lost[0].cell}: {lost[0].message}"
    return time.perf_counter() - began


def validate(assignment: Assignment, released: Path) -> float:
    """Return how long nbgrader's Validate takes on the released notebook, solved."""
    answers = {cell.name: cell.source for kind in ("solution", "written") for cell in assignment.of_kind(kind)}
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""), cell.source)
    with tempfile.TemporaryDirectory() as folder:
        solved = Path(folder, released.name)
        nbformat.write(notebook, solved)
        began = time.perf_counter()
        found = Validator().validate(str(solved))
        seconds = time.perf_counter() - began
    assert not any(found.values()), f"Validate says: {found}"
    return seconds


if __name__ == "__main__":
    main()
