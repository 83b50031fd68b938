"""nbgrader's own commands and API grade sealed, as `proctor grade` does, and what follows them goes on as before."""

from __future__ import annotations

import asyncio
import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbgrader.apps.api
import nbgrader.apps.autogradeapp
import nbgrader.converters
import psutil
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from proctor.autograde import SealedAutograde, install
from proctor.course import Course
from proctor.gradebook import programs_first, submitters
from proctor.record import read_config

PLACES = (nbgrader.converters, nbgrader.apps.api, nbgrader.apps.autogradeapp)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install as `nbgrader_config.py` does, and take it back afterwards."""
    for module in PLACES:
        monkeypatch.setattr(module, "Autograde", Autograde)
    install()


@pytest.fixture
def handed_in(marked: Course, tmp_path: Path) -> Course:
    """The course of the four submissions, before anything was graded."""
    course = Course(Path(shutil.copytree(marked.root, tmp_path / "course")))
    for path in (course.autograded, course.root / "records"):
        shutil.rmtree(path)
    with programs_first(), Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        for student in submitters(course.gradebook, "tiny"):
            gradebook.remove_student(student)
    return course


def nbgrade(course: Course, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an nbgrader command as instructors do."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    with programs_first():
        return subprocess.run(command, cwd=course.root, capture_output=True, text=True, check=False, timeout=120)


def converter(course: Course, **changes: Any) -> SealedAutograde:
    """Return what nbgrader's command makes and starts; `changes` are settings, such as `BaseConverter__force`."""
    config = Config(read_config(course))
    for name, value in changes.items():
        section, _, trait = name.partition("__")
        config[section][trait] = value
    config.CourseDirectory.setdefault("assignment_id", "tiny")
    return SealedAutograde(coursedir=CourseDirectory(config=config), config=config)


def points(course: Course) -> dict[str, dict[str, float | None]]:
    """Return what the gradebook holds."""
    with programs_first(), Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        return {
            each.student.id: {grade.name: grade.auto_score for book in each.notebooks for grade in book.grades}
            for each in gradebook.assignment_submissions("tiny")
        }


def without_times(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("recorded", None)
    verdict = content.get("verdict", {})
    for each in (verdict, *verdict.get("outcomes", ())):
        each.update(dict.fromkeys(each.keys() & {"seconds", "memory"}))
    return content


@contextmanager
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect what nbgrader logs; its loggers tell nobody above them."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, listener = logging.getLogger("traitlets"), Listener()
    logger.addHandler(listener)
    with caplog.at_level(logging.INFO, logger="traitlets"):
        yield lines
    logger.removeHandler(listener)


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def commanded(marked: Course, tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, str, int]:
    """The course after `nbgrader autograde tiny`, with what it said; never changed by a test."""
    course = Course(Path(shutil.copytree(marked.root, tmp_path_factory.mktemp("commanded") / "course")))
    for path in (course.autograded, course.root / "records"):
        shutil.rmtree(path)
    done = nbgrade(course, "autograde", "tiny", "--SealedAutograde.trusted=True")
    return course, done.stderr, done.returncode


def test_the_command_gives_the_grades_of_proctor(commanded: tuple[Course, str, int], marked: Course) -> None:
    course, said, _ = commanded
    assert points(course) == points(marked)
    assert points(course)["carl"] == {"double-seen": 1.0, "double-hidden": 0.0, "add-cases": 2.0, "why-add": 0.0}
    for folder in ("records/tiny", "autograded"):
        files = {path.relative_to(marked.root): path for path in (marked.root / folder).rglob("*.*") if path.is_file()}
        assert files
        for name, path in files.items():
            assert without_times(course.root / name) == without_times(path)
    assert "carl complete: 3 of 5 points" in said
    assert "zoe partial: 3 of 5 points" in said


def test_the_command_says_who_was_not_judged_and_exits_with_1(commanded: tuple[Course, str, int]) -> None:
    course, said, code = commanded
    assert code == 1
    assert "otto not judged: 'tiny.ipynb' is not complete: " in said
    assert "1 not judged: otto; the log above says why, and nobody has a zero for it" in said
    assert "Traceback" not in said
    assert not (course.autograded / "otto").exists()
    assert "otto" not in submitters(course.gradebook, "tiny")


def test_feedback_and_export_go_on_as_before(commanded: tuple[Course, str, int], tmp_path: Path) -> None:
    course = Course(Path(shutil.copytree(commanded[0].root, tmp_path / "course")))
    done = nbgrade(course, "generate_feedback", "tiny")
    assert done.returncode == 0, done.stderr
    pages = {path.parent.parent.name: path.read_text("utf-8") for path in course.feedback.glob("*/tiny/tiny.html")}
    assert sorted(pages) == ["ada", "carl", "zoe"]
    assert "is 6 typed in?" in pages["carl"], "the author's words"
    assert "BEGIN HIDDEN" not in pages["carl"]
    assert "drawn" not in pages["carl"]
    assert nbgrade(course, "export").returncode == 0
    with (course.root / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file) if row["assignment"] == "tiny"}
    scores = {student: float(row["score"]) for student, row in rows.items() if row["score"]}
    assert scores == {"ada": 5.0, "carl": 3.0, "zoe": 3.0}


