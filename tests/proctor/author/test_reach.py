"""A test is reached by a changed cell when it uses it, directly or through other cells, and needs what it uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.author.reach import reached_tests, used_cells
from proctor.model import Assignment, Cell

CELLS = (
    Cell("given", "import math", 1, "opening"),
    Cell("text", "Words that name double.", 2),
    Cell("solution", "def double(x):\n    return 2 * x", 3, "double"),
    Cell("given", "class Number:\n    def twice(self):\n        return double(self.x) + later(self.x)", 4, "number"),
    Cell("solution", "def later(x):\n    return x", 5, "later"),
    Cell("solution", "def alone(x):\n    return math.sqrt(x)", 6, "alone"),
    Cell("written", "Why does double?", 7, "why"),
    Cell("test", "with student:\n    y = double(1)\nassert y == 2", 8, "direct", ("double",)),
    Cell("test", "with student:\n    y = Number().twice()\nassert y == 2", 9, "through-a-class", ("later",)),
    Cell("test", "with student:\n    z = alone(1)\nassert z == 1", 10, "of-another", ("alone",)),
    Cell("test", "with student:\n    z = alone(1)\n    y = y\nassert z == 1", 11, "of-a-tests-name", ("alone",)),
)
SMALL = Assignment("small", Path("small.md"), "Small", CELLS, ())


@pytest.mark.parametrize(
    ("replaces", "reached"),
    [
        ({"double": "def double(x): return x"}, {"direct", "through-a-class"}),
        ({"later": "def later(x): return 2"}, {"through-a-class"}),
        ({"alone": "def alone(x): return 2"}, {"of-another", "of-a-tests-name"}),
        (
            {"alone": "def alone(x): return 2\ndef double(x): return 1"},
            {cell.name for cell in CELLS if cell.kind == "test"},
        ),
        ({"later": "%timeit 1\ndef later(x): return 2"}, {"through-a-class"}),
        ({}, set()),
    ],
    ids=["used in a function", "of a later cell", "of one function", "binds another's name", "a magic", "nothing"],
)
def test_a_test_is_reached_through_the_names_that_it_uses(replaces: dict[str, str], reached: set[str]) -> None:
    assert reached_tests(SMALL, replaces) == reached


def test_what_is_no_python_reaches_every_test() -> None:
    assert reached_tests(SMALL, {"alone": "def alone(x: return"}) == {cell.name for cell in SMALL.of_kind("test")}


@pytest.mark.parametrize(
    ("test", "used"),
    [
        ("direct", {"double"}),
        ("through-a-class", {"number", "double", "later"}),
        ("of-another", {"alone", "opening"}),
    ],
)
def test_a_test_uses_the_cells_whose_names_it_reads_and_what_those_use(test: str, used: set[str]) -> None:
    assert used_cells(SMALL, {test}, {}) == {test, *used}


def test_a_replaced_cell_may_use_others_than_the_reference_does() -> None:
    replaces = {"double": "def double(x):\n    return later(x)"}
    assert used_cells(SMALL, {"direct"}, replaces) == {"direct", "double", "later"}
    assert used_cells(SMALL, {"direct"}, {"alone": "def alone(x: return"}) == {cell.name for cell in CELLS if cell.name}
