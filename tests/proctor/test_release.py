"""Students receive what nbgrader makes of the source, and never a solution, a hidden test or a half-made folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from proctor.course import Course, secret_seed
from proctor.errors import AuthoringError, CourseError, EngineError
from proctor.gradebook import submitters
from proctor.release import release

# nbgrader 0.9.6 ties a new submission to its student before it adds it to the session; SQLAlchemy 2 remarks on that
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted\\w+> not in session")


def text(course: Course) -> Path:
    return course.assignments / "tiny" / "tiny.md"


def edit(path: Path, old: str, new: str) -> None:
    before = path.read_text(encoding="utf-8")
    assert old in before, "the test's own edit finds nothing"
    path.write_text(before.replace(old, new), encoding="utf-8")


def sources(notebook: Path) -> dict[str, str]:
    """Return the source of each named cell."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    named = ((cell["metadata"].get("nbgrader", {}).get("grade_id"), "".join(cell["source"])) for cell in cells)
    return {name: source for name, source in named if name}


def hand_in(course: Course, student: str) -> None:
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        gradebook.update_or_create_student(student)
        gradebook.update_or_create_submission("tiny", student)


def test_students_receive_stubs_that_name_their_task_and_only_visible_checks(released: Course) -> None:
    given = sources(released.release / "tiny" / "tiny.ipynb")
    assert list(given) == ["opening", "double", "double-seen", "double-hidden", "add", "add-cases", "why-add"]
    assert "Task 'double' is open" in given["double"]
    assert "doubled_by_the_reference" not in given["double"]
    assert "double(0) is not 0" in given["double-hidden"]
    assert "fresh" not in given["double-hidden"]


def test_the_source_holds_what_the_release_does_not(released: Course) -> None:
    kept = sources(released.source / "tiny" / "tiny.ipynb")
    assert "doubled_by_the_reference" in kept["double"]
    assert "fresh" in kept["double-hidden"]


def test_a_second_release_changes_nothing(course: Course) -> None:
    notebook = course.release / "tiny" / "tiny.ipynb"
    before = notebook.stat().st_mtime_ns
    seed = secret_seed(course, "tiny")
    assert release(course, "tiny") == notebook
    assert notebook.stat().st_mtime_ns == before
    assert secret_seed(course, "tiny") == seed


def test_a_changed_text_is_released_anew_with_the_same_seed(course: Course) -> None:
    seed = secret_seed(course, "tiny")
    edit(text(course), "Two small tasks.", "Two very small tasks.")
    assert "Two very small tasks." in release(course, "tiny").read_text(encoding="utf-8")
    assert secret_seed(course, "tiny") == seed


@pytest.mark.parametrize("lost", ["release/tiny/tiny.ipynb", "gradebook.db", "_build/release/tiny.json"])
def test_a_release_with_a_lost_part_is_made_again(course: Course, lost: str) -> None:
    (course.root / lost).unlink()
    assert release(course, "tiny").exists()
    assert (course.root / lost).exists()


def test_a_notebook_changed_by_hand_is_replaced(course: Course) -> None:
    notebook = course.release / "tiny" / "tiny.ipynb"
    before = notebook.read_bytes()
    notebook.write_bytes(before[: len(before) // 2])
    release(course, "tiny")
    assert notebook.read_bytes() == before


def test_an_interrupted_release_never_counts(unreleased: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_paths: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            release(unreleased, "tiny")
    assert not (unreleased.release / "tiny").exists()
    assert list(sources(release(unreleased, "tiny"))) != []


@pytest.mark.parametrize(
    ("dropped", "shown"),
    [("    NameOpenTasks,\n", "the marker 'BEGIN SOLUTION'"), ("    stock.ClearHiddenTests,\n", "BEGIN HIDDEN TESTS")],
)
def test_a_secret_is_refused_and_deleted(unreleased: Course, dropped: str, shown: str) -> None:
    edit(unreleased.config, dropped, "")
    with pytest.raises(EngineError, match=shown):
        release(unreleased, "tiny")
    assert not (unreleased.release / "tiny").exists()
    assert not list(unreleased.build.rglob("*.ipynb"))
    assert not unreleased.gradebook.exists()


def test_a_secret_without_its_markers_is_found_too(unreleased: Course) -> None:
    blind = """
from nbgrader.preprocessors import NbGraderPreprocessor


class OnlyTheMarkers(NbGraderPreprocessor):
    def preprocess_cell(self, cell, resources, index):
        cell.source = "\\n".join(line for line in cell.source.split("\\n") if "### " not in line)
        return cell, resources


c.GenerateAssignment.preprocessors.insert(0, OnlyTheMarkers)
c.ClearSolutions.enabled = False
"""
    edit(unreleased.config, "    NameOpenTasks,\n", "")
    unreleased.config.write_text(unreleased.config.read_text(encoding="utf-8") + blind, encoding="utf-8")
    with pytest.raises(EngineError, match="hidden line 'doubled_by_the_reference = 2"):
        release(unreleased, "tiny")


def test_every_problem_of_an_assignment_is_raised(unreleased: Course) -> None:
    edit(text(unreleased), ":tests: double\n:points: 1", ":tests: dubble\n:points: 9")
    with pytest.raises(AuthoringError) as caught:
        release(unreleased, "tiny")
    assert len(caught.value.problems) > 1
    assert not unreleased.release.exists()


def test_made_up_submissions_give_way_to_new_cells(course: Course) -> None:
    hand_in(course, "demo-ada")
    edit(text(course), ":name: double-seen", ":name: double-shown")
    assert "double-shown" in sources(release(course, "tiny"))
    assert submitters(course.gradebook, "tiny") == ()


def test_real_submissions_keep_their_cells(course: Course) -> None:
    hand_in(course, "demo-ada")
    hand_in(course, "ida")
    edit(text(course), ":name: double-seen", ":name: double-shown")
    with pytest.raises(CourseError, match=r"'ida'\n.*nbgrader db assignment remove tiny"):
        release(course, "tiny")
    assert submitters(course.gradebook, "tiny") == ("demo-ada", "ida")
    assert "double-seen" in sources(course.release / "tiny" / "tiny.ipynb"), "the old release stays"


def test_new_points_reach_a_gradebook_with_submissions(course: Course) -> None:
    hand_in(course, "ida")
    edit(text(course), ":tests: double\n:points: 1", ":tests: double\n:points: 2")
    edit(text(course), "## Doubling (3 points)", "## Doubling (4 points)")
    edit(text(course), "| Doubling | 3 |", "| Doubling | 4 |")
    edit(text(course), "| **Total** | **6** |", "| **Total** | **7** |")
    release(course, "tiny")
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        assert gradebook.find_submission("tiny", "ida").max_score == 7


def test_a_failure_of_nbgrader_says_how_to_see_more(unreleased: Course) -> None:
    failing = "from nbgrader.preprocessors import NbGraderPreprocessor\n\n\nclass Fails(NbGraderPreprocessor):\n"
    failing += "    def preprocess(self, nb, resources):\n        raise LookupError('no such shelf')\n\n\n"
    failing += "c.GenerateAssignment.preprocessors.insert(0, Fails)\n"
    unreleased.config.write_text(unreleased.config.read_text(encoding="utf-8") + failing, encoding="utf-8")
    with pytest.raises(EngineError, match="nbgrader generate_assignment tiny --force"):
        release(unreleased, "tiny")


def test_the_environment_is_left_as_it_was(course: Course) -> None:
    shutil.rmtree(course.release / "tiny")
    before, folder = dict(os.environ), Path.cwd()
    release(course, "tiny")
    assert (dict(os.environ), Path.cwd()) == (before, folder)
