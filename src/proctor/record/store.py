"""The record of verdicts: one small file for each student and assignment, in `records/` of the course.

It is kept out of `autograded/`, because nbgrader copies every file from there into the feedback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from proctor.course import Course
from proctor.disk import alone_in, write_whole
from proctor.errors import CourseError, EngineError
from proctor.model import CellState, Outcome, Verdict

__all__ = ["Kept", "Store", "verdict_from_json", "verdict_to_json"]

FORMAT = 1
STATES = ("complete", "partial", "not judged")


@dataclass(frozen=True)
class Kept:
    """A verdict, what it was about, and when it was recorded."""

    verdict: Verdict
    key: Mapping[str, str]  # parts of the content hash by name, such as "submission", "environment", "tests:forward"
    recorded: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Store:
    """The recorded verdicts of one assignment."""

    course: Course
    assignment: str

    def path(self, student: str) -> Path:
        """Return where a student's verdict is kept."""
        return self.course.root / "records" / self.assignment / f"{student}.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other run grade this assignment meanwhile: both would write the same files.

        Raises:
            CourseError: another one does.
        """
        folder = self.course.root / "records" / self.assignment
        with suppress(OSError):  # said of each verdict, when it is to be written
            folder.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            yield
            return
        with alone_in(folder) as is_free:
            if not is_free:
                todo = "wait until it has ended, then run the same command again"
                where = f"'{folder}' is locked"
                raise CourseError(f"another run grades {self.assignment!r} already", where=where, todo=todo)
            yield

    def read(self, student: str) -> Kept | None:
        """Return what was recorded; None if nothing was, or if the file is damaged: then the work is judged again."""
        try:
            data = json.loads(self.path(student).read_text(encoding="utf-8"))
            kept = _kept_from_json(data)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        is_theirs = (kept.verdict.student, kept.verdict.assignment) == (student, self.assignment)
        return kept if is_theirs else None

    def forget(self, student: str) -> None:
        """Leave no verdict, so that the next run judges whatever is there then.

        Raises:
            EngineError: the file cannot be removed.
        """
        path = self.path(student)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed("removed", path, error) from error

    def write(self, student: str, kept: Kept) -> None:
        """Record a verdict in place of an earlier one, whole or not at all.

        Raises:
            EngineError: the file cannot be written; what was there before is still there.
        """
        content = {
            "format": FORMAT,
            "recorded": kept.recorded,
            "key": dict(kept.key),
            "verdict": verdict_to_json(kept.verdict),
        }
        path = self.path(student)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:
            raise _failed("recorded", path, error) from error


def _failed(what: str, path: Path, error: OSError) -> EngineError:
    return EngineError(
        f"the verdict could not be {what}: {error.strerror or error}",
        where=f"'{path}'",
        todo="make room on the disk or make the folder writable, then grade again",
    )


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data, with all that is needed to read it back."""
    return asdict(verdict)


def verdict_from_json(data: Mapping[str, Any]) -> Verdict:
    """Return the verdict that `verdict_to_json` wrote down.

    Raises:
        ValueError: the data is no verdict.
        KeyError: a field without a default is missing.
        TypeError: a field is of another type.
    """
    outcomes = tuple(_outcome(each) for each in data.get("outcomes", ()))
    plain = _known(Verdict, data) | {"outcomes": outcomes, "notes": tuple(data.get("notes", ()))}
    verdict = Verdict(**plain)
    if verdict.state not in STATES or not all(isinstance(note, str) for note in verdict.notes):
        raise ValueError(f"no verdict has the state {verdict.state!r}")
    return verdict


def _kept_from_json(data: Mapping[str, Any]) -> Kept:
    if data["format"] != FORMAT:
        raise ValueError("written by another version")
    key = {str(name): str(part) for name, part in data["key"].items()}
    return Kept(verdict_from_json(data["verdict"]), key, str(data["recorded"]))


def _outcome(data: Mapping[str, Any]) -> Outcome:
    outcome = Outcome(**_known(Outcome, data))
    if outcome.state not in get_args(CellState):
        raise ValueError(f"no outcome has the state {outcome.state!r}")
    return Outcome(**_known(Outcome, data) | {"points": float(outcome.points), "max_points": float(outcome.max_points)})


def _known(kind: type[Verdict] | type[Outcome], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the class has; a later version may have written more."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