def test_the_command_leaves_nothing_when_it_is_interrupted(handed_in: Course, tmp_path: Path, sandboxed: str) -> None:
    """The endless cell opens a pipe to us, through the one folder of ours that a sandbox shows."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    os.mkfifo(folder / "pipe")
    (folder / "pipe").chmod(0o666)
    path = handed_in.submitted / "ada" / "tiny" / "tiny.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    endless = "import os\nopen(os.environ['DESCENT_DATA'] + '/pipe', 'w').write('here')\nwhile True: pass"
    notebook["cells"].append({"cell_type": "code", "id": "own", "metadata": {}, "source": endless})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with programs_first():
        process = subprocess.Popen(
            [sys.executable, "-m", "nbgrader", "autograde", "tiny", "--student", "ada"],
            cwd=handed_in.root,
            env={**os.environ, "DESCENT_DATA": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (folder / "pipe").read_text() == "here"
    started = psutil.Process(process.pid).children(recursive=True)
    assert sandboxed
    assert started
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not list((handed_in.root / "records").rglob("*.json"))


# -- the API, as the formgrader uses it ---------------------------------------------------------------------------


def test_the_api_grades_inside_a_running_loop_too(handed_in: Course) -> None:
    """The formgrader's server calls it from one."""
    api = NbGraderAPI(config=read_config(handed_in))
    assert api.autograde("tiny", "ada")["success"]

    async def serve() -> Any:
        return api.autograde("tiny", "carl")

    result = asyncio.run(serve())
    assert result["success"], result
    assert "carl complete: 3 of 5 points" in result["log"]
    assert sorted(points(handed_in)) == ["ada", "carl"]
    assert points(handed_in)["ada"]["double-hidden"] == 2.0


def test_the_api_says_what_could_not_be_judged(handed_in: Course) -> None:
    result = NbGraderAPI(config=read_config(handed_in)).autograde("tiny", "otto")
    assert not result["success"]
    assert "otto not judged: 'tiny.ipynb' is not complete" in result["log"]
    assert points(handed_in) == {}


def test_the_api_adds_no_student_when_told_not_to(handed_in: Course) -> None:
    api = NbGraderAPI(config=read_config(handed_in))
    result = api.autograde("tiny", "ada", create=False)
    assert not result["success"]
    assert "No student with ID 'ada' exists in the database" in result["log"]
    assert points(handed_in) == {}
    with programs_first(), Gradebook(f"sqlite:///{handed_in.gradebook}") as gradebook:
        gradebook.add_student("ada")
    assert api.autograde("tiny", "ada", create=False)["success"]


def test_the_submission_shows_as_graded(graded: Course) -> None:
    rows = NbGraderAPI(config=read_config(graded)).get_submissions("tiny")
    shown = {row["student"]: (row["autograded"], row["score"], row["needs_manual_grade"]) for row in rows}
    assert shown["carl"] == (True, 3.0, False)
    assert shown["ada"] == (True, 5.0, True), "a written answer waits for a person"
    assert shown["otto"][0] is False


# -- nbgrader's options -------------------------------------------------------------------------------------------


def run(course: Course, caplog: pytest.LogCaptureFixture, **changes: Any) -> list[str]:
    with heard(caplog) as lines, programs_first():
        converter(course, **changes).start()
    return [line for line in lines if line.endswith(" points")]


