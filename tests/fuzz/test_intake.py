"""Whatever bytes and folders are handed in are read as data, or refused in plain words; nothing else ever escapes.

Intake starts a child for each notebook, which takes 40 ms. So the many cases call what runs in that child,
`reader.read`, in this process, and one case in ten is a folder that goes through the whole of intake.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proctor import reader
from proctor.errors import EngineError, ProctorError, SubmissionError
from proctor.intake import intake
from proctor.model import Submission

from .cases import Case, Cases
from .mutate import RAW
from .notebooks import ours, small, spoiled
from .trees import fill, listing, unlock

Run = Callable[[Coroutine[Any, Any, Submission]], Submission]
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
KINDS = {"code", "markdown", "raw"}
LONGEST_LINE = 400  # characters of a reason or a note: a name of 80, and a sentence


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a coroutine to its end in a loop of its own."""
    with asyncio.Runner() as runner:
        yield runner.run


def test_any_spoiled_notebook_is_read_or_refused(cases: Cases) -> None:
    for case in cases.each():
        with cases.running(case):
            data = spoiled(case.rng, ours() if case.rng.random() < 0.1 else small())
            answer = reader.read(data)
            assert json.loads(json.dumps(answer, ensure_ascii=False).encode()) == answer, "it goes through a pipe"
            check_answer(answer)
            case.count("refused" if "refused" in answer else "judged", answer.get("refused", [""])[0])


def check_answer(answer: dict[str, Any]) -> None:
    if "refused" in answer:
        assert list(answer) == ["refused"]
        assert [is_line(text) for text in answer["refused"]] == [True, True]
        return
    assert set(answer) == {"digest", "cells", "notes"}
    for kind, source, name in answer["cells"]:
        assert kind in KINDS
        assert type(source) is type(name) is str
        assert len(name) <= reader.LONGEST_NAME
    assert all(map(is_line, answer["notes"]))
    assert len(answer["notes"]) <= reader.MOST_NOTES + 1


def is_line(text: Any) -> bool:
    """Say whether this is one line that may be printed anywhere."""
    return type(text) is str and bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_LINE


def test_any_folder_is_taken_in_or_refused(cases: Cases, tmp_path: Path, run: Run) -> None:
    for case in cases.each(one_in=10):
        root = tmp_path / str(case.number)
        with cases.running(case):
            take_in(case, root / "ada" / "tiny", run)
        unlock(root)
        shutil.rmtree(root)


def take_in(case: Case, folder: Path, run: Run) -> None:
    fill(case.rng, folder)
    before, held = listing(folder), open_files()
    wanted = case.rng.choice((["tiny"], ["tiny"], ["tiny", "other"]))
    outcome = taken_in(folder, wanted, run)
    if isinstance(outcome, Submission):
        check_submission(outcome, wanted)
        case.count("judged with notes" if outcome.notes else "judged")
    else:
        check_refusal(outcome, folder)
        case.count("refused", outcome.what)
    assert listing(folder) == before, "something was written or changed"
    assert open_files() <= held, "a file or folder was left open"


def taken_in(folder: Path, wanted: list[str], run: Run) -> Submission | ProctorError:
    try:
        return run(intake(folder, student="ada", assignment="tiny", wanted=wanted, now=lambda: NOON))
    except (SubmissionError, EngineError) as error:
        return error


def check_refusal(error: ProctorError, folder: Path) -> None:
    """A refusal says what, where and what to do; it is our fault only where permissions keep the file from us."""
    assert is_line(error.what)
    assert error.where.startswith(f"'{folder}")
    assert is_line(error.todo), f"'{error.what}' does not say what to do"
    if isinstance(error, EngineError):
        assert error.what == "a submission cannot be read: Permission denied"
        assert os.geteuid() != 0


def check_submission(seen: Submission, wanted: list[str]) -> None:
    assert (seen.student, seen.assignment, len(seen.digest)) == ("ada", "tiny", 64)
    received = datetime.fromisoformat(seen.received)
    assert received.utcoffset() == NOON.utcoffset()
    assert [each.name for each in seen.notebooks] == sorted({each.name for each in seen.notebooks} & set(wanted))
    assert seen.notebooks
    assert all(map(is_line, seen.notes)), seen.notes
    cells = [cell for notebook in seen.notebooks for cell in notebook.cells]
    assert all(cell.kind in KINDS for cell in cells)
    "".join(cell.source + cell.name for cell in cells).encode()


def open_files() -> set[str]:
    """Return which files and folders this process holds open, where the system tells."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        if os.path.lexists(entry):
            found.add(str(entry.readlink()))
    return {path for path in found if path.startswith("/") and not path.endswith("/fd")}


@pytest.mark.parametrize("name", RAW)
def test_text_that_no_editor_writes_is_read_or_refused_wherever_it_stands(name: str) -> None:
    """A number too long or too large is passed over, and what is nested too deep is refused, in words."""
    for place in ("nbformat", "metadata", "cells", "source", "grade_id"):
        cell = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "a"}}, "source": "x"}
        tree: dict[str, Any] = {"nbformat": 4, "metadata": {}, "cells": [cell]}
        part = tree if place in tree else cell if place in cell else cell["metadata"]["nbgrader"]  # type: ignore[index]
        part[place] = name
        check_answer(reader.read(json.dumps(tree).replace(f'"{name}"', RAW[name]).encode()))


def test_a_submission_that_is_not_there_is_refused_with_something_to_do(tmp_path: Path, run: Run) -> None:
    refusal = taken_in(tmp_path / "ada" / "tiny", ["tiny"], run)
    assert isinstance(refusal, SubmissionError)
    assert refusal.what == "nothing was handed in"
    check_refusal(refusal, tmp_path / "ada" / "tiny")
