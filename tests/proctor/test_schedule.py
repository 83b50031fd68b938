"""A class is graded: only what needs it, one broken submission among many, and nothing lost when something fails."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

from proctor.course import Course
from proctor.errors import CourseError, EngineError
from proctor.gradebook import programs_first, submitters
from proctor.grader import Graded, Grader
from proctor.model import Submission
from proctor.record import Store, read_config
from proctor.schedule import Result, grade, refuse_unknown, submitters_on_disk

Change = Callable[[dict[str, Any]], None]
ALL = ("double-seen", "double-hidden", "add-cases")


def again(course: Course, *students: str, **options: Any) -> dict[str, Result]:
    results = grade(course, "tiny", students, **{"jobs": 2, "trusted": True} | options)
    return {result.verdict.student: result for result in results}


def states(results: dict[str, Result]) -> dict[str, tuple[str, float]]:
    return {student: (each.verdict.state, each.verdict.score) for student, each in results.items()}


def judged_now(results: dict[str, Result]) -> dict[str, str]:
    return {student: each.why for student, each in results.items() if each.graded}


def edit(path: Path, name: str, change: Change) -> None:
    """Change one cell of a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    (cell,) = [each for each in notebook["cells"] if each["metadata"].get("nbgrader", {}).get("grade_id") == name]
    change(cell)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def source_of(course: Course) -> Path:
    return course.source / "tiny" / "tiny.ipynb"


def replacing(old: str, new: str) -> Change:
    def change(cell: dict[str, Any]) -> None:
        text = "".join(cell["source"])
        assert old in text
        cell["source"] = text.replace(old, new)

    return change


def mark(course: Course, student: str, cell: str, **fields: Any) -> None:
    """Make a stored outcome recognisable."""
    path = Store(course, "tiny").path(student)
    content = json.loads(path.read_text(encoding="utf-8"))
    (outcome,) = [each for each in content["verdict"]["outcomes"] if each["cell"] == cell]
    outcome.update(fields)
    path.write_text(json.dumps(content), encoding="utf-8")


def scores(course: Course, student: str, assignment: str = "tiny") -> dict[str, tuple[float | None, bool]]:
    """Return what the gradebook holds: points, and whether a person is asked to look."""
    with programs_first(), Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        books = gradebook.find_submission(assignment, student).notebooks
        return {
            (f"{book.name}/" if len(books) > 1 else "") + each.name: (each.auto_score, each.needs_manual_grade)
            for book in books
            for each in book.grades
        }


def files(course: Course) -> dict[str, bytes]:
    folders = (course.autograded, course.root / "records")
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


# -- a first run --------------------------------------------------------------------------------------------------


def test_everyone_is_graded_and_written_down(marked: Course) -> None:
    kept = {student: Store(marked, "tiny").read(student) for student in ("ada", "carl", "zoe")}
    verdicts = {student: each.verdict for student, each in kept.items() if each}
    assert {student: (each.state, each.score, each.max_score) for student, each in verdicts.items()} == {
        "ada": ("complete", 5.0, 5.0),
        "carl": ("complete", 3.0, 5.0),
        "zoe": ("partial", 3.0, 5.0),
    }
    assert verdicts["zoe"].reason == "test 'add-cases': your code ended its process"
    assert all(each.rung and each.memory and each.seconds and each.seed is None for each in verdicts.values())
    assert submitters(marked.gradebook, "tiny") == ("ada", "carl", "zoe")
    assert scores(marked, "carl") == {
        "double-seen": (1.0, False),
        "double-hidden": (0.0, False),
        "add-cases": (2.0, False),
        "why-add": (0.0, False),
    }
    assert (scores(marked, "ada")["why-add"], scores(marked, "zoe")["add-cases"]) == ((None, True), (0.0, False))
    for student in verdicts:
        assert (marked.autograded / student / "tiny" / "tiny.ipynb").is_file()


def test_what_is_not_judged_has_no_grade_and_no_zero(marked: Course) -> None:
    assert Store(marked, "tiny").read("otto") is None
    assert not (marked.autograded / "otto").exists()
    assert "otto" not in submitters(marked.gradebook, "tiny")


def test_results_come_in_order_and_each_is_told_when_it_is_written(graded: Course) -> None:
    told: list[str] = []

    def tell(result: Result) -> None:
        assert result.verdict.state == "not judged" or Store(graded, "tiny").read(result.verdict.student)
        told.append(result.verdict.student)

    for path in (graded.root / "records" / "tiny").iterdir():
        path.unlink()
    assert list(again(graded, "zoe", "otto", "ada", "zoe", tell=tell)) == ["zoe", "otto", "ada"]
    assert sorted(told) == ["ada", "otto", "zoe"]


