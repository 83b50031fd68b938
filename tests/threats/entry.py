"""What an attack is: one submission, what it tries, and what must come out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .course import ANSWERS

__all__ = ["GROUPS", "ROWS", "Attack", "Notebook", "adds", "code_cell", "hand_in", "named"]

Notebook = dict[str, Any]

# The rows of the threat model, each in a few words, by the group that they stand in. Our own faults are tried where
# they happen, not by submissions.
GROUPS: Mapping[str, Sequence[str]] = {
    "points": (
        "metadata on test cells",
        "transformers that drop tests",
        "patched machinery",
        "lying values",
        "forged kernel messages",
        "modules beside the notebook",
        "test cells changed",
        "partial scores",
        "visible answers typed in",
        "known data and block texts",
        "lying replies on the wire",
        "detecting the grader",
    ),
    "theft": (
        "hidden values in memory",
        "files of the course",
        "links and devices",
        "hidden values in messages",
        "leftovers",
    ),
    "denial": (
        "endless code",
        "ended processes",
        "too much of everything",
        "malformed notebooks",
        "active content",
    ),
    "honest": (
        "honest: noise",
        "honest: odd notebooks",
        "honest: another style",
        "honest: diverges to NaN",
    ),
}
ROWS = tuple(row for rows in GROUPS.values() for row in rows)


def _nothing(_: Any) -> None:
    pass


@dataclass(frozen=True)
class Attack:
    """One submission; what is not said of it is a right answer that earns all points."""

    name: str  # the student's id, too
    row: str  # of the threat model
    does: str  # in one sentence
    cells: Mapping[str, str] = field(default_factory=dict)  # solution cell -> what stands in it
    added: Mapping[str, str] = field(default_factory=dict)  # name of a cell -> a code cell in front of it; "" ends
    change: Callable[[Notebook], None] = _nothing  # whatever else is done to the notebook
    write: Callable[[Path], None] = _nothing  # whatever else is done to the folder with the notebook in it
    assignment: str = "plain"
    loses: Mapping[str, str] = field(default_factory=dict)  # test cell -> "state: words that the student reads"
    stopped: str = ""  # words of the reason if the submission is judged in part
    refused: str = ""  # words of the reason if it is not judged
    notes: Sequence[str] = ()  # words for the instructor
    shows: Sequence[str] = ()  # words in the outputs of the student's cells: how the attack itself went
    sometimes: str = ""  # words of the reason if it may be judged in part: its own processes race for the answer
    on_landlock: Mapping[str, Any] = field(default_factory=dict)  # fields that differ where Landlock refuses something
    on_uncounted: Mapping[str, Any] = field(default_factory=dict)  # the same where only the watchdog counts processes
    blind: str = ""  # why the words of a hidden block may stand in what this submission is told

    def on(self, rung: str, *, counted: bool, reason: str = "") -> Attack:
        """Return the same with what must come out on a rung.

        Args:
            rung: its name.
            counted: the kernel itself counts the processes of a submission.
            reason: that was given, for those that may come out in two ways.
        """
        differs = dict(self.on_landlock) if rung == "landlock" else {}
        there = replace(self, **differs | ({} if counted else dict(self.on_uncounted)))
        has_happened = bool(there.sometimes) and there.sometimes in reason
        return replace(there, stopped=there.sometimes) if has_happened else there

    @property
    def state(self) -> str:
        """What the verdict is called."""
        return "not judged" if self.refused else "partial" if self.stopped else "complete"


def hand_in(attack: Attack, released: Notebook, submitted: Path) -> None:
    """Write a submission below `submitted/`, made of the released notebook."""
    notebook = copy.deepcopy(released)
    answers = {**ANSWERS[attack.assignment], **attack.cells}
    for name, source in answers.items():
        named(notebook, name)["source"] = source
    for place, source in attack.added.items():
        cells = notebook["cells"]
        cells.insert(cells.index(named(notebook, place)) if place else len(cells), code_cell(source))
    attack.change(notebook)
    folder = submitted / attack.name / attack.assignment
    folder.mkdir(parents=True)
    (folder / f"{attack.assignment}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    attack.write(folder)


def named(notebook: Notebook, name: str) -> dict[str, Any]:
    """Return the cell that nbgrader knows under a name."""
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name:
            found: dict[str, Any] = cell
            return found
    raise KeyError(name)


def code_cell(source: str, **metadata: Any) -> dict[str, Any]:
    """Return a code cell as a student adds one."""
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def adds(words: str) -> dict[str, str]:
    """Return that all tests of the task `add` are lost with these words."""
    return dict.fromkeys(("add-cases", "add-negative", "add-zero", "add-large"), words)
