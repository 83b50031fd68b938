"""Write what students receive, and refuse to let a solution or a hidden test out.

The way: lint, write `source/`, draw the secret seed, let nbgrader make the student version in a folder of its own,
look through it, then record it in the gradebook and put it into `release/` in one step. A stamp written last says
that a release is finished; without it the release is made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator, ValidationError
from nbgrader.utils import capture_log
from traitlets.config.loader import PyFileConfigLoader

from proctor import __version__
from proctor.author import read_assignment, write_source
from proctor.course import CONFIG, DEMO_PREFIX, Course, draw_seed
from proctor.errors import CourseError, EngineError
from proctor.gradebook import forget_submissions, knows, programs_first, submitters
from proctor.model import Assignment

__all__ = ["release"]

MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
TELLING = 24  # characters; a shorter line, such as `return total`, may stand elsewhere by chance


def release(course: Course, name: str) -> Path:
    """Write `source/NAME` and `release/NAME` if anything changed, and return the released notebook.

    Raises:
        AuthoringError: the assignment breaks the grammar; carries every problem.
        CourseError: no such assignment, an unusable gradebook or seeds file, or submissions that the change would
            orphan.
        EngineError: the student version would have shown a secret, or nbgrader failed; nothing is released.
    """
    assignment = read_assignment(course.assignment(name))
    source = course.source / name / f"{name}.ipynb"
    write_source(assignment, source)
    draw_seed(course, name)
    released = course.release / name / f"{name}.ipynb"
    stamp = course.build / "release" / f"{name}.json"
    made_from = _fingerprint(source, course.config)
    if not _is_current(stamp, made_from, released) or not knows(course.gradebook, name):
        stamp.unlink(missing_ok=True)
        _publish(_candidate(course, assignment), released.parent)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(json.dumps({"from": made_from, "gave": _fingerprint(released)}), encoding="utf-8")
    return released


def _fingerprint(*files: Path) -> str:
    """Return a digest of these files and of the programs that turn them into a release."""
    total = hashlib.sha256(f"{__version__} {version('nbgrader')}".encode())
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _is_current(stamp: Path, made_from: str, released: Path) -> bool:
    try:
        said = json.loads(stamp.read_text(encoding="utf-8"))
        return bool(said == {"from": made_from, "gave": _fingerprint(released)})
    except (OSError, ValueError):
        return False


def _candidate(course: Course, assignment: Assignment) -> Path:
    """Return the folder of a student version that shows no secret and stands in the gradebook."""
    name = assignment.name
    workplace = course.build / "release" / "candidate"
    shutil.rmtree(workplace, ignore_errors=True)
    if log := _generate(course, name, workplace, database=False):
        raise _nbgrader_failed(name, log)
    _refuse_secrets(assignment, workplace / name / f"{name}.ipynb")
    log = _generate(course, name, workplace, database=True)
    if "submissions associated" in log:
        _forget_demo(course, name)
        log = _generate(course, name, workplace, database=True)
    if log:
        raise _nbgrader_failed(name, log)
    return workplace / name


def _generate(course: Course, name: str, workplace: Path, *, database: bool) -> str:
    """Let nbgrader write the student version below `workplace`; return what it logged if it failed."""
    config = PyFileConfigLoader(CONFIG, path=str(course.root)).load_config()
    config.CourseDirectory.assignment_id = name
    config.CourseDirectory.release_directory = str(workplace)
    config.BaseConverter.force = True
    config.SaveCells.enabled = database
    config.GenerateAssignment.no_database = not database
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    with programs_first():
        result = capture_log(converter)
    return "" if result["success"] else str(result.get("log", "")) + str(result["error"])


def _refuse_secrets(assignment: Assignment, notebook: Path) -> None:
    """Delete a student version that shows a secret or carries damaged metadata, and say what is wrong."""
    found = _faults(assignment, notebook)
    if found:
        shutil.rmtree(notebook.parent)
        raise EngineError(
            f"the student version of {assignment.name!r} is not released: {found[0]}",
            where=f"made from '{assignment.path}'; {len(found)} such place{'s' if len(found) > 1 else ''}",
            todo="compare GenerateAssignment.preprocessors in 'nbgrader_config.py' with nbgrader's own list",
        )


def _faults(assignment: Assignment, path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    try:
        MetadataValidator().validate_nb(notebook)
    except ValidationError as error:
        return [f"its nbgrader metadata is not valid: {error}"]
    faults = [f"it holds the marker {marker!r}" for marker in MARKERS if marker in text]
    faults += [f"cell {index + 1} holds outputs" for index, cell in enumerate(notebook.cells) if cell.get("outputs")]
    shown = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in notebook.cells}
    faults += [f"cell {cell.name!r} is missing" for cell in assignment.cells if cell.name and cell.name not in shown]
    return faults + list(
        _shown_secrets(assignment, shown, _squeezed("\n".join(each.source for each in notebook.cells)))
    )


def _shown_secrets(assignment: Assignment, shown: dict[str | None, str], everything: str) -> Iterator[str]:
    """Look for hidden lines that no visible part holds: any in the cell's own place, telling ones everywhere."""
    parts = [(cell.name, *_parts(cell.source)) for cell in assignment.cells]
    visible = _squeezed("\n".join(lines for _, lines, _ in parts))
    for name, _, hidden in parts:
        here = set(map(_squeezed, shown.get(name, "").splitlines()))
        for line in hidden.splitlines():
            secret = _squeezed(line)
            if secret in visible:  # the empty line too
                continue
            if secret in here or (len(secret) >= TELLING and secret in everything):
                yield f"it shows the hidden line {line.strip()!r} of cell {name!r}"


def _parts(source: str) -> tuple[str, str]:
    """Return the lines that students may see, and those between markers."""
    visible: list[str] = []
    hidden: list[str] = []
    inside = False
    for line in source.splitlines():
        if any(marker in line for marker in MARKERS):
            inside = "BEGIN" in line
        else:
            (hidden if inside else visible).append(line)
    return "\n".join(visible), "\n".join(hidden)


def _squeezed(text: str) -> str:
    """Return the text without white space, so that no indentation or wrapping hides a line."""
    return "".join(text.split())


def _forget_demo(course: Course, name: str) -> None:
    """Make room for changed cells: made-up submissions go, real ones are never touched."""
    students = submitters(course.gradebook, name)
    real = [student for student in students if not student.startswith(DEMO_PREFIX)]
    if real:
        others = f" and {len(real) - 3} more" if len(real) > 3 else ""
        raise CourseError(
            f"cells of {name!r} were added or taken away, and there are submissions with the old ones",
            where=f"'{course.gradebook}': {', '.join(map(repr, real[:3]))}{others}",
            todo=f"undo the change, rename the assignment, or run 'nbgrader db assignment remove {name} --force'",
        )
    forget_submissions(course.gradebook, name, students)


def _nbgrader_failed(name: str, log: str) -> EngineError:
    return EngineError(
        f"nbgrader could not make the student version of {name!r}",
        where=log.strip().splitlines()[-1],
        todo=f"run 'nbgrader generate_assignment {name} --force' to see all that it says",
    )


def _publish(candidate: Path, target: Path) -> None:
    """Put a finished folder in the place of the old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = candidate.with_name("replaced")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    candidate.rename(target)
    shutil.rmtree(old, ignore_errors=True)