def test_only_folders_of_the_assignment_count_as_handed_in(graded: Course) -> None:
    (graded.submitted / "ida" / "other").mkdir(parents=True)
    (graded.submitted / "ida" / "tiny").write_text("a file", encoding="utf-8")
    (graded.submitted / ".trash" / "tiny").mkdir(parents=True)
    assert submitters_on_disk(graded, "tiny") == ("ada", "carl", "otto", "zoe")


def test_unknown_names_get_a_suggestion(graded: Course) -> None:
    with pytest.raises(CourseError, match="no source notebook for 'tinny'") as caught:
        refuse_unknown(graded, "tinny", ())
    assert caught.value.todo == "did you mean 'tiny'?"
    with pytest.raises(CourseError, match="no source notebook for 'quux'") as caught:
        refuse_unknown(graded, "quux", ())
    assert caught.value.todo == "proctor release quux"
    with pytest.raises(CourseError, match="'adda' has handed in nothing for 'tiny'") as caught:
        grade(graded, "tiny", ["carl", "adda"], trusted=True)
    assert caught.value.todo == "did you mean 'ada'?"


def test_an_assignment_that_nobody_handed_in_says_so(course: Course) -> None:
    with pytest.raises(CourseError, match="nobody has handed in 'tiny'") as caught:
        grade(course, "tiny", trusted=True)
    assert "nbgrader collect" in caught.value.todo


# -- a second run -------------------------------------------------------------------------------------------------


def test_a_second_run_grades_nothing(graded: Course) -> None:
    before = files(graded)
    results = again(graded)
    assert judged_now(results) == {}
    assert states(results) == {
        "ada": ("complete", 5.0),
        "carl": ("complete", 3.0),
        "otto": ("not judged", 0.0),
        "zoe": ("partial", 3.0),
    }
    assert results["otto"].verdict.reason.startswith("'tiny.ipynb' is not complete: ")
    assert files(graded) == before


def test_force_grades_everyone(graded: Course) -> None:
    mark(graded, "ada", "add-cases", points=0.25)
    results = again(graded, force=True)
    assert judged_now(results) == dict.fromkeys(["ada", "carl", "zoe"], "asked for")
    assert states(results)["ada"] == ("complete", 5.0)


def test_a_changed_submission_is_graded_again_and_no_other(graded: Course) -> None:
    path = graded.submitted / "carl" / "tiny" / "tiny.ipynb"
    edit(path, "double", replacing("6 if x else 0", "x + x"))
    results = again(graded)
    assert judged_now(results) == {"carl": "the submission changed"}
    assert states(results)["carl"] == ("complete", 5.0)
    assert scores(graded, "carl")["double-hidden"] == (2.0, False)


def test_a_changed_hidden_test_is_judged_again_and_no_other(graded: Course) -> None:
    """The other points are those that stand, which are made recognisable here."""
    for student in ("ada", "carl"):
        mark(graded, student, "add-cases", points=0.25, message="as it was")
    mark(graded, "ada", "double-seen", state="timed out", points=0.0, message="ran past 9 s")
    edit(source_of(graded), "double-hidden", replacing("drawn == 2 * fresh", "drawn in (2 * fresh, 6)"))
    results = again(graded)
    assert judged_now(results) == dict.fromkeys(["ada", "carl", "zoe"], "the test 'double-hidden' changed")
    verdict = results["carl"].verdict
    assert [(each.cell, each.points, each.message) for each in verdict.outcomes] == [
        ("double-seen", 1.0, ""),
        ("double-hidden", 2.0, ""),
        ("add-cases", 0.25, "as it was"),
    ]
    assert scores(graded, "carl")["add-cases"] == (0.25, False)
    assert scores(graded, "carl")["double-hidden"] == (2.0, False)
    ada = results["ada"].verdict
    assert (ada.state, ada.reason) == ("partial", "test 'double-seen': ran past 9 s"), "what stands counts"
    assert results["zoe"].verdict.reason == "test 'add-cases': your code ended its process"
    assert judged_now(again(graded)) == {}


def test_two_changed_tests_are_named(graded: Course) -> None:
    for name, old in (("double-hidden", "is not 0"), ("add-cases", "expected 7")):
        edit(source_of(graded), name, replacing(old, "wrong"))
    assert judged_now(again(graded, "ada")) == {"ada": "the tests 'add-cases', 'double-hidden' changed"}


def test_changed_points_are_given(graded: Course) -> None:
    edit(source_of(graded), "add-cases", lambda cell: cell["metadata"]["nbgrader"].update(points=1))
    results = again(graded, "ada")
    assert judged_now(results) == {"ada": "the test 'add-cases' changed"}
    assert (results["ada"].verdict.score, results["ada"].verdict.max_score) == (4.0, 4.0)


