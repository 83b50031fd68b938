"""Whatever an author's file holds, it is read or refused with a list of problems, and nothing else happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proctor.author import build_notebook, open_task_stub
from proctor.author.markers import regions
from proctor.author.syntax import parse

# The desk is only a folder that each example overwrites.
BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
INDEX = st.integers(min_value=0, max_value=10_000)
LINES = ["```", "+++", "---", "'''", "", "  ", "\t", "é\u2028\x0c", "break", "    with student:"]
MARKS = ["### BEGIN SOLUTION", "### END HIDDEN TESTS", ":name: a", "loses: a", "## A (1 point)", "| Task | Points |"]


def refuses_or_reads(desk: Any, text: str) -> None:
    """Read a text; problems must stand on its lines, and what is read must make a notebook."""
    found = desk.problems(text)
    lines = text.count("\n") + 1
    assert all(1 <= problem.line <= lines + 1 and problem.what and problem.todo for problem in found), found
    if not found:
        assignment = desk.read(text)
        build_notebook(assignment)
        assert all(parse(open_task_stub(cell)) for cell in assignment.of_kind("solution"))


def test_any_line_may_be_deleted(desk: Any) -> None:
    lines = desk.sample.split("\n")
    for index in range(len(lines)):
        refuses_or_reads(desk, "\n".join(lines[:index] + lines[index + 1 :]))


def test_any_line_of_the_answers_may_be_deleted(desk: Any) -> None:
    lines = desk.answers.split("\n")
    for index in range(len(lines)):
        found = desk.problems_of_answers("\n".join(lines[:index] + lines[index + 1 :]))
        assert all(1 <= problem.line <= len(lines) and problem.what and problem.todo for problem in found), found


@BOUNDED
@given(start=INDEX, length=st.integers(min_value=1, max_value=60))
def test_any_stretch_of_lines_may_be_deleted(desk: Any, start: int, length: int) -> None:
    lines = desk.sample.split("\n")
    start %= len(lines)
    refuses_or_reads(desk, "\n".join(lines[:start] + lines[start + length :]))


@BOUNDED
@given(places=st.lists(st.tuples(INDEX, st.sampled_from(LINES + MARKS)), min_size=1, max_size=4))
def test_any_line_may_be_put_anywhere(desk: Any, places: list[tuple[int, str]]) -> None:
    lines = desk.sample.split("\n")
    for index, line in places:
        lines.insert(index % (len(lines) + 1), line)
    refuses_or_reads(desk, "\n".join(lines))


@BOUNDED
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(desk: Any, text: str) -> None:
    assert desk.problems(text)
    desk.problems_of_answers(text)


@pytest.mark.parametrize("length", [1, 3])
def test_a_cut_file_is_refused(desk: Any, length: int) -> None:
    """A file that ends early has lost its last question, or more: the sums no longer hold."""
    lines = desk.sample.split("\n")
    for end in range(0, len(lines) - 6, length * 7):
        assert desk.problems("\n".join(lines[:end]))


def test_regions_are_cut_without_touching_the_rest(desk: Any) -> None:
    for cell in desk.read().of_kind("solution"):
        inside = {line for region in regions(cell.source) for line in range(region.first, region.last + 1)}
        kept = [text for line, text in enumerate(cell.source.split("\n")) if line not in inside]
        stub = [text for text in open_task_stub(cell).split("\n") if "NotImplementedError" not in text]
        assert stub == kept
