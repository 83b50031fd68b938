"""Commands print results on stdout and errors on stderr, exit as documented, and leave nothing running."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from proctor import __version__
from proctor.cli import main
from proctor.course import Course
from proctor.sandbox import rung_here


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


# -- grade --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mark(graded: Course, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a command in the folder of a course whose class was graded."""
    monkeypatch.chdir(graded.root)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_grade_prints_a_line_for_each_submission(mark, graded: Course) -> None:
    for record in (graded.root / "records" / "tiny").iterdir():
        record.unlink()
    result: Result = mark("grade", "tiny", "--jobs", "1", "--trusted")
    assert result.exit_code == 1, "one was not judged"
    assert result.stdout.splitlines() == [
        "ada  5/5  complete",
        "carl  3/5  complete",
        "otto  -  not judged: 'tiny.ipynb' is not complete: it breaks off in line 1",
        "zoe  3/5  partial: test 'add-cases': your code ended its process",
    ]
    assert result.stderr == (
        "4: 2 complete, 1 not judged, 1 partial; 3 graded now -> nbgrader generate_feedback tiny\n"
    ), "and no progress, where there is no terminal"


def test_grade_says_what_stands_and_why_something_is_graded_again(mark) -> None:
    result: Result = mark("grade", "tiny", "--student", "ada", "--student", "carl", "--jobs", "1", "--trusted")
    assert result.exit_code == 0
    assert result.stdout == "ada  5/5  complete, unchanged\ncarl  3/5  complete, unchanged\n"
    assert result.stderr.startswith("2: 2 complete; 0 graded now")
    assert mark("grade", "tiny", "--student", "ada", "--force", "--trusted").stdout == (
        "ada  5/5  complete: again: asked for\n"
    )
    result = mark("grade", "tiny", "--student", "zoe", "--seed", "7", "--trusted")
    assert result.stdout == (
        "zoe  3/5  partial: test 'add-cases': your code ended its process; again: the seed changed\n"
    )


def test_grade_prints_json_for_machines(mark) -> None:
    result: Result = mark("grade", "tiny", "--json", "--seed", "7", "--jobs", "1", "--trusted")
    assert result.exit_code == 1
    ada, carl, otto, zoe = map(json.loads, result.stdout.splitlines())
    assert (ada["student"], ada["assignment"], ada["state"], ada["reason"]) == ("ada", "tiny", "complete", "")
    assert (ada["score"], ada["max_score"], ada["seed"]) == (5.0, 5.0, 7)
    assert ada["rung"] == (rung_here().name or "trusted")
    assert ada["seconds"] > 0
    assert ada["peak_memory"] > 2**20
    assert (ada["graded"], ada["why"]) == (True, "the seed changed")
    lost = carl["cells"]["double-hidden"]
    assert lost.pop("seconds") > 0
    assert lost == {
        "points": 0.0,
        "max": 2.0,
        "outcome": "failed",
        "message": "double is wrong for a number that no one has seen: is 6 typed in?",
        "device": "",
        "sealed": True,
    }
    assert list(carl["cells"]) == ["double-seen", "double-hidden", "add-cases"]
    assert (otto["state"], otto["score"], otto["max_score"], otto["cells"]) == ("not judged", None, None, {})
    assert (otto["graded"], otto["rung"]) == (False, "")
    assert zoe["cells"]["add-cases"]["outcome"] == "crashed"
    assert "not judged" in result.stderr, "the summary is for people"


@pytest.mark.parametrize(
    ("arguments", "what", "todo"),
    [
        (["tinny"], "there is no source notebook for 'tinny'", "did you mean 'tiny'?"),
        (["quux"], "there is no source notebook for 'quux'", "proctor release quux"),
        (["tiny", "--student", "zo"], "'zo' has handed in nothing for 'tiny'", "did you mean 'zoe'?"),
        (["tiny", "--student", "?"], "'?' has handed in nothing for 'tiny'", "look at the folder's names"),
    ],
)
def test_grade_refuses_unknown_names(mark, arguments: list[str], what: str, todo: str) -> None:
    result: Result = mark("grade", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"proctor: {what}\n" in result.stderr
    assert f"to do:  {todo}\n" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["tiny", "tiny"], ["tiny", "--jobs", "0"], ["tiny", "--seed", "x"]])
