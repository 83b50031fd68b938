"""A course is found from anywhere inside it, and its secret seeds never change or get lost."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from proctor.course import Course, draw_seed, find_course, secret_seed
from proctor.errors import CourseError


@pytest.fixture
def empty(tmp_path: Path) -> Course:
    """A course without assignments."""
    (tmp_path / "nbgrader_config.py").touch()
    return Course(tmp_path)


def write(course: Course, name: str) -> None:
    folder = course.assignments / name
    folder.mkdir(parents=True)
    (folder / f"{name}.md").touch()


def test_a_course_is_found_from_a_folder_below_it(empty: Course) -> None:
    below = empty.root / "release" / "dense"
    below.mkdir(parents=True)
    assert find_course(below) == empty


def test_a_folder_of_no_course_is_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="belongs to no course") as caught:
        find_course(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_assignments_are_the_folders_that_hold_a_text_of_their_name(empty: Course) -> None:
    write(empty, "dense")
    write(empty, "backprop")
    (empty.assignments / "notes").mkdir()
    (empty.assignments / "notes" / "todo.md").touch()
    assert empty.names == ("backprop", "dense")
    assert empty.assignment("dense") == empty.assignments / "dense"


def test_a_misspelt_assignment_gets_a_suggestion(empty: Course) -> None:
    write(empty, "backprop")
    with pytest.raises(CourseError, match="did you mean 'backprop'"):
        empty.assignment("backdrop")


def test_a_name_unlike_any_other_gets_the_list(empty: Course) -> None:
    write(empty, "backprop")
    with pytest.raises(CourseError, match=r"holds 'backprop'\n.*write 'assignments/zzz/zzz.md' first"):
        empty.assignment("zzz")


def test_a_path_is_no_assignment(empty: Course) -> None:
    write(empty, "backprop")
    with pytest.raises(CourseError, match="no assignment"):
        empty.assignment("../assignments/backprop")


def test_a_seed_is_drawn_once_for_each_assignment(empty: Course) -> None:
    first, second = draw_seed(empty, "dense"), draw_seed(empty, "backprop")
    assert first != second
    assert (draw_seed(empty, "dense"), secret_seed(empty, "dense"), secret_seed(empty, "backprop")) == (
        first,
        first,
        second,
    )


def test_only_its_owner_can_read_the_seeds(empty: Course) -> None:
    draw_seed(empty, "dense")
    assert stat.S_IMODE(empty.seeds.stat().st_mode) == 0o600


def test_an_assignment_without_a_seed_says_how_to_get_one(empty: Course) -> None:
    with pytest.raises(CourseError, match="proctor release dense"):
        secret_seed(empty, "dense")


@pytest.mark.parametrize("damaged", ['{"dense": 1', '{"dense": "1"}', "[1, 2]", '{"dense": true}'])
def test_seeds_that_cannot_be_read_are_never_overwritten(empty: Course, damaged: str) -> None:
    empty.seeds.write_text(damaged)
    with pytest.raises(CourseError, match="restore the file from a backup"):
        draw_seed(empty, "backprop")
    assert empty.seeds.read_text() == damaged


def test_a_failed_write_leaves_the_old_seeds_and_no_litter(empty: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = draw_seed(empty, "dense")

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_seed(empty, "backprop")
    assert json.loads(empty.seeds.read_text()) == {"dense": seed}
    assert {path.name for path in empty.root.iterdir()} == {"nbgrader_config.py", "seeds.json"}
