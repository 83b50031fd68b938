"""Grades read well, show no zero where nothing was judged, and carry no formula into a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest

from proctor.model import Outcome, Verdict
from proctor.report import aligned, grades_csv, grades_table, neutral, one_line, verdict_json

FULL = Verdict("demo-ada", "tiny", "complete", (Outcome("a", "passed", 2.0, 2.0), Outcome("b", "failed", 0.5, 1.0)))
BROKEN = Verdict("demo-otto", "tiny", "not judged", reason="the notebook is not valid JSON (line 1)")


def test_columns_are_aligned_and_lines_end_where_their_text_ends() -> None:
    assert aligned([("a", "1"), ("long", "10")], right=[1]) == ["a      1", "long  10"]
    assert aligned([("a", ""), ("long", "x")]) == ["a", "long  x"]


def test_the_table_has_a_line_for_each_student() -> None:
    lines = grades_table([FULL, BROKEN], notes={"demo-ada": "the reference"}, most=3.0)
    assert lines[1].split() == ["demo-ada", "the", "reference", "2.5/3", "complete"]
    assert lines[2].endswith("-/3  not judged  the notebook is not valid JSON (line 1)")


def test_a_submission_that_is_not_judged_has_no_score_in_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(grades_csv([FULL, BROKEN], most=3.0))))
    assert [row["score"] for row in rows] == ["2.5", ""]
    assert [row["max_score"] for row in rows] == ["3", "3"]
    assert [row["state"] for row in rows] == ["complete", "not judged"]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_neutralised(formula: str) -> None:
    assert neutral(formula) == f"'{formula.strip()}"
    verdict = Verdict(formula, "tiny", "not judged", reason=formula)
    row = next(csv.DictReader(io.StringIO(grades_csv([verdict], most=3.0))))
    assert row["student"][0] == row["reason"][0] == "'"


def test_ordinary_text_stays_as_it_is() -> None:
    assert neutral("demo-ada") == "demo-ada"


def test_a_long_message_fits_one_line() -> None:
    assert one_line("what came\n  and where to look") == "what came and where to look"
    assert one_line("word " * 99, most=20) == "word word word word…"


def test_a_verdict_is_plain_json() -> None:
    cell = Outcome("a", "timed out", 0.0, 2.0, "too slow", device="cuda:0", sealed=True, seconds=1.23456)
    verdict = Verdict("ada", "tiny", "partial", (cell,), "slow", ("moved",), "bubblewrap", 2.34567, 2**20, seed=7)
    assert json.loads(json.dumps(verdict_json(verdict))) == {
        "student": "ada",
        "assignment": "tiny",
        "state": "partial",
        "reason": "slow",
        "score": 0.0,
        "max_score": 2.0,
        "cells": {
            "a": {
                "points": 0.0,
                "max": 2.0,
                "outcome": "timed out",
                "message": "too slow",
                "device": "cuda:0",
                "sealed": True,
                "seconds": 1.235,
            }
        },
        "notes": ["moved"],
        "rung": "bubblewrap",
        "seconds": 2.346,
        "peak_memory": 2**20,
        "seed": 7,
    }


def test_what_is_not_judged_has_no_score_in_json() -> None:
    shown = verdict_json(BROKEN)
    assert (shown["score"], shown["max_score"], shown["cells"], shown["seed"]) == (None, None, {}, None)


def test_cells_of_several_notebooks_are_told_apart() -> None:
    cells = tuple(Outcome("a", "passed", 1.0, 1.0, notebook=name) for name in ("one", "two"))
    assert list(verdict_json(Verdict("ada", "tiny", "complete", cells))["cells"]) == ["one/a", "two/a"]
