"""Which tests could see that a solution cell was written otherwise.

A cell uses another when it reads a name that the other binds, in a function that runs later too. No cell uses a test.
What an answer does to the rest of the process, such as changing a library, is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping

from proctor.author.names import bound, events
from proctor.author.syntax import parse_notebook
from proctor.model import Assignment

__all__ = ["reached_tests"]


def reached_tests(assignment: Assignment, replaces: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the test cells that use a replaced cell, directly or through others.

    Args:
        assignment: the cells as their author wrote them.
        replaces: solution cell -> the source that stands in its place; what is no Python reaches every test.
    """
    binds, reads = {}, {}
    for cell in assignment.cells:
        if cell.kind not in ("text", "written"):
            sources = [cell.source, *([replaces[cell.name]] if cell.name in replaces else [])]
            trees = [parse_notebook(source) for source in sources]
            if None in trees:
                return frozenset(test.name for test in assignment.of_kind("test"))
            binds[cell.name] = {name for tree in trees if tree and cell.kind != "test" for name in bound(tree)}
            reads[cell.name] = {each.name for tree in trees if tree for each in events(tree) if each.kind == "read"}
    reached, added = set(replaces), set(replaces)
    while added:
        names = set().union(*(binds[cell] for cell in added))
        added = {cell for cell in reads if cell not in reached and reads[cell] & names}
        reached |= added
    return frozenset(cell.name for cell in assignment.of_kind("test") if cell.name in reached)
