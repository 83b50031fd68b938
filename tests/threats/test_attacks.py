"""Every attack comes out as it must, and no other submission notices it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest
from nbgrader.api import Gradebook

from .conftest import ATTACKS, Graded
from .course import IN_BLOCK, SECRETS
from .entry import ROWS, Attack
from .files import PROBE
from .honest import NEIGHBOUR

PLACES = [Path(path) for path in ("/tmp", "/var/tmp", "/dev/shm", "/")]


def test_every_row_of_the_threat_model_is_tried() -> None:
    assert {attack.row for attack in ATTACKS} == set(ROWS)


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_comes_out_as_it_must(attack: Attack, graded: Graded) -> None:
    verdict = graded.verdicts(attack.assignment)[attack.name]
    attack = attack.on(graded.rung, counted=graded.counted, reason=verdict["reason"])
    assert verdict["state"] == attack.state, verdict["reason"]
    if attack.refused:
        assert attack.refused in verdict["reason"]
        assert (verdict["score"], verdict["cells"]) == (None, {})
        return
    assert attack.stopped in verdict["reason"]
    assert attack.stopped or not verdict["reason"]
    assert _told(verdict) == _expected(verdict, attack)
    assert verdict["score"] == sum(cell["points"] for cell in verdict["cells"].values())
    for words in attack.notes:
        assert any(words in note for note in verdict["notes"]), verdict["notes"]
    outputs = _outputs(graded, attack)
    for words in attack.shows:
        assert words in outputs


def _told(verdict: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """Return points and words by test cell."""
    cells = verdict["cells"].items()
    return {name: (cell["points"], f"{cell['outcome']}: {cell['message']}") for name, cell in cells}


def _expected(verdict: dict[str, Any], attack: Attack) -> dict[str, tuple[float, str]]:
    """Return what must be told: the words that are there, if they hold those that must be."""
    expected = {name: (float(cell["max"]), "passed: ") for name, cell in verdict["cells"].items()}
    for name, words in attack.loses.items():
        state, _, says = words.partition(": ")
        told = _told(verdict)[name][1]
        expected[name] = (0.0, told if told.startswith(f"{state}: ") and says in told else words)
    return expected


def _outputs(graded: Graded, attack: Attack) -> str:
    """Return what the student's cells show, as text with the kinds of what else there is."""
    path = graded.course.autograded / attack.name / attack.assignment / f"{attack.assignment}.ipynb"
    shown = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown += ["".join(output.get("text", "")), *output.get("traceback", []), *data, *map(str, data.values())]
    return "\n".join(shown)


@pytest.mark.parametrize("assignment", ["plain", "tensor"])
def test_the_command_says_who_was_not_judged_and_nothing_else_went_wrong(graded: Graded, assignment: str) -> None:
    command, verdicts = graded.commands[assignment], graded.verdicts(assignment)
    handed_in = {attack.name for attack in ATTACKS if attack.assignment == assignment}
    refused = {attack.name for attack in ATTACKS if attack.assignment == assignment and attack.refused}
    assert verdicts.keys() == handed_in
    assert {name for name, verdict in verdicts.items() if verdict["state"] == "not judged"} == refused
    assert command.code == int(bool(refused)), command.err
    assert len(command.err.splitlines()) == 1, command.err
    assert command.err.startswith(f"{len(handed_in)}: ")
    assert not [name for name in verdicts if "a fault of ours" in verdicts[name]["reason"]]
    assert all(verdict["rung"] == graded.rung for name, verdict in verdicts.items() if name not in refused)


def test_tests_without_a_block_are_marked_as_not_sealed(graded: Graded) -> None:
    cells = graded.verdicts("plain")["zz-neighbour-last"]["cells"]
    assert {name for name, cell in cells.items() if not cell["sealed"]} == {"greet-open"}


def test_no_process_is_left(graded: Graded) -> None:
    for command in graded.commands.values():
        assert command.left == []
    commands = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if "31337.31337" in command or "proctor_threat_daemon" in command]


def test_no_file_and_no_control_group_is_left(graded: Graded) -> None:
    assert list(graded.scratch.iterdir()) == []
    assert not [path for place in PLACES for path in place.glob("*proctor-threat-*")]
    assert not list(graded.course.root.rglob("*proctor-threat-*"))
    pids = {command.pid for command in graded.commands.values()}
    groups = [path for path in Path("/sys/fs/cgroup").rglob("proctor-*") if int(path.name.split("-")[1]) in pids]
    assert groups == []


def test_nothing_that_was_there_has_changed(graded: Graded) -> None:
    assert graded.after == graded.before


