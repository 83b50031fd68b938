"""One course on disk: its folders, its assignments and its secret seeds.

A course is the folder that holds `nbgrader_config.py`, laid out as nbgrader expects it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from proctor.disk import write_whole
from proctor.errors import CourseError

__all__ = ["CONFIG", "DEMO_PREFIX", "Course", "draw_seed", "find_course", "secret_seed"]

CONFIG = "nbgrader_config.py"
DEMO_PREFIX = "demo-"  # ids of the students that `proctor demo` makes up; their work may be thrown away at any time
SEED_BITS = 62  # a seed and what a test adds to it stay below 2**63, torch's limit


@dataclass(frozen=True)
class Course:
    """Where everything of one course stands."""

    root: Path  # absolute

    @property
    def config(self) -> Path:
        """The configuration of nbgrader, which makes this folder a course."""
        return self.root / CONFIG

    @property
    def assignments(self) -> Path:
        """What authors write: a folder `NAME` with `NAME.md` and `answers.md` for each assignment."""
        return self.root / "assignments"

    @property
    def source(self) -> Path:
        """The instructor's notebooks, solutions and hidden tests included."""
        return self.root / "source"

    @property
    def release(self) -> Path:
        """The notebooks that students receive."""
        return self.root / "release"

    @property
    def submitted(self) -> Path:
        """What students handed in: `STUDENT/NAME/NAME.ipynb`."""
        return self.root / "submitted"

    @property
    def autograded(self) -> Path:
        """Submissions after their tests ran."""
        return self.root / "autograded"

    @property
    def feedback(self) -> Path:
        """The pages that students get back."""
        return self.root / "feedback"

    @property
    def gradebook(self) -> Path:
        """The database of nbgrader."""
        return self.root / "gradebook.db"

    @property
    def seeds(self) -> Path:
        """The secret seed of every released assignment."""
        return self.root / "seeds.json"

    @property
    def build(self) -> Path:
        """Whatever can be made again at any time."""
        return self.root / "_build"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all assignments, sorted."""
        return tuple(sorted(path.stem for path in self.assignments.glob("*/*.md") if path.stem == path.parent.name))

    def assignment(self, name: str) -> Path:
        """Return the folder of an assignment.

        Raises:
            CourseError: there is no such assignment.
        """
        if name in self.names:
            return self.assignments / name
        near = get_close_matches(name, self.names, n=1)
        known = ", ".join(repr(each) for each in self.names) or "none yet"
        raise CourseError(
            f"there is no assignment {name!r}",
            where=f"'{self.assignments}' holds {known}",
            todo=f"did you mean {near[0]!r}?" if near else f"write 'assignments/{name}/{name}.md' first",
        )


def find_course(start: Path) -> Course:
    """Return the course that a folder belongs to: the nearest one upward.

    Raises:
        CourseError: neither the folder nor one above it holds `nbgrader_config.py`.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / CONFIG).is_file():
            return Course(candidate)
    raise CourseError(
        "this folder belongs to no course",
        where=f"'{folder}' and the folders above it hold no '{CONFIG}'",
        todo="change to the folder of your course",
    )


def secret_seed(course: Course, name: str) -> int:
    """Return the seed of a released assignment, the same for every student.

    Raises:
        CourseError: the assignment was never released here, or the seeds file cannot be read.
    """
    seeds = _read_seeds(course.seeds)
    if name not in seeds:
        raise CourseError(
            f"the assignment {name!r} has no secret seed yet",
            where=f"'{course.seeds}'",
            todo=f"release it first: proctor release {name}",
        )
    return seeds[name]


def draw_seed(course: Course, name: str) -> int:
    """Return the seed of an assignment, drawn now if it has none; a seed once drawn never changes.

    Raises:
        CourseError: the seeds file cannot be read; it is then left as it is.
    """
    seeds = _read_seeds(course.seeds)
    if name not in seeds:
        seeds = {**seeds, name: secrets.randbits(SEED_BITS)}
        _write_seeds(course.seeds, seeds)
    return seeds[name]


def _read_seeds(path: Path) -> dict[str, int]:
    try:
        seeds = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(seeds, dict) or not all(type(seed) is int for seed in seeds.values()):
        raise _unreadable(path, "it is not a table of whole numbers")
    return seeds


def _unreadable(path: Path, why: str) -> CourseError:
    return CourseError(
        "the secret seeds cannot be read",
        where=f"'{path}': {why}",
        todo="restore the file from a backup; without it, work graded before and after would meet different tests",
    )


def _write_seeds(path: Path, seeds: Mapping[str, int]) -> None:
    """Replace the file in one step; readable by its owner only."""
    write_whole(path, json.dumps(seeds, indent=2, sort_keys=True).encode() + b"\n")
