"""Which cells use which: what tests could see a change, and what a test could not do without.

A cell uses another when it reads a name that the other binds, in a function that runs later too. No cell uses a test.
What a cell does to the rest of the process, such as changing a library, is not followed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from proctor.author.names import bound, events
from proctor.author.syntax import parse_notebook
from proctor.model import Assignment

__all__ = ["reached_tests", "used_cells"]


def reached_tests(assignment: Assignment, replaces: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the test cells that use a replaced cell, directly or through others.

    Args:
        assignment: the cells as their author wrote them.
        replaces: solution cell -> the source that stands in its place; what is no Python reaches every test.
    """
    tests = frozenset(test.name for test in assignment.of_kind("test"))
    uses = _uses(assignment, replaces)
    if uses is None:
        return tests
    used_by = {cell: {other for other, names in uses.items() if cell in names} for cell in uses}
    return tests & _closed(used_by, replaces)


def used_cells(assignment: Assignment, tests: Collection[str], replaces: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the code cells that these tests use, directly or through others, and their own.

    Args:
        assignment: the cells as their author wrote them.
        tests: names of test cells.
        replaces: solution cell -> the source that stands in its place; if one is no Python, every cell may be used.
    """
    uses = _uses(assignment, replaces)
    return _closed(uses, tests) if uses is not None else frozenset(cell.name for cell in assignment.cells if cell.name)


def _uses(assignment: Assignment, replaces: Mapping[str, str]) -> dict[str, set[str]] | None:
    """Return for each code cell those that it uses; None if one of them is no Python."""
    binds: dict[str, set[str]] = {}
    reads: dict[str, set[str]] = {}
    for cell in (each for each in assignment.cells if each.kind not in ("text", "written")):
        binds[cell.name], reads[cell.name] = set(), set()
        for source in {cell.source, replaces.get(cell.name, cell.source)}:
            tree = parse_notebook(source)
            if tree is None:
                return None
            binds[cell.name] |= bound(tree).keys() if cell.kind != "test" else set()
            reads[cell.name] |= {event.name for event in events(tree) if event.kind == "read"}
    return {cell: {other for other, names in binds.items() if names & reads[cell]} for cell in reads}


def _closed(steps: Mapping[str, Collection[str]], start: Collection[str]) -> frozenset[str]:
    """Return what can be reached from the start, the start included."""
    found, added = set(start), set(start)
    while added:
        added = {other for cell in added for other in steps[cell]} - found
        found |= added
    return frozenset(found)
