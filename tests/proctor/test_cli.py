"""Commands print results on stdout and errors on stderr, exit as documented, and leave nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proctor import __version__
from proctor.cli import main
from proctor.course import Course

Gone = Callable[[int], bool]


@pytest.fixture
def call(unreleased: Course, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a command in the folder of the small course."""
    monkeypatch.chdir(unreleased.root)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"proctor, version {__version__}\n"


def test_help_does_not_wait_for_nbgrader() -> None:
    heavy = "import sys, proctor.cli; sys.exit('nbgrader' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help_and_an_example(command: str) -> None:
    shown = CliRunner().invoke(main, [command, "--help"]).stdout
    assert f"Example: proctor {command}" in shown


@pytest.mark.parametrize("command", ["author", "release", "check"])
def test_neither_names_nor_all_is_wrong_usage(call, command: str) -> None:
    result: Result = call(command)
    assert result.exit_code == 2
    assert "name assignments, or say --all" in result.stderr


@pytest.mark.parametrize("command", ["author", "release", "check", "demo"])
def test_an_unknown_assignment_is_wrong_usage_with_a_suggestion(call, command: str) -> None:
    result: Result = call(command, "tinny")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "proctor: there is no assignment 'tinny'" in result.stderr
    assert "to do:  did you mean 'tiny'?" in result.stderr


def test_outside_a_course_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["release", "--all"])
    assert result.exit_code == 1
    assert "belongs to no course" in result.stderr


def test_author_writes_the_source(call, unreleased: Course) -> None:
    assert call("author", "tiny").stdout == "source/tiny/tiny.ipynb  6 points\n"
    assert call("author", "--all").stdout == "source/tiny/tiny.ipynb  6 points, unchanged\n"
    assert (unreleased.source / "tiny" / "tiny.ipynb").exists()


def test_problems_are_listed_on_stderr_with_their_places(call, unreleased: Course) -> None:
    path = unreleased.assignments / "tiny" / "tiny.md"
    path.write_text(path.read_text(encoding="utf-8").replace(":points: 1", ":points: 9"), encoding="utf-8")
    result: Result = call("author", "tiny")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "in the assignment:\n" in result.stderr
    assert "tiny.md:" in result.stderr


def test_release_prints_the_notebook(call) -> None:
    assert call("release", "--all").stdout == "release/tiny/tiny.ipynb\n"


def test_one_broken_assignment_does_not_stop_the_others(call, unreleased: Course) -> None:
    broken = unreleased.assignments / "broken"
    broken.mkdir()
    (broken / "broken.md").write_text("# Broken\n", encoding="utf-8")
    result: Result = call("author", "--all")
    assert result.exit_code == 1
    assert "source/tiny/tiny.ipynb" in result.stdout


def test_check_shows_which_cell_caught_what_and_what_the_student_reads(call) -> None:
    result: Result = call("check", "tiny", "--seed", "7")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("tiny: 5 answers, seed 7, ")
    assert lines[3].startswith("Wrong: types the visible answer in  as stated  double-hidden: double is wrong for")
    assert lines[3].endswith("is 6 typed in?")
    assert result.stderr == ""


def test_check_exits_with_1_where_an_answer_is_not_as_stated(call, unreleased: Course) -> None:
    path = unreleased.assignments / "tiny" / "answers.md"
    answers = path.read_text(encoding="utf-8").replace("says: expected 7", "says: expected 9")
    path.write_text(answers, encoding="utf-8")
    result: Result = call("check", "--all", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["holds"] is False
    assert [finding["title"] for finding in report["findings"] if finding["problems"]] == ["Wrong: subtracts"]
    assert "proctor: tiny, Wrong: subtracts: not as stated" in result.stderr
    assert "to do:  mend the message, or 'says'" in result.stderr


def test_an_interrupt_leaves_no_kernel(unreleased: Course, tmp_path: Path, gone: Gone) -> None:
    """The endless reference tells its process id through a pipe, so that the test waits for it without a clock."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = unreleased.assignments / "tiny" / "tiny.md"
    endless = f"    import os\n    open({str(pipe)!r}, 'w').write(str(os.getpid()))\n    while True: pass\n"
    text = path.read_text(encoding="utf-8").replace("    return doubled_by_the_reference\n", endless)
    path.write_text(text, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "proctor", "check", "tiny", "--jobs", "1"],
        cwd=unreleased.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kernel = int(pipe.read_text())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "proctor: interrupted; run the same command again to go on\n"
    assert gone(kernel)
