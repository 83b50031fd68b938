"""How an assignment is graded here, and what a verdict rests on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nbformat

from proctor.course import Course, draw_seed
from proctor.errors import CourseError, EngineError
from proctor.model import Submission
from proctor.released import is_test
from proctor.sandbox import Caps, rung_here
from proctor.sealed import LIMITS, Limits

__all__ = ["TEST", "Plan", "key_of", "plan_for"]

Notebook = Mapping[str, Any]  # as nbformat reads it

RELIES_ON = ("torch", "numpy", "ipython", "graded-descent-course")  # another version of one may change a verdict
HERE = Path(__file__).parent
TEST = "test:"  # what the parts of a key that belong to one test begin with


@dataclass(frozen=True)
class Plan:
    """What is the same for all submissions of an assignment."""

    assignment: str
    sources: Mapping[str, Notebook]  # the instructor's notebooks by name
    seed: int  # of the hidden tests
    rung: str  # what is to hold the student's code: a name of `sandbox.RUNGS`
    files: Path | None = None  # folder of the assignment's other files
    is_secret: bool = True  # the seed is the assignment's own
    device: str = "cpu"
    gpus: int = 0  # that `device` leaves to choose from
    limits: Limits = LIMITS
    caps: Caps = field(default_factory=Caps)


def plan_for(
    course: Course,
    name: str,
    *,
    seed: int | None = None,
    device: str = "auto",
    trusted: bool = False,
    limits: Limits = LIMITS,
) -> Plan:
    """Return how an assignment is graded here.

    Args:
        course: with `source/NAME`.
        name: of the assignment; any that nbgrader knows, written with proctor or not.
        seed: of the hidden tests; without one, the assignment's secret.
        device: "auto", "cpu", "cuda" or "cuda:1"; auto takes a GPU if there is one.
        trusted: run without a sandbox if none can be had.
        limits: in seconds.

    Raises:
        CourseError: there is no source notebook, or it cannot be read.
        EngineError: no sandbox can be had, and the students are not to be trusted.
    """
    folder = course.source / name
    sources = {path.stem: _source(path) for path in sorted(folder.glob("*.ipynb"))}
    if not sources:
        raise CourseError(
            f"there is no source notebook for {name!r}", where=f"'{folder}'", todo=f"proctor release {name}"
        )
    released = course.release / name
    chosen = _device(device)
    return Plan(
        name,
        sources,
        draw_seed(course, name) if seed is None else seed,
        _rung(trusted=trusted),
        files=released if released.is_dir() else None,
        is_secret=seed is None,
        device=chosen,
        gpus=_gpus() if chosen == "cuda" else 0,
        limits=limits,
    )


def _source(path: Path) -> Mapping[str, Any]:
    try:
        notebook: Mapping[str, Any] = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise CourseError(
            "the source notebook cannot be read", where=f"'{path}': {error}", todo="write it again: proctor author"
        ) from error
    return notebook


def _rung(*, trusted: bool) -> str:
    rung = rung_here()
    if rung.name:
        return rung.name
    if trusted:
        return "trusted"
    raise EngineError(
        f"there is no sandbox for the students' code: {rung.why}",
        where="this machine",
        todo="see what is missing: proctor doctor; or, where you trust every submission, say --trusted "
        "(to nbgrader: --SealedAutograde.trusted=True)",
    )


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if _gpus() else "cpu"


def _gpus() -> int:
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def key_of(plan: Plan, submission: Submission, packages: Sequence[Path] = ()) -> dict[str, str]:
    """Return what a verdict rests on, part by part, as digests.

    Args:
        plan: how it is graded.
        submission: what was handed in.
        packages: folders and files that the sandbox shows beside this Python's own.
    """
    parts = {
        "the submission": submission.digest,
        "the instructor's cells": _digest([_without_tests(source) for source in plan.sources.values()]),
        "the seed": _digest(plan.seed),
        "the limits": _digest([repr(plan.limits), repr(plan.caps)]),
        "the device": plan.device,
        "the sandbox": plan.rung,
        "the installed programs": _digest([sys.version, *map(_version, RELIES_ON), *map(_code, (HERE, *packages))]),
    }
    for name, source in plan.sources.items():
        above = 0
        for cell in source["cells"]:
            if is_test(cell):  # what it asks, what it is worth, and of which cells it sees the work
                marks = cell["metadata"]["nbgrader"]
                parts[f"{TEST}{name}/{marks['grade_id']}"] = _digest([cell["source"], marks, above])
            else:
                above += 1
    return parts


def _without_tests(source: Notebook) -> list[Any]:
    return [cell for cell in source["cells"] if not is_test(cell)]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@cache
def _code(place: Path) -> str:
    """Return a digest of a package's code: it may change without a new version while it is developed."""
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:32]
