"""The course: its configuration, its gradebook, its folders, its seeds, its assignments."""

from __future__ import annotations

import shlex
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

from proctor.course import CONFIG, Course, secret_seed
from proctor.doctor.child import Told
from proctor.doctor.look import Check
from proctor.errors import CourseError

__all__ = ["assignments", "autograder", "folders", "gradebook", "seeds"]

OURS = "proctor.autograde.SealedAutograde"
TABLES = ("assignment", "grade", "notebook", "student", "submitted_assignment")  # some of nbgrader's
PATIENCE = 2.0  # s for another program to end what it is writing
BUSY = "end the other program, a formgrader perhaps, or wait for it: 'fuser -v gradebook.db' names it"
CLOSED = "make it readable and writable for this account, or grade as the account that owns it"
RESTORE = "keep a copy, then restore it from a backup"
RECORDS = "records"  # folder in which proctor keeps what verdicts rest on


def autograder(course: Course, told: Told) -> list[Check]:
    """Say whether nbgrader's own `autograde` would grade as proctor does.

    Args:
        course: whose configuration was read, as every command of nbgrader reads it.
        told: by the program NBGRADER.
    """
    if told.of("nbgrader").get("error"):
        return []  # which is said of nbgrader itself
    found = told.of("converters")
    if error := found.get("error"):
        said = f"'{CONFIG}' cannot be used: {error}"
        return [Check("autograder", "bad", said, f"correct '{course.config}'; every command of nbgrader reads it")]
    foreign = sorted({name for name in found["classes"] if name != OURS})
    if foreign:
        said = f"nbgrader would run students' code in no sandbox, by {', '.join(foreign)}"
        todo = f"write into '{course.config}': from proctor.autograde import install; install()"
        return [Check("autograder", "bad", said, todo)]
    return [Check("autograder", "good", f"'{CONFIG}' has nbgrader grade as proctor does")]


def gradebook(course: Course, told: Told) -> list[Check]:
    """Say whether the gradebook can be read and written, now; nothing is written.

    Args:
        course: with or without one.
        told: by the program NBGRADER, which knows the schema.
    """
    if not course.gradebook.exists():
        return [Check("gradebook", "good", "none yet: the first release or grading makes it")]
    try:
        with course.gradebook.open("r+b"):  # SQLite would fall back to reading, and not say so
            pass
        uri = f"{course.gradebook.as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)) as database:
            return [_schema(database, wanted=told.of("nbgrader").get("schema")) or _lock(database)]
    except OSError as error:
        return [Check("gradebook", "bad", f"'{course.gradebook.name}' cannot be used: {error.strerror}", CLOSED)]
    except sqlite3.Error as error:
        is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
        found = f"'{course.gradebook.name}' cannot be used: {error}"
        return [Check("gradebook", "bad", found, BUSY if is_busy else RESTORE)]


def _schema(database: sqlite3.Connection, *, wanted: str | None) -> Check | None:
    """Return what is wrong with the tables."""
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := [name for name in TABLES if name not in tables]:
        return Check("gradebook", "bad", f"it is none of nbgrader's: no table {missing[0]!r}", RESTORE)
    rows = database.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
    revision = next((row[0] for row in rows), "unknown")
    if wanted and revision != wanted:
        found = f"its schema is {revision}, and this nbgrader wants {wanted}"
        return Check("gradebook", "bad", found, "keep a copy, then run 'nbgrader db upgrade'")
    return None


def _lock(database: sqlite3.Connection) -> Check:
    """Take the lock for writing and give it back."""
    database.execute("BEGIN IMMEDIATE")
    database.execute("ROLLBACK")
    counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("student", "assignment")]
    return Check("gradebook", "good", f"readable and writable; students: {counts[0]}, assignments: {counts[1]}")


def folders(course: Course) -> list[Check]:
    """Say whether grades and pages can be written."""
    wanted = (course.root, course.submitted, course.autograded, course.feedback, course.root / RECORDS)
    closed = [f"'{folder}': {why}" for folder in wanted if (why := _refusal(folder))]
    if closed:
        todo = "make them writable for this account, or grade as the account that owns them"
        return [Check("folders", "bad", f"not writable: {'; '.join(closed)}", todo)]
    return [Check("folders", "good", f"writable: '{course.root}' and what nbgrader keeps in it")]


def _refusal(folder: Path) -> str:
    """Return why a file cannot be made in a folder, or in the one in which it would be made."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place, prefix=".doctor-"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def seeds(course: Course) -> list[Check]:
    """Say whether the secret seeds are there, and secret."""
    if why := _lost_seeds(course):
        todo = "restore it from a backup: with new seeds, work graded before and after meets different tests"
        return [Check("seeds", "bad", f"'{course.seeds.name}': {why}", todo)]
    if not course.seeds.exists():
        return [Check("seeds", "good", "none yet: the first release draws them")]
    mode = stat.S_IMODE(course.seeds.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        found = f"others may read '{course.seeds.name}': its mode is {mode:o}"
        return [Check("seeds", "weak", found, f"run 'chmod 600 {shlex.quote(str(course.seeds))}'")]
    return [Check("seeds", "good", f"'{course.seeds.name}' is readable by its owner only")]


def _lost_seeds(course: Course) -> str:
    """Return what is wrong if the file cannot be read, or lacks the seed of an assignment that was graded."""
    graded = {path.parent.name for path in (course.root / RECORDS).glob("[!.]*/*.json")}
    for name in sorted({*graded, *_names(course)}):
        try:
            secret_seed(course, name)
        except CourseError as error:
            if name in graded or "cannot be read" in error.what:
                return error.what + f", though {name!r} was graded" * (name in graded)
    return ""


def assignments(course: Course) -> list[Check]:
    """Say which assignments students can have."""
    names = _names(course)
    if not names:
        return [Check("assignments", "weak", "there is none yet", "write 'assignments/NAME/NAME.md'")]
    if waiting := [name for name in names if not _is_released(course, name)]:
        found = f"not released: {', '.join(waiting)}"
        return [Check("assignments", "weak", found, f"run 'proctor release {' '.join(waiting)}'")]
    return [Check("assignments", "good", f"released: {', '.join(names)}")]


def _names(course: Course) -> list[str]:
    """Return all assignments, those too that were not written with proctor."""
    return sorted({*course.names, *(path.parent.name for path in course.source.glob("*/*.ipynb"))})


def _is_released(course: Course, name: str) -> bool:
    return any((course.release / name).glob("*.ipynb")) and any((course.source / name).glob("*.ipynb"))
