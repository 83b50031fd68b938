"""The source notebook, and what nbgrader itself makes of it: a release, a validation, points."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import ClearSolutions
from nbgrader.validator import Validator
from traitlets.config import Config

from proctor.author import NameOpenTasks, build_notebook, open_task_stub, write_source
from proctor.model import Cell

# nbgrader's models reach for rows that SQLAlchemy 2 has not loaded yet; nothing that we call differently would help
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted\\w+> not in session")

SECRETS = ("return x * w + b", "return x * dz", "steepest = 3.0", "far = ", "isclose", "need not pass", "BEGIN", "END")
LIGHT = ("import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n", "")  # starts the kernel sooner


def cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in notebook.cells}


def config(root: Path) -> Config:
    chosen = Config()
    chosen.CourseDirectory.root = str(root)
    chosen.CourseDirectory.assignment_id = "dense"
    chosen.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    default = GenerateAssignment.preprocessors.default_args[0]
    own = [NameOpenTasks if each is ClearSolutions else each for each in default]
    chosen.GenerateAssignment.preprocessors = own
    return chosen


def convert(step: type[Any], root: Path) -> None:
    step(coursedir=CourseDirectory(config=config(root)), config=config(root)).start()


@pytest.fixture(scope="module")
def root(shared_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose only assignment is released; tests leave its notebooks as they are."""
    root = tmp_path_factory.mktemp("course")
    text = shared_desk.change(shared_desk.sample, *LIGHT)
    write_source(shared_desk.read(text), root / "source" / "dense" / "dense.ipynb")
    convert(GenerateAssignment, root)
    return root


@pytest.fixture
def released(root: Path) -> NotebookNode:
    return nbformat.read(root / "release" / "dense" / "dense.ipynb", as_version=4)


def test_jupytext_finds_the_same_cells_in_the_file(desk: Any) -> None:
    """The oracle for where cells begin and end is the tool with which JupyterLab opens the same file."""
    ours = build_notebook(desk.read()).cells
    theirs = jupytext.reads(desk.sample, fmt="md:myst").cells
    assert [(cell.cell_type, cell.source) for cell in ours] == [(cell.cell_type, cell.source) for cell in theirs]


def test_each_cell_says_on_which_line_it_stands(desk: Any) -> None:
    lines = desk.sample.split("\n")
    for cell in desk.read().cells:
        assert lines[cell.line - 1] == cell.source.split("\n")[0]


def test_the_assignment_knows_its_kinds_tasks_and_points(desk: Any) -> None:
    assignment = desk.read()
    assert (assignment.name, assignment.title) == ("dense", "Dense layers")
    assert [cell.name for cell in assignment.of_kind("given")] == ["opening", "demo"]
    assert [cell.name for cell in assignment.of_kind("solution")] == ["forward", "backward"]
    assert [cell.name for cell in assignment.of_kind("written")] == ["why-bias", "why-sum"]
    assert [(task.title, task.points) for task in assignment.tasks] == [("Forward pass", 3), ("Backward pass", 2.5)]
    assert assignment.tasks[0].cells == ("forward", "forward-values", "why-bias")
    assert (assignment.automatic_points, assignment.max_points) == (3.5, 5.5)
    values = assignment.cell("backward-values")
    assert (values.tests, values.points, values.slow) == (("backward", "forward"), 1.5, True)


def test_nbgrader_finds_its_metadata_valid_and_complete(desk: Any) -> None:
    notebook = build_notebook(desk.read())
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    by_id = cells(notebook)
    flags = ("grade", "solution", "locked", "task")
    marks = {name: by_id[name].metadata.nbgrader for name in ("opening", "forward", "forward-values", "why-sum")}
    assert {name: [mark[flag] for flag in flags] for name, mark in marks.items()} == {
        "opening": [False, False, True, False],
        "forward": [False, True, False, False],
        "forward-values": [True, False, True, False],
        "why-sum": [True, True, False, False],
    }
    assert marks["forward-values"].points == 2
    assert "points" not in marks["forward"]
    assert by_id["backward-values"].metadata.proctor == {"tests": ["backward", "forward"], "slow": True}
    assert all(cell.metadata == {} for cell in notebook.cells if cell.id.startswith("text--"))


def test_only_a_changed_text_changes_the_notebook(desk: Any) -> None:
    first = build_notebook(desk.read())
    assert build_notebook(desk.read()) == first
    changed = build_notebook(desk.read(desk.change(desk.sample, "Now the other way.", "And now the other way.")))
    differing = [before.id for before, after in zip(first.cells, changed.cells, strict=True) if before != after]
    assert len(differing) == 1
    assert differing[0].startswith("text--")


def test_equal_texts_get_different_ids(desk: Any) -> None:
    text = desk.change(desk.sample, "Now the other way.", "Twice.\n\n+++\n\nTwice.")
    ids = [cell.id for cell in build_notebook(desk.read(text)).cells]
    assert len(set(ids)) == len(ids)


def test_the_source_is_written_once(desk: Any, tmp_path: Path) -> None:
    target = tmp_path / "source" / "dense" / "dense.ipynb"
    assert write_source(desk.read(), target)
    os.utime(target, (1, 1))
    assert not write_source(desk.read(), target)
    assert target.stat().st_mtime == 1
    assert write_source(desk.read(desk.change(desk.sample, "One unit, by hand.", "One unit.")), target)
    assert [path.name for path in target.parent.iterdir()] == ["dense.ipynb"]


def test_a_source_that_cannot_be_written_leaves_the_old_one(desk: Any, tmp_path: Path, monkeypatch: Any) -> None:
    target = tmp_path / "dense.ipynb"
    target.write_text("old", encoding="utf-8")

    def fail(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_source(desk.read(), target)
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "dense.ipynb"]


