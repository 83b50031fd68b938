"""Verdicts come back from the record exactly as they went in, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.course import Course
from proctor.errors import EngineError
from proctor.model import Outcome, Verdict
from proctor.record import Kept, Store, verdict_from_json, verdict_to_json

OUTCOMES = (
    Outcome("forward", "passed", 3.0, 3.0, device="cuda:0", sealed=True, notebook="dense", seconds=0.25),
    Outcome("backward", "failed", 1 / 3, 2.0, "Größe\nist \ud800 '5'"),
    Outcome("speed", "timed out", 0.0, 1.0, "ran past 60 s"),
)
VERDICT = Verdict("ada", "dense", "partial", OUTCOMES, "one ran late", ("a note",), "bubblewrap", 1.5, 2**40, 7)
KEPT = Kept(VERDICT, {"submission": "ab", "tests:forward": "cd"}, "2026-01-05T12:00:00+00:00")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Course(tmp_path), "dense")


@pytest.mark.parametrize("verdict", [VERDICT, Verdict("ada", "dense", "not judged", reason="it is not a notebook")])
def test_a_verdict_survives_json(verdict: Verdict) -> None:
    assert verdict_from_json(json.loads(json.dumps(verdict_to_json(verdict)))) == verdict


def test_what_is_written_is_read(store: Store, tmp_path: Path) -> None:
    assert store.read("ada") is None
    store.write("ada", KEPT)
    assert store.read("ada") == KEPT
    store.write("ada", replace(KEPT, recorded="later"))
    assert store.read("ada") == replace(KEPT, recorded="later")
    assert [path.name for path in (tmp_path / "records" / "dense").iterdir()] == ["ada.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda text: text[: len(text) // 2],
        lambda text: "\x00" * len(text),
        lambda _: "[]",
        lambda _: "[" * 100_000,
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"student": "ada"', '"student": "bob"'),
        lambda text: text.replace('"state": "partial"', '"state": "fine"'),
        lambda text: text.replace('"state": "failed"', '"state": "fine"'),
        lambda text: text.replace('"points": 3.0', '"points": "many"'),
        lambda text: text.replace('"cell": "forward",', ""),
        lambda text: text.replace('"outcomes": [', '"outcomes": [5, '),
        lambda text: text.replace('"key": {', '"key": 5, "other": {'),
    ],
)
def test_a_damaged_record_counts_as_none(store: Store, change: object) -> None:
    store.write("ada", KEPT)
    text = store.path("ada").read_text(encoding="utf-8")
    damaged = change(text)  # type: ignore[operator]
    assert damaged != text
    store.path("ada").write_text(damaged, encoding="utf-8")
    assert store.read("ada") is None


def test_a_failed_write_leaves_the_earlier_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("ada", KEPT)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EngineError) as raised:
        store.write("ada", replace(KEPT, recorded="later"))
    assert "the verdict could not be recorded: No space left on device" in str(raised.value)
    assert "ada.json" in str(raised.value)
    assert "grade again" in str(raised.value)
    assert store.read("ada") == KEPT
    assert len(list(store.path("ada").parent.iterdir())) == 1


def test_the_folder_cannot_be_made(store: Store, tmp_path: Path) -> None:
    (tmp_path / "records").write_text("in the way", encoding="utf-8")
    with pytest.raises(EngineError, match="could not be recorded"):
        store.write("ada", KEPT)
