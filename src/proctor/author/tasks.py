"""Tasks, their points, and the rubric table that lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proctor.author.layout import Heading, Layout, Table
from proctor.author.rules import Findings, near
from proctor.model import Cell, Task

__all__ = ["check_rubric", "check_title", "read_tasks"]

TASK = re.compile(r"(?P<title>.+) \((?P<points>\d+(\.\d+)?) point(?P<plural>s?)\)")
ALMOST = re.compile(r"\d+\s*(points?|pts?\.?|marks?)\W*$", re.IGNORECASE)
NUMBER = re.compile(r"\d+(\.\d+)?")
TOTAL = "**Total**"


def check_title(layout: Layout, found: Findings) -> str:
    """Return the title; note a missing one, a second one, and one that something stands above."""
    titles = [heading for heading in layout.headings if heading.level == 1]
    if not titles:
        found.add(1, "title", "there is no heading of level 1", "write '# Title' below the front matter")
        return ""
    for heading in titles[1:]:
        what = f"'{heading.text}' is a second title"
        found.add(heading.line, "title", what, "keep one heading of level 1; tasks have level 2")
    if titles[0] != layout.headings[0] or layout.pieces[0].kind != "markdown" or _starts_below(layout, titles[0]):
        found.add(titles[0].line, "title", f"'{titles[0].text}' is not the first line", "move it to the top")
    return titles[0].text


def _starts_below(layout: Layout, title: Heading) -> bool:
    return layout.pieces[0].body_line != title.line


def read_tasks(layout: Layout, cells: Sequence[Cell], found: Findings) -> tuple[Task, ...]:
    """Return the tasks; note headings that are nearly tasks, graded cells outside, and sums that are wrong."""
    tasks = []
    borders = [heading for heading in layout.headings if heading.level <= 2]
    inside: set[int] = set()
    for heading, following in zip(borders, [*borders[1:], None], strict=False):
        points = _task_points(heading, found)
        if points is None:
            continue
        end = following.line if following else None
        held = [cell for cell in cells if cell.name and heading.line < cell.line and (not end or cell.line < end)]
        inside |= {id(cell) for cell in held}
        title = heading.text.rpartition(" (")[0]
        tasks.append(Task(title, points, heading.line, tuple(cell.name for cell in held)))
        total = sum(cell.points for cell in held)
        if abs(total - points) > 1e-9:
            what = f"'{title}' has {points:g} points, and its cells have {total:g} in all"
            found.add(heading.line, "task-points", what, "make them equal")
    for heading in layout.headings:
        if heading.level > 2:
            _note_almost(heading, found)
    _check_cells(cells, layout, inside, found)
    _check_titles(tasks, found)
    return tuple(tasks)


def _task_points(heading: Heading, found: Findings) -> float | None:
    match = TASK.fullmatch(heading.text)
    if heading.level != 2 or not match or (match["points"] == "1") == bool(match["plural"]):
        _note_almost(heading, found)
        return None
    return float(match["points"])


def _note_almost(heading: Heading, found: Findings) -> None:
    if ALMOST.search(heading.text):
        todo = "write '## Title (2 points)' or '## Title (1 point)'"
        found.add(heading.line, "task-heading", f"'{heading.text}' is nearly the heading of a task", todo)


def _check_cells(cells: Sequence[Cell], layout: Layout, inside: set[int], found: Findings) -> None:
    for cell in cells:
        if cell.kind in ("test", "written") and id(cell) not in inside:
            what = f"'{cell.name}' stands in no task"
            found.add(cell.line, "outside-task", what, "move it below a heading such as '## Title (2 points)'")
        last = cell.line + cell.source.count("\n")
        if cell.kind == "written":
            for heading in layout.headings:
                if cell.line <= heading.line <= last and heading.level <= 2:
                    what = f"the heading '{heading.text}' belongs to the question '{cell.name}'"
                    found.add(heading.line, "heading-in-question", what, "end the question with a line '+++'")


def _check_titles(tasks: Sequence[Task], found: Findings) -> None:
    first: dict[str, int] = {}
    for task in tasks:
        if task.title in first:
            what = f"'{task.title}' is also the task at line {first[task.title]}"
            found.add(task.line, "duplicate-task", what, "give one of them another title")
        first.setdefault(task.title, task.line)


def check_rubric(layout: Layout, tasks: Sequence[Task], found: Findings) -> None:
    """Note a rubric that is missing or differs from the tasks."""
    rubrics = [table for table in layout.tables if table.rows[0][0] == "Task" and table.rows[0][-1] == "Points"]
    if not rubrics:
        line = layout.headings[0].line if layout.headings else 1
        todo = f"add one with a row for each task and a last row | {TOTAL} | **N** |"
        found.add(line, "rubric-missing", "no table has the header | Task | Points |", todo)
    for table in rubrics[1:]:
        what = f"the rubric stands at line {rubrics[0].lines[0]} already"
        found.add(table.lines[0], "rubric-twice", what, "keep one")
    if rubrics:
        _check_rows(rubrics[0], tasks, found)


def _check_rows(rubric: Table, tasks: Sequence[Task], found: Findings) -> None:
    rows = list(zip(rubric.rows[1:], rubric.lines[1:], strict=True))
    _check_total(rows.pop() if rows and "Total" in rows[-1][0][0] else None, rubric, tasks, found)
    by_title = {task.title: task for task in tasks}
    listed: list[str] = []
    for row, line in rows:
        title, points = row[0], row[-1]
        task = by_title.get(title)
        if task is None:
            what = f"no task is called '{title}'{near(title, by_title)}"
            found.add(line, "rubric-row", what, "write the words of its heading, without the points")
        elif title in listed:
            found.add(line, "rubric-row", f"'{title}' stands in the rubric twice", "keep one row")
        elif not NUMBER.fullmatch(points) or float(points) != task.points:
            what = f"'{title}' has '{points}' points here and {task.points:g} in its heading, at line {task.line}"
            found.add(line, "rubric-points", what, "make them equal")
        listed.append(title)
    for task in tasks:
        if task.title not in listed:
            found.add(task.line, "rubric-row", f"the rubric has no row for '{task.title}'", "add one")
    known = list(dict.fromkeys(title for title in listed if title in by_title))
    if known != [title for title in by_title if title in known]:
        found.add(rubric.lines[0], "rubric-order", "the rubric's rows are not in the order of the tasks", "sort them")


def _check_total(
    last: tuple[tuple[str, ...], int] | None, rubric: Table, tasks: Sequence[Task], found: Findings
) -> None:
    total = sum(task.points for task in tasks)
    todo = f"write | {TOTAL} | **{total:g}** |"
    if last is None:
        found.add(rubric.lines[-1], "rubric-total", "the rubric does not end in its total", todo)
        return
    (row, line), number = last, last[0][-1].strip("*")
    if row[0] != TOTAL or row[-1] != f"**{number}**" or not NUMBER.fullmatch(number) or float(number) != total:
        what = f"the total is '{row[-1]}', and the tasks have {total:g} points in all"
        found.add(line, "rubric-total", what, todo)
