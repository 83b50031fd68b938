"""Record one judged submission: its folder in `autograded/`, then its grades.

In this order, and each step whole or not at all:

1. The new folder is made beside the old one and brought to the disk.
2. It takes the old one's place; the old one waits beside it.
3. The grades go into the gradebook in one transaction. If that fails, the old folder comes back.
4. The old folder is removed.

What a kill leaves in between is repaired by recording again: the caller writes the verdict into the `Store` last, so
a submission without a fresh verdict there is recorded anew, and recording twice gives the same as recording once.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from proctor.course import Course
from proctor.disk import sync_folder
from proctor.errors import EngineError
from proctor.model import Rebuilt, Run, Submission, Verdict
from proctor.record.notebook import autograded_notebook

__all__ = ["record", "take_back"]

TIMESTAMP = "timestamp.txt"
TIMESTAMP_LIMIT = 200  # bytes; nbgrader writes 32


def record(
    course: Course, submission: Submission, rebuilt: Sequence[Rebuilt], runs: Sequence[Run], verdict: Verdict
) -> Path:
    """Write a judged submission where nbgrader expects it: `autograded/STUDENT/NAME` and the gradebook.

    Args:
        course: the course.
        submission: what was handed in.
        rebuilt: its notebooks.
        runs: how they ran.
        verdict: what the tests said; a submission that was not judged has nothing to record.

    Returns:
        The folder in `autograded/`.

    Raises:
        CourseError: the gradebook or the configuration is not usable.
        EngineError: the disk failed, or the gradebook stayed locked. Folder and grades are as they were.
    """
    from nbgrader.nbgraderformat import MetadataValidator

    from proctor.record.grades import record_grades, released_checksums
    from proctor.record.settings import converter, read_config

    if verdict.state == "not judged":
        raise ValueError("a submission that was not judged has no grades to record")
    checksums, ran = released_checksums(course, submission.assignment), {run.notebook: run for run in runs}
    notebooks = {
        each.name: autograded_notebook(each, ran.get(each.name), checksums=checksums.get(each.name, {}))
        for each in rebuilt
    }
    for notebook in notebooks.values():
        nbformat.validate(notebook)
        MetadataValidator().validate_nb(notebook)
    tool = converter(course, read_config(course))
    target = course.autograded / submission.student / submission.assignment
    with _explained(target), _folder_beside(target) as fresh:
        timestamp = _timestamp(course, submission)
        _copy_files(course, submission.assignment, fresh, tool)
        _write_notebooks(fresh, notebooks)
        if timestamp is not None:
            (fresh / TIMESTAMP).write_text(timestamp, encoding="utf-8")
        tool.set_permissions(fresh.name, submission.student)
        _sync(fresh)
        with _in_place_of(target, fresh):
            record_grades(course, submission, notebooks, runs, timestamp=timestamp)
    return target


def take_back(course: Course, student: str, assignment: str, *, mark: bool = True) -> None:
    """Leave no half grade and no zero for a submission that was not judged.

    A gradebook entry without any score is removed, and the student's folder in `autograded/` with it. An entry with
    scores is of an earlier submission: it stays, and with `mark` a person is asked to decide what holds.

    Raises:
        CourseError: the gradebook is read-only or damaged.
        EngineError: the gradebook stayed locked, or the disk failed.
    """
    from proctor.record.grades import take_back as take_back_grades  # nbgrader takes 2 s to import

    target = course.autograded / student / assignment
    if take_back_grades(course, student, assignment, mark=mark):
        with _explained(target):
            _remove(target)


def _timestamp(course: Course, submission: Submission) -> str | None:
    """Return when the work was handed in, as `timestamp.txt` says; None without such a file.

    A file that holds no time counts as handed in when it reached us: a damaged one must not save a late penalty.
    """
    from nbgrader.utils import parse_utc

    path = course.submitted / submission.student / submission.assignment / TIMESTAMP
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return submission.received
        with path.open("rb") as file:
            text = file.read(TIMESTAMP_LIMIT).decode("utf-8").strip()
        parse_utc(text)
    except FileNotFoundError:
        return None
    except (ValueError, OverflowError, TypeError):
        return submission.received
    return text


def _copy_files(course: Course, assignment: str, fresh: Path, tool: Any) -> None:
    """Copy the instructor's other files as nbgrader does; never a file of the student's."""
    from nbgrader.utils import find_all_files

    source = course.source / assignment
    kept = {str(source / name) for name in tool.exclude_overwriting.get(assignment, [])}
    for name in find_all_files(str(source), [*tool.coursedir.ignore, "*.ipynb"]):
        if name in kept:
            continue
        copy = fresh / Path(name).relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, copy)


def _write_notebooks(fresh: Path, notebooks: Mapping[str, NotebookNode]) -> None:
    for name, notebook in notebooks.items():
        text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]  # nbformat is untyped
        (fresh / f"{name}.ipynb").write_text(f"{text}\n", encoding="utf-8")


def _sync(folder: Path) -> None:
    """Bring all files and folders below to the disk."""
    for root, _, names in os.walk(folder):
        for name in names:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target`, and leave none behind.

    Its name is fixed and no glob of nbgrader's finds it: what a killed run left is removed by the next.
    """
    fresh = target.with_name(f".{target.name}.new")
    _remove(fresh)
    fresh.mkdir(parents=True)
    try:
        yield fresh
    finally:
        _remove(fresh)


@contextmanager
def _in_place_of(target: Path, fresh: Path) -> Iterator[None]:
    """Put a folder in place of another; put the old one back if what follows fails."""
    old = target.with_name(f".{target.name}.old")
    if target.exists():  # otherwise a killed run may have left the only copy under the other name
        _remove(old)
        target.rename(old)
    fresh.rename(target)
    sync_folder(target.parent)
    try:
        yield
    except BaseException:
        _remove(target)
        if old.exists():
            old.rename(target)
        raise
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"the autograded notebook could not be written: {error.strerror or error}",
            where=f"'{target}'",
            todo="make room on the disk or make the folder writable, then grade again",
        ) from error
