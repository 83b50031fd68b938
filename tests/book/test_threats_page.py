"""The page on threats tells what the data say, and the data are about the suite as it is."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from proctor.sandbox.promises import PROMISES, RUNGS

from .conftest import load_tool

ROOT = Path(__file__).resolve().parents[2]
DATA = json.loads((ROOT / "benchmarks" / "results" / "threats.json").read_text(encoding="utf-8"))
NAME = "pages/threats.html"
STRAIGHT = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "--"})  # noqa: RUF001 - as Sphinx curves them


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The script that writes the data."""
    return load_tool("threats_page")


@dataclass
class Table:
    """One table of a page."""

    caption: str = ""
    rows: list[list[tuple[str, str]]] = field(default_factory=list)  # cells: tag and text


class Tables(HTMLParser):
    """Reads the tables of a page, and the text outside them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[Table] = []
        self.prose = ""
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, _: Any) -> None:
        """Open a table, a row or a cell."""
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append((tag, ""))
        if tag in ("table", "caption", "td", "th"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        """Add text to what is open."""
        data = data.translate(STRAIGHT)
        if not self.inside:
            self.prose += data
        elif self.inside[-1] == "caption":
            self.tables[-1].caption += data
        elif self.inside[-1] in ("td", "th"):
            tag, text = self.tables[-1].rows[-1].pop()
            self.tables[-1].rows[-1].append((tag, text + data))


@pytest.fixture(scope="module")
def shown(pages: dict[str, Any]) -> Tables:
    """The built page."""
    return Tables(pages[NAME].text)


def rows_of(shown: Tables) -> dict[str, tuple[str, str]]:
    """Return what stands beside each submission: what nbgrader alone and what proctor made of it."""
    found = [[text.strip() for _, text in row] for table in shown.tables[:-1] for row in table.rows[1:]]
    assert len({row[0] for row in found}) == len(found), "a submission stands there twice"
    return {row[0]: (row[1], row[2]) for row in found}


def as_text(markdown: str) -> str:
    """Return how a sentence of the suite reads on a page."""
    return markdown.replace("`", "")


def test_the_data_name_exactly_the_suites_submissions(tool: ModuleType) -> None:
    named = [(each["name"], each["row"], each["does"], each["assignment"]) for each in DATA["attacks"]]
    suite = [(each.name, each.row, each.does, each.assignment) for each in tool.ATTACKS]
    assert named == suite, "the suite has changed: run `make threats`"


def test_every_submission_stands_in_the_group_of_its_row(tool: ModuleType) -> None:
    assert all(each["row"] in tool.GROUPS[each["group"]] for each in DATA["attacks"])


def test_the_data_say_what_the_rungs_promise() -> None:
    assert DATA["rungs"] == {"names": list(RUNGS), "promises": [asdict(each) for each in PROMISES]}


def test_what_is_called_wrong_follows_from_what_was_measured(tool: ModuleType) -> None:
    by_name = {attack.name: attack for attack in tool.ATTACKS}
    for each in DATA["attacks"]:
        facts = each["stock"]
        if facts["max"] is not None:
            assert facts["faults"] == list(tool.stock.faults(by_name[each["name"]], facts)), each["name"]
            assert facts["came_out"] == tool.stock.came_out(facts), each["name"]
        assert facts["is_wrong"] == bool(facts["faults"])


def test_proctor_does_as_declared_in_every_run() -> None:
    assert DATA["runs"]
    for each in DATA["attacks"]:
        assert set(each["proctor"]) == set(DATA["runs"])
        assert all(column["as_declared"] for column in each["proctor"].values()), each["name"]


def test_a_verdict_that_differs_from_its_entry_is_not_as_declared(tool: ModuleType) -> None:
    attack = next(each for each in tool.ATTACKS if each.name == "typed-in")
    cell = {"points": 1.0, "max": 1.0, "outcome": "passed", "message": ""}
    lost = {"points": 0.0, "max": 3.0, "outcome": "failed", "message": "double is wrong: is 6 typed in?"}
    cells = {"double-seen": cell, "double-hidden": lost}
    good = {"state": "complete", "reason": "", "score": 1.0, "cells": cells}
    assert tool.is_as_declared(attack, good)
    assert not tool.is_as_declared(attack, {**good, "state": "partial"})
    for odd in ({"double-hidden": {**lost, "points": 3.0}}, {"double-seen": {**cell, "points": 0.0}}):
        assert not tool.is_as_declared(attack, {**good, "cells": {**cells, **odd}})


@pytest.mark.book
def test_every_submission_stands_on_the_page_once_with_both_outcomes(shown: Tables) -> None:
    rows = rows_of(shown)
    assert rows.keys() == {as_text(each["does"]) for each in DATA["attacks"]}
    for each in DATA["attacks"]:
        nbgrader, proctor = rows[as_text(each["does"])]
        outcome, faults = each["stock"]["came_out"], "; ".join(each["stock"]["faults"])
        assert nbgrader == (f"{outcome}: {faults}" if faults else outcome)
        assert ("not judged" in proctor) == any(column["state"] == "not judged" for column in each["proctor"].values())
        assert "not as declared" not in proctor


@pytest.mark.book
def test_the_counts_in_the_prose_are_those_of_the_data(shown: Tables) -> None:
    prose = " ".join(shown.prose.split())
    stock = [each["stock"] for each in DATA["attacks"]]
    outcomes = [each["came_out"] for each in stock]
    undeserved = [each for each in stock if each["came_out"] == "full marks" and "too many points" in each["faults"]]
    assert f"All {len(stock)} submissions are graded twice" in prose
    assert f"does with {sum(each['is_wrong'] for each in stock)} of them what it should not" in prose
    assert f"full marks to {len(undeserved)} that earned fewer points" in prose
    assert f"With {outcomes.count('no grade')} it comes to no grade" in prose
    assert f"with {outcomes.count('the batch ended')} it ends before everybody behind them" in prose
    assert f"with {outcomes.count('never ended')} it does not end at all" in prose
    for run in DATA["runs"]:
        assert re.search(rf"\ball {len(stock)} \({run}\)", prose)


@pytest.mark.book
def test_every_table_has_a_caption_and_headings_of_rows_and_columns(shown: Tables) -> None:
    assert len(shown.tables) == len({each["group"] for each in DATA["attacks"]}) + 1
    for table in shown.tables:
        assert len(table.caption.strip()) > 20
        assert {tag for tag, _ in table.rows[0]} == {"th"}
        assert {row[0][0] for row in table.rows} == {"th"}
        assert len({len(row) for row in table.rows}) == 1


@pytest.mark.book
def test_the_rungs_stand_there_with_their_promises(shown: Tables) -> None:
    rows = [tuple(text.strip() for _, text in row) for row in shown.tables[-1].rows]
    assert rows[0][1:-1] == RUNGS
    assert rows[1:] == [(each.doing, *(each.on(rung) for rung in RUNGS), each.how) for each in PROMISES]


@pytest.mark.book
def test_no_hidden_word_of_the_suites_course_is_on_the_page(shown: Tables, pages: dict[str, Any]) -> None:
    from tests.threats.course import SECRETS

    assert shown.tables
    assert not [word for word in SECRETS if word in pages[NAME].text]