def test_a_changed_cell_of_the_instructor_has_everything_judged_again(graded: Course) -> None:
    mark(graded, "ada", "add-cases", points=0.25)
    edit(source_of(graded), "opening", replacing("import seed", "import  seed"))
    results = again(graded)
    assert judged_now(results) == dict.fromkeys(["ada", "carl", "zoe"], "the instructor's cells changed")
    assert states(results)["ada"] == ("complete", 5.0)


def test_another_seed_is_written_down_and_the_secret_comes_back(graded: Course) -> None:
    results = again(graded, "ada", seed=7)
    assert judged_now(results) == {"ada": "the seed changed"}
    assert results["ada"].verdict.seed == 7
    assert judged_now(again(graded, "ada", seed=7)) == {}
    results = again(graded, "ada")
    assert judged_now(results) == {"ada": "the seed changed"}
    assert results["ada"].verdict.seed is None


def test_what_was_damaged_or_deleted_is_made_again(graded: Course) -> None:
    record = Store(graded, "tiny").path("ada")
    whole = json.loads(record.read_text(encoding="utf-8"))
    record.write_bytes(record.read_bytes()[:200])
    shutil.rmtree(graded.autograded / "carl")
    assert sorted(judged_now(again(graded))) == ["ada", "carl"]
    assert json.loads(record.read_text(encoding="utf-8"))["key"] == whole["key"]
    assert (graded.autograded / "carl" / "tiny" / "tiny.ipynb").is_file()
    assert judged_now(again(graded)) == {}


def test_a_grade_that_stood_is_for_a_person_when_the_new_file_is_broken(graded: Course) -> None:
    path = graded.submitted / "ada" / "tiny" / "tiny.ipynb"
    path.write_bytes(path.read_bytes()[:300])
    assert states(again(graded))["ada"] == ("not judged", 0.0)
    assert scores(graded, "ada") == {
        "double-seen": (1.0, True),
        "double-hidden": (2.0, True),
        "add-cases": (2.0, True),
        "why-add": (None, True),
    }


def test_an_earlier_file_that_is_back_is_graded_again(graded: Course) -> None:
    path = graded.submitted / "ada" / "tiny" / "tiny.ipynb"
    before, whole = scores(graded, "ada"), path.read_bytes()
    path.write_bytes(whole[:300])
    again(graded)
    path.write_bytes(whole)
    assert sorted(judged_now(again(graded))) == ["ada"]
    assert scores(graded, "ada") == before, "and nobody is asked any more"


# -- what goes wrong ----------------------------------------------------------------------------------------------


def failing_for(student: str, error: BaseException) -> Callable[..., Any]:
    grade_one = Grader.grade

    async def fail(self: Grader, submission: Submission, **options: Any) -> Graded:
        if submission.student == student:
            raise error
        return await grade_one(self, submission, **options)

    return fail