def test_grade_refuses_wrong_usage(mark, arguments: list[str]) -> None:
    assert mark("grade", *arguments).exit_code == 2


def test_grade_says_that_nobody_has_handed_in(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    result = CliRunner().invoke(main, ["grade", "tiny"])
    assert result.exit_code == 1
    assert "proctor: nobody has handed in 'tiny'\n" in result.stderr
    assert "to do:  collect first: nbgrader collect" in result.stderr


@pytest.mark.usefixtures("no_sandbox")
def test_grade_runs_no_student_outside_a_sandbox_unless_told_to(mark) -> None:
    result: Result = mark("grade", "tiny", "--student", "ada", "--force")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (
        "proctor: there is no sandbox for the students' code: bubblewrap: bwrap is not installed; landlock: "
        in result.stderr
    )
    assert "say --trusted" in result.stderr
    result = mark("grade", "tiny", "--student", "ada", "--force", "--json", "--trusted")
    assert result.exit_code == 0
    verdict = json.loads(result.stdout)
    assert (verdict["rung"], verdict["score"]) == ("trusted", 5.0)


def test_grade_shows_progress_on_a_terminal(graded: Course) -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "proctor", "grade", "tiny", "--student", "ada", "--force", "--trusted"],
        cwd=graded.root,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    said = os.read(ours, 2**16).decode()
    os.close(ours)
    assert done.stdout == b"ada  5/5  complete: again: asked for\n"
    assert "[0/1]" in said
    assert said.endswith("\r\x1b[K1: 1 complete; 1 graded now -> nbgrader generate_feedback tiny\r\n")


# -- interrupts ---------------------------------------------------------------------------------------------------


def interrupted(course: Course, *arguments: str, data: Path, path: str) -> str:
    """Run a command until a student's cell has opened a pipe to us, and interrupt it; return what it says.

    The pipe lies in the one folder of ours that a sandbox shows.
    """
    data.chmod(0o755)
    os.mkfifo(data / "pipe")
    (data / "pipe").chmod(0o666)
    process = subprocess.Popen(
        [sys.executable, "-m", "proctor", *arguments],
        cwd=course.root,
        env={**os.environ, "DESCENT_DATA": str(data), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert heard(data / "pipe") == "here"
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    left = [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not left, "processes of the answers' are left"
    return said


def heard(pipe: Path) -> str:
    """Return what is written into a pipe; fail if nobody opens it."""
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        assert select.select([file], [], [], PATIENCE)[0], "nobody wrote into the pipe"
        os.set_blocking(file.fileno(), True)
        return file.read()


PATIENCE = 60  # s for a command to reach a student's cell
ENDLESS = "import os; open(os.environ['DESCENT_DATA'] + '/pipe', 'w').write('here')"
SAID = "proctor: interrupted; run the same command again to go on\n"


def test_an_interrupted_check_leaves_nothing(unreleased: Course, tmp_path: Path, sandboxed: str) -> None:
    if sandboxed != "bubblewrap":
        pytest.skip("only bubblewrap shows a pipe that may be written to")
    path = unreleased.assignments / "tiny" / "tiny.md"
    endless = f"    {ENDLESS}\n    while True: pass\n"
    text = path.read_text(encoding="utf-8").replace("    return doubled_by_the_reference\n", endless)
    path.write_text(text, encoding="utf-8")
    assert interrupted(unreleased, "check", "tiny", "--jobs", "1", data=tmp_path, path=os.environ["PATH"]) == SAID


def test_an_interrupted_grade_leaves_nothing(submit, course: Course, tmp_path: Path, sandboxed: str) -> None:
    if sandboxed != "bubblewrap":
        pytest.skip("only bubblewrap shows a pipe that may be written to")
    submit("ada", added=f"{ENDLESS}\nwhile True: pass")
    assert interrupted(course, "grade", "tiny", data=tmp_path, path=os.environ["PATH"]) == SAID
    assert not list((course.root / "records").rglob("*.json"))