def test_the_release_shows_no_secret(released: NotebookNode) -> None:
    text = "\n".join(cell.source for cell in released.cells)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "need not pass" not in nbformat.writes(released)


def test_the_release_is_valid_and_locked_where_it_should_be(released: NotebookNode) -> None:
    MetadataValidator().validate_nb(released)
    by_id = cells(released)
    assert [name for name, cell in by_id.items() if cell.metadata.get("editable") is False] == [
        "opening",
        "forward-values",
        "demo",
        "backward-values",
    ]


def test_each_stub_names_its_open_task(released: NotebookNode) -> None:
    by_id = cells(released)
    assert by_id["forward"].source == (
        "def dense(x: float, w: float, b: float) -> float:\n"
        '    """Return z = x w + b."""\n'
        "    raise NotImplementedError(\"Task 'forward' is open: write dense() here.\")"
    )
    assert (
        "        raise NotImplementedError(\"Task 'backward' is open: write Layer.slope() here.\")"
        in by_id["backward"].source
    )
    assert "\nraise NotImplementedError(\"Task 'backward' is open: write this part.\")" in by_id["backward"].source


def test_a_question_keeps_its_words_and_has_room_for_an_answer(released: NotebookNode) -> None:
    assert cells(released)["why-bias"].source == "Why is there a bias?\n\n*Your answer here.*"
    assert cells(released)["why-sum"].source == "Why is there a sum?\n\n*Your answer here.*"


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["class Net:", "    # first", "    ### BEGIN SOLUTION", "    a = 1", "    ### END SOLUTION"], "Net here"),
        (["async def f():", "    ### BEGIN SOLUTION", "    a = 1", "    ### END SOLUTION"], "f() here"),
        (
            ["if True:", "    def f():", "        ### BEGIN SOLUTION", "        a = 1", "        ### END SOLUTION"],
            "f() here",
        ),
        (
            [
                "def f():",
                "    def g():",
                "        ### BEGIN SOLUTION",
                "        a = 1",
                "        ### END SOLUTION",
                "    return g",
            ],
            "f.g() here",
        ),
        (["def f():", "    pass", "### BEGIN SOLUTION", "a = 1", "### END SOLUTION"], "this part"),
        (["### BEGIN SOLUTION", "def f():", "    a = 1", "### END SOLUTION"], "this part"),
        (["%matplotlib inline", "def f():", "    ### BEGIN SOLUTION", "    a = 1", "    ### END SOLUTION"], "f() here"),
        (["a = (", "### BEGIN SOLUTION", "1", "### END SOLUTION"], "this part"),
    ],
)
def test_a_stub_stands_where_the_region_began(lines: list[str], place: str) -> None:
    begin = next(line for line in lines if "BEGIN" in line)
    stub = open_task_stub(Cell("solution", "\n".join(lines), 1, "task")).split("\n")
    line = f"raise NotImplementedError(\"Task 'task' is open: write {place}.\")"
    assert stub[lines.index(begin)] == begin.replace("### BEGIN SOLUTION", line)


def test_a_solution_in_a_cell_that_is_not_marked_is_refused(desk: Any) -> None:
    """The original's own check still holds for notebooks that we did not write."""
    notebook = build_notebook(desk.read())
    cells(notebook)["forward"].metadata = NotebookNode()
    with pytest.raises(RuntimeError, match="Solution region detected in a non-solution cell"):
        NameOpenTasks().preprocess(notebook, {})


def test_a_solution_cell_without_regions_is_cleared_whole(desk: Any) -> None:
    notebook = build_notebook(desk.read())
    cells(notebook)["forward"].source = "def dense(x, w, b): return x * w + b"
    cleared, _ = NameOpenTasks().preprocess(notebook, {})
    assert cells(cleared)["forward"].source == "# YOUR CODE HERE\nraise NotImplementedError()"


def test_the_reference_validates_and_the_release_does_not(root: Path) -> None:
    verdicts = {}
    for step in ("source", "release"):
        result = Validator().validate(str(root / step / "dense" / "dense.ipynb"))
        verdicts[step] = [cell["source"].split("\n")[0] for cell in result.get("failed", [])]
    tests, questions = ["x, w, b = 2.0, 3.0, 1.0", "with student:"], ["Why is there a bias?", "Why is there a sum?"]
    assert verdicts["source"] == []
    assert sorted(verdicts["release"]) == sorted([*tests, *questions])


def test_nbgrader_grades_an_answered_release(root: Path, released: NotebookNode) -> None:
    """One task answered, one left open, one question answered: hidden tests are put back and count."""
    by_id = cells(released)
    by_id["forward"].source = "def dense(x, w, b):\n    return x * w + b"
    by_id["why-bias"].source += "\nBecause."
    submitted = root / "submitted" / "ada" / "dense" / "dense.ipynb"
    submitted.parent.mkdir(parents=True)
    nbformat.write(released, submitted)
    convert(Autograde, root)
    graded = nbformat.read(root / "autograded" / "ada" / "dense" / "dense.ipynb", as_version=4)
    assert "math.isclose" in cells(graded)["forward-values"].source
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as gradebook:
        grades = gradebook.find_submission_notebook("dense", "dense", "ada").grades
        points = {grade.name: (grade.auto_score, grade.max_score, grade.needs_manual_grade) for grade in grades}
    assert points == {
        "forward-values": (2, 2, False),
        "backward-values": (0, 1.5, False),
        "why-bias": (None, 1, True),
        "why-sum": (0, 1, False),
    }