def refused(course: Course, caplog: pytest.LogCaptureFixture, **changes: Any) -> str:
    with heard(caplog) as lines, programs_first(), pytest.raises(NbGraderException) as caught:
        converter(course, **changes).start()
    assert str(caught.value) in lines, "the command prints its log, and no traceback"
    return str(caught.value)


def test_students_are_chosen_by_pattern(handed_in: Course, caplog: pytest.LogCaptureFixture) -> None:
    lines = run(handed_in, caplog, CourseDirectory__student_id="*a*", CourseDirectory__student_id_exclude="carl,x")
    assert lines == ["ada complete: 5 of 5 points"]
    assert list(points(handed_in)) == ["ada"]


def test_what_is_unchanged_is_not_graded_again_unless_forced(graded: Course, caplog: pytest.LogCaptureFixture) -> None:
    before = (graded.autograded / "ada" / "tiny" / "tiny.ipynb").stat().st_ino
    lines = run(graded, caplog, CourseDirectory__student_id="ada")
    assert lines == ["ada unchanged: 5 of 5 points"]
    assert (graded.autograded / "ada" / "tiny" / "tiny.ipynb").stat().st_ino == before
    lines = run(graded, caplog, CourseDirectory__student_id="ada", BaseConverter__force=True)
    assert lines == ["ada complete: 5 of 5 points"]
    assert (graded.autograded / "ada" / "tiny" / "tiny.ipynb").stat().st_ino != before


def test_nobody_to_grade_is_said(handed_in: Course, caplog: pytest.LogCaptureFixture) -> None:
    said = refused(handed_in, caplog, CourseDirectory__student_id="nobody")
    assert said.startswith("No submissions were matched by ")
    (handed_in.submitted / ".trash" / "tiny").mkdir(parents=True)
    said = refused(handed_in, caplog, CourseDirectory__student_id_exclude="ada,carl,otto,zoe")
    assert said.startswith("No submissions were matched by "), "hidden folders are nobody's"


def test_an_assignment_without_a_source_is_said(handed_in: Course, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(handed_in.source)
    assert "there is no source notebook for 'tiny'" in refused(handed_in, caplog)


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_it_refuses_and_says_what_to_set(handed_in: Course, caplog: pytest.LogCaptureFixture) -> None:
    said = refused(handed_in, caplog, CourseDirectory__student_id="ada")
    assert (
        "there is no sandbox for the students' code: bubblewrap: bwrap is not installed; landlock: the kernel has none"
        in said
    )
    assert "--SealedAutograde.trusted=True" in said
    for section in ("SealedAutograde", "Autograde"):
        lines = run(handed_in, caplog, CourseDirectory__student_id="ada", **{f"{section}__trusted": True})
        assert lines[0].startswith("ada ")
    assert points(handed_in)["ada"]["double-hidden"] == 2.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CourseDirectory__notebook_id": "t*"}, "proctor grades all notebooks of a submission together"),
        ({"Execute__enabled": False}, "points would rest on outputs that students can write themselves"),
        ({"CourseDirectory__db_url": "sqlite:///other.db"}, "CourseDirectory.db_url is not 'sqlite:////"),
        ({"CourseDirectory__source_directory": "src"}, "CourseDirectory.source_directory is not 'source'"),
        ({"BaseConverter__pre_convert_hook": print}, "proctor converts nothing, and calls none"),
        ({"BaseConverter__post_convert_hook": print}, "proctor converts nothing, and calls none"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    handed_in: Course, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], words: str
) -> None:
    assert words in refused(handed_in, caplog, **changes)
    assert points(handed_in) == {}


def test_another_structure_of_folders_is_refused(handed_in: Course, caplog: pytest.LogCaptureFixture) -> None:
    handed_in.submitted.rename(handed_in.root / "moved")
    (handed_in.root / "tiny").mkdir()
    (handed_in.root / "moved").rename(handed_in.root / "tiny" / "submitted")
    structure = "{assignment_id}/{nbgrader_step}/{student_id}/tiny"
    assert "CourseDirectory.directory_structure is not " in refused(
        handed_in, caplog, CourseDirectory__directory_structure=structure
    )


def test_it_stands_wherever_nbgrader_looks() -> None:
    assert [module.Autograde for module in PLACES] == [SealedAutograde] * 3
    install()
    assert issubclass(nbgrader.converters.Autograde, Autograde), "installed again by every command"