def test_a_fault_of_ours_costs_one_try_of_one_submission(graded: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(graded.root / "records")
    before = scores(graded, "ada")
    with monkeypatch.context() as patch:
        patch.setattr(Grader, "grade", failing_for("ada", EngineError("the disk is full")))
        results = again(graded)
    assert sorted(judged_now(results)) == ["carl", "zoe"]
    assert results["ada"].verdict.state == "not judged"
    assert results["ada"].verdict.reason == "a fault of ours: the disk is full"
    assert scores(graded, "ada") == before, "what stood before is not lost, and no person can help"
    assert sorted(judged_now(again(graded))) == ["ada"]


def test_a_verdict_that_cannot_be_written_down_stops_no_other(graded: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    from proctor import schedule

    record = schedule.record

    def fail(course: Course, submission: Submission, *rest: Any) -> Path:
        if submission.student == "ada":
            raise EngineError("the autograded notebook could not be written")
        return record(course, submission, *rest)

    monkeypatch.setattr(schedule, "record", fail)
    results = again(graded, force=True)
    assert sorted(judged_now(results)) == ["carl", "zoe"]
    assert results["ada"].verdict.reason == "a fault of ours: the autograded notebook could not be written"


def test_an_unusable_gradebook_stops_the_run(graded: Course) -> None:
    graded.gradebook.write_text("no database", encoding="utf-8")
    with pytest.raises(CourseError, match="gradebook cannot be used"):
        again(graded, "ada", force=True)


def test_an_interrupted_run_keeps_what_was_written(graded: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    grade_one = Grader.grade

    async def interrupt(self: Grader, submission: Submission, **options: Any) -> Graded:
        if submission.student == "carl":
            signal.raise_signal(signal.SIGINT)  # Ctrl-C, while this one is graded
        return await grade_one(self, submission, **options)

    shutil.rmtree(graded.root / "records")
    with monkeypatch.context() as patch:
        patch.setattr(Grader, "grade", interrupt)
        with pytest.raises(KeyboardInterrupt):
            again(graded, jobs=1)
    assert [path.stem for path in (graded.root / "records" / "tiny").glob("*.json")] == ["ada"]
    assert sorted(judged_now(again(graded))) == ["carl", "zoe"]


# -- assignments of others ----------------------------------------------------------------------------------------


def marks(name: str, *, points: float | None = None, solution: bool = False) -> dict[str, Any]:
    """Return nbgrader's metadata, as its own editor writes it."""
    own = {"grade": points is not None, "solution": solution, "locked": not solution, "task": False}
    return {"nbgrader": own | {"grade_id": name, "schema_version": 3} | ({} if points is None else {"points": points})}


def notebook_of_others(name: str) -> Any:
    solution = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION"
    tests = f"assert {name}(1) == 2\n### BEGIN HIDDEN TESTS\nassert {name}(5) == 6, 'five'\n### END HIDDEN TESTS"
    return new_notebook(
        cells=[
            new_markdown_cell("# By hand"),
            new_code_cell("import math", metadata=marks("start")),
            new_code_cell(solution, metadata=marks(f"{name}-task", solution=True)),
            new_code_cell(tests, metadata=marks(f"{name}-test", points=3)),
            new_code_cell(f"0.5 if {name}(2) == 3 else 0", metadata=marks(f"{name}-part", points=2)),
            new_markdown_cell("Why?", metadata=marks(f"{name}-why", points=1, solution=True)),
        ]
    )


@pytest.fixture(scope="module")
def others(released: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with an assignment of two notebooks, written by hand and released by nbgrader; never changed."""
    course = Course(Path(shutil.copytree(released.root, tmp_path_factory.mktemp("others") / "course")))
    folder = course.source / "hand"
    folder.mkdir()
    for name in ("one", "two"):
        nbformat.write(notebook_of_others(name), folder / f"{name}.ipynb")
    (folder / "table.csv").write_text("1", encoding="utf-8")
    with programs_first():
        done = NbGraderAPI(config=read_config(course)).generate_assignment("hand")
    assert done["success"], done["log"]
    return course


def test_an_assignment_without_proctor_is_graded_and_marked_unsealed(others: Course, tmp_path: Path) -> None:
    course = Course(Path(shutil.copytree(others.root, tmp_path / "course")))
    answers = {"ada": {"one": "x + 1", "two": "x + 1"}, "bob": {"one": "2"}}
    for student, bodies in answers.items():
        for name, body in bodies.items():
            target = course.submitted / student / "hand" / f"{name}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(course.release / "hand" / f"{name}.ipynb", target)
            source = f"def {name}(x):\n    open('table.csv').read()\n    return {body}"
            edit(target, f"{name}-task", lambda cell, source=source: cell.update(source=source))
    results = {each.verdict.student: each.verdict for each in grade(course, "hand", trusted=True, jobs=2)}
    ada = [(each.notebook, each.cell, each.points, each.sealed) for each in results["ada"].outcomes]
    assert ada == [
        ("one", "one-test", 3.0, False),
        ("one", "one-part", 0.5, False),
        ("two", "two-test", 3.0, False),
        ("two", "two-part", 0.5, False),
    ]
    assert (results["ada"].state, results["ada"].score, results["ada"].max_score) == ("complete", 7.0, 10.0)
    bob = {each.cell: (each.points, each.message) for each in results["bob"].outcomes}
    assert bob["one-test"] == (0.0, "five")
    assert bob["two-test"][0] == 0.0
    assert "notebook 'two' was not handed in: its tasks stand open" in results["bob"].notes
    assert scores(course, "ada", "hand")["two/two-test"] == (3.0, False)
    assert scores(course, "bob", "hand")["one/one-test"] == (0.0, False)
    assert scores(course, "bob", "hand")["two/two-test"] == (0.0, False)
    assert not any(each.graded for each in grade(course, "hand", trusted=True, jobs=2))


def test_a_test_of_one_notebook_leaves_the_other_as_it_is(others: Course, tmp_path: Path) -> None:
    course = Course(Path(shutil.copytree(others.root, tmp_path / "course")))
    shutil.copytree(course.release / "hand", course.submitted / "ada" / "hand")
    (before,) = grade(course, "hand", trusted=True)
    edit(course.source / "hand" / "two.ipynb", "two-part", lambda cell: cell.update(source="2"))
    (result,) = grade(course, "hand", trusted=True)
    assert result.why == "the test 'two-part' changed"
    kept = [each for each in before.verdict.outcomes if each.cell != "two-part"]
    assert [each for each in result.verdict.outcomes if each.cell != "two-part"] == kept
    assert replace(result.verdict.outcomes[-1], seconds=0) == replace(
        before.verdict.outcomes[-1], state="passed", points=2.0, message="", seconds=0
    )
