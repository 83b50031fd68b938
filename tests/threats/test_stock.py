"""What nbgrader alone does is measured as it is, judged by what a submission earns, and never measured twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import stock
from .conftest import ATTACKS
from .entry import Attack
from .stock import Result, Template, came_out, earned, faults

BY_NAME = {attack.name: attack for attack in ATTACKS}
GOOD = {
    "score": 12.0,
    "graded": True,
    "max": 12.0,
    "must": 12.0,
    "ended": True,
    "neighbour": 12.0,
    "as_shown": True,
    "stolen": [],
    "changed": [],
    "acts": False,
    "left": 0,
}
FINDS = "it finds what it looks for"
UNGRADED = {"graded": False, "score": None, "as_shown": None}


@pytest.fixture(scope="module")
def made() -> Iterator[Template]:
    with stock.template() as made:
        yield made


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, "full marks"),
        ({"score": 8.0}, "8 of 12 points"),
        ({"score": "nan"}, "nan of 12 points"),
        ({**UNGRADED, "score": 0.0}, "no grade"),
        ({**UNGRADED, "neighbour": None}, "the batch ended"),
        ({"neighbour": None}, "the batch ended"),
        ({**UNGRADED, "ended": False, "neighbour": None}, "never ended"),
    ],
)
def test_the_outcome_is_one_of_a_few_words(facts: dict[str, Any], says: str) -> None:
    assert came_out({**GOOD, **facts}) == says


@pytest.mark.parametrize(
    ("name", "facts", "says"),
    [
        ("zz-neighbour-last", {}, []),
        ("liar", {"must": 8.0}, ["too many points"]),
        ("liar", {"must": 8.0, "score": "inf"}, ["too many points"]),
        ("warns", {"score": 8.0}, ["too few points"]),
        ("exits", {**UNGRADED, "score": 0.0}, ["yet the gradebook says 0"]),
        ("exits", UNGRADED, ["it has no grade"]),
        ("exits", {**UNGRADED, "neighbour": None}, ["nobody behind it is graded"]),
        ("0-busy", {**UNGRADED, "ended": False, "neighbour": None}, ["the command does not end"]),
        ("modules-written", {"must": 12.0, "neighbour": 3.0}, ["the next student loses points"]),
        (
            "memory",
            {"as_shown": False, "stolen": ["umbrel"]},
            ["it can print hidden tests", "it finds what it looks for"],
        ),
        ("endless-output", {"as_shown": False}, []),
        ("files", {"changed": ["course/seeds.json"]}, ["it changes files of the course"]),
        ("active-outputs", {"acts": True}, ["its feedback acts in a browser"]),
        ("left-a-leaves", {"left": 2}, ["it leaves processes behind"]),
        ("link-source", {"must": None}, ["points for what is no submission"]),
        ("link-source", {"must": None, **UNGRADED}, []),
        ("old-format", {"must": None}, []),
    ],
)
def test_a_fault_is_what_differs_from_what_is_earned(name: str, facts: dict[str, Any], says: list[str]) -> None:
    assert list(faults(BY_NAME[name], {**GOOD, **facts})) == says


def test_a_right_answer_earns_all_a_wrong_one_the_rest_and_a_damaged_file_nothing_at_all(made: Template) -> None:
    points = made.points["plain"]
    most = sum(points.values())
    assert earned(BY_NAME["zz-neighbour-last"], points) == most
    assert earned(BY_NAME["typed-in"], points) == most - points["double-hidden"]
    assert earned(BY_NAME["file-empty"], points) is None


def test_sabotage_that_costs_only_its_author_under_proctor_does_not_lower_what_the_answers_earn(made: Template) -> None:
    points = made.points["plain"]
    rest = sum(points.values()) - points["double-seen"] - points["double-hidden"]
    assert {earned(BY_NAME[name], points) for name in stock.BY_RIGHT} == {rest}
    assert rest not in {
        sum(points.values()) - sum(points[each] for each in BY_NAME[name].loses) for name in stock.BY_RIGHT
    }


def test_a_fingerprint_changes_with_what_is_handed_in_and_with_what_it_must_lose(made: Template) -> None:
    attacks = (
        Attack("a", "", ""),
        Attack("a", "", "", cells={"double": "pass"}),
        Attack("a", "", "", loses={"double-seen": "failed: "}),
        Attack("a", "", "", write=lambda folder: (folder / "beside.py").touch()),
    )
    marks = [stock.fingerprint(attack, made) for attack in attacks]
    assert len(set(marks)) == len(marks)
    assert marks == [stock.fingerprint(attack, made) for attack in attacks]


def test_an_interrupted_measurement_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def try_one(attack: Attack, _: Template) -> Result:
        tried.append(attack.name)
        return Result(f"{len(tried)} tried")

    monkeypatch.setattr(stock, "try_one", try_one)
    monkeypatch.setattr(stock, "ATTACKS", ATTACKS[:2])
    path = tmp_path / "below" / "stock.jsonl"
    said: list[str] = []
    first = stock.measure(path, said.append)
    monkeypatch.setattr(stock, "ATTACKS", ATTACKS[:3])
    second = stock.measure(path, said.append)
    assert sorted(tried) == sorted(attack.name for attack in ATTACKS[:3])
    assert {name: second[name] for name in first} == first
    assert second[ATTACKS[2].name]["came_out"] == "3 tried"
    assert [json.loads(line)["name"] for line in path.read_text(encoding="utf-8").splitlines()] == tried
    assert len(said) == 3


def test_bombs_are_not_run_where_nothing_would_stop_them(made: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "make", lambda **_: None)
    assert stock.try_one(BY_NAME["fork-bomb-wild"], made).came_out.startswith("not run: no control group")


needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")


@needs_bubblewrap
def test_nbgrader_alone_believes_an_object_that_is_equal_to_everything(made: Template) -> None:
    result = stock.try_one(BY_NAME["liar"], made)
    assert (result.came_out, result.score, result.must) == ("full marks", 12.0, 8.0)
    assert (result.ended, result.code, result.neighbour) == (True, 0, 12.0)
    assert (result.changed, result.left, result.feedback) == ((), 0, None)


@needs_bubblewrap
def test_it_runs_where_the_course_may_be_changed_and_nothing_of_this_machine_is_to_be_seen(made: Template) -> None:
    look = (
        "import pathlib\n"
        f"print('found the suite:', pathlib.Path({str(Path(__file__))!r}).exists())\n"
        "open(pathlib.Path.home() / 'course' / 'seeds.json', 'w').close()"
    )
    attack = Attack("looks", "files of the course", "", added={"": look}, shows=["found the suite: False"])
    result = stock.try_one(attack, made)
    assert result.as_shown
    assert result.changed == ("course/seeds.json",)
    assert result.feedback