def test_the_gradebook_holds_the_points_that_were_earned(graded: Graded) -> None:
    with Gradebook(f"sqlite:///{graded.course.gradebook}") as gradebook:
        assert sorted(each.name for each in gradebook.assignments) == ["plain", "tensor"]
        for assignment in ("plain", "tensor"):
            verdicts = graded.verdicts(assignment)
            kept = {each.student.id: each.score for each in gradebook.assignment_submissions(assignment)}
            assert kept == {name: each["score"] for name, each in verdicts.items() if each["score"] is not None}


def _published(graded: Graded) -> dict[str, str]:
    """Return all that students or others may see, by student and place."""
    found = {}
    for folder in (graded.course.autograded, graded.course.feedback):
        for path in folder.rglob("*"):
            if path.is_file():
                found[str(path.relative_to(graded.course.root))] = path.read_text(encoding="utf-8")
    for assignment in graded.commands:
        for name, verdict in graded.verdicts(assignment).items():
            found[f"told/{name}"] = json.dumps(verdict, ensure_ascii=False)
    return found


def test_feedback_is_written_for_everyone_who_was_judged(returned: Graded) -> None:
    assert returned.feedback is not None
    assert returned.feedback.code == 0, returned.feedback.err
    judged = {attack.name for attack in ATTACKS if attack.assignment == "plain" and not attack.refused}
    assert {path.name for path in returned.course.feedback.iterdir() if path.is_dir()} == judged


def test_nothing_hidden_is_published(graded: Graded) -> None:
    blind = {attack.name for attack in ATTACKS if attack.blind}
    leaks = []
    for place, text in _published(graded).items():
        leaks += [(place, word) for word in SECRETS if word in text]
        if place.split("/")[1] not in blind and IN_BLOCK in text:
            leaks.append((place, IN_BLOCK))
    assert leaks == []


def test_no_path_of_the_course_and_no_neighbour_is_published(graded: Graded) -> None:
    leaks = []
    for place, text in _published(graded).items():
        leaks += [(place, "course")] * (str(graded.course.root) in text)
        leaks += [(place, NEIGHBOUR)] * (NEIGHBOUR in text and "/neighbour-first" not in place)
    assert leaks == []


def _is_link(tag: str, name: str, value: str | None) -> bool:
    """Return whether this is an address that a reader must click, and that leads to another page."""
    return (tag, name) == ("a", "href") and re.match("(https?:)?//", value or "") is not None


class _Acting(HTMLParser):
    """Finds payloads of students in what a browser would act upon."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.inside = ""
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        odd = [
            (name, value)
            for name, value in attrs
            if PROBE in f"{tag} {name} {value}" and not _is_link(tag, name, value)
        ]
        self.found += [f"<{tag} {name}={value}>" for name, value in odd]

    def handle_endtag(self, _: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style") and PROBE in data:
            self.found.append(f"<{self.inside}>{data[:200]}")

    def handle_comment(self, data: str) -> None:
        self.found += [f"<!--{data[:200]}"] * (PROBE in data)


def test_nothing_of_a_students_acts_in_the_feedback(returned: Graded) -> None:
    pages = list(returned.course.feedback.rglob("*.html"))
    assert any(PROBE in page.read_text(encoding="utf-8") for page in pages)
    acting = {page.parts[-3]: found for page in pages if (found := _Acting(page.read_text(encoding="utf-8")).found)}
    assert acting == {}


class _Scripts(HTMLParser):
    """Finds scripts, and attributes that run one."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.is_inside = False
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_inside = tag == "script"
        if self.is_inside:
            self.found.append(f"<script {attrs}>")
        self.found += [f"{name}={value}" for name, value in attrs if name.startswith("on")]
        self.found += [f"{name}={value}" for name, value in attrs if "script:" in (value or "").lower()]

    def handle_endtag(self, _: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.found.append(data)


def test_the_feedback_holds_no_script_but_the_two_of_nbgraders_own_page(returned: Graded) -> None:
    pages = {page.parts[-3]: page.read_text(encoding="utf-8") for page in returned.course.feedback.rglob("*.html")}
    own = _Scripts(pages["zz-neighbour-last"]).found
    assert sum(text.startswith("<script") for text in own) == 2, "MathJax and its settings"
    assert {name for name, page in pages.items() if _Scripts(page).found != own} == set()
    assert {name for name, page in pages.items() if page.lower().count("<script") != 2} == set()


def test_no_control_character_reaches_a_terminal_or_a_page(graded: Graded) -> None:
    odd = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
    found = {place: odd.findall(text) for place, text in _published(graded).items() if odd.search(text)}
    assert found == {}
