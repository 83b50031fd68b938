"""Whatever is killed, full, locked or read-only: the run resumes, nothing twice, nothing lost, no zero unearned."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proctor.course import Course
from proctor.release import release
from proctor.sandbox import rungs

from .conftest import RUNGS, _write_kit
from .course import write_course
from .interrupted import (
    CLASS,
    FEW,
    GRADE,
    PUPILS,
    SLEEPERS,
    STUBBORN,
    Arena,
    Ended,
    Mounts,
    Running,
    Written,
    grades,
    left_over,
    timeless,
    written,
)

JUDGE_GONE = "a fault of ours: the judge's process is gone"
SANDBOX_GONE = "a fault of ours: the sandbox does not answer"
PARTS = {  # what is killed, and what is said if that costs a try
    "the judge": JUDGE_GONE,  # the fork that judges may bring its test to an end
    "the fork": JUDGE_GONE,
    "the judge and its forks": JUDGE_GONE,
    "the keeper": SANDBOX_GONE,
    "bubblewrap": SANDBOX_GONE,  # may go alone, and leave what it has started to us
}
ALWAYS_LOST = ("the fork", "the judge and its forks", "the keeper")
EARLIER = """
import datetime, time
import proctor.intake, proctor.schedule

now, now_ns = time.time, time.time_ns
back = now() - datetime.datetime(2001, 1, 2).timestamp()

class Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(now() - back, tz)

proctor.intake.datetime = proctor.schedule.datetime = Earlier
time.time = lambda: now() - back
time.time_ns = lambda: now_ns() - int(back * 10**9)
"""
SEED = 20260727  # of the moments at which the runs are killed


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the course imports, and a bubblewrap that is refused its namespaces."""
    folder = tmp_path_factory.mktemp("kit") / "kit"
    _write_kit(folder)
    return folder


@pytest.fixture(scope="module")
def released(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course after `proctor release`; never changed by a test."""
    course = write_course(tmp_path_factory.mktemp("released"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(kit)
        release(course, "plain")
    return course


@pytest.fixture(params=RUNGS)
def rung(request: pytest.FixtureRequest) -> str:
    """Each rung that this machine has."""
    (found,) = [each for each in rungs() if each.name == request.param]
    if found.why:
        pytest.skip(f"no {found.name} here: {found.why}")
    return found.name


def whole(course: Course) -> bool:
    """Return whether the gradebook is whole."""
    connection = sqlite3.connect(course.gradebook)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


# -- the run is killed --------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(
    rung: str, released: Course, kit: Path, tmp_path: Path
) -> None:
    students, kills = (CLASS, 3) if rung == RUNGS[0] else (FEW, 1)
    arena = Arena.build(tmp_path / "killed", released, kit, students, rung=rung)
    calm = arena.copy(tmp_path / "calm")
    undisturbed = calm.run()
    expected = written(calm.course)
    assert (undisturbed.code, set(undisturbed.told)) == (1, {each.name for each in students}), undisturbed.err

    drawn, pids = random.Random(SEED), []
    told: set[str] = set()
    for number in range(kills):
        with arena.begin() as running:
            running.until(drawn.randint(1, len(students) // (kills + 1)) + len(told))
            running.linger(drawn.uniform(0, 0.5))
            running.kill(group=bool(number % 2))
            ended = running.end()
        assert (ended.code, ended.left) == (-signal.SIGKILL, [])
        assert not told & ended.judged_now, "what was told is not graded again"
        told |= ended.judged_now
        pids.append(running.pid)
        between = grades(arena.course, aside=tmp_path / f"aside-{number}")
        assert told <= between.keys(), "what was told is in the gradebook"
        assert between == {student: expected.grades[student] for student in between}, "a grade is final or absent"

    final = arena.run()
    assert (final.code, final.left) == (1, []), final.err
    assert not told & final.judged_now
    assert timeless(final.told) == timeless(undisturbed.told)
    is_written_as(arena.course, expected)
    assert left_over(arena, pids) == []
    assert arena.run().judged_now == set()


def test_a_students_process_that_ignores_everything_ends_with_the_run(
    rung: str, released: Course, kit: Path, tmp_path: Path
) -> None:
    arena, pids = Arena.build(tmp_path / "arena", released, kit, [STUBBORN], rung=rung), []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with arena.begin() as running:
            running.steady("inside/main.py", count=3)  # the keeper, the session that does not end, a copy
            running.kill(number)
            ended = running.end()
        assert ended.left == []
        assert (ended.code, ended.told) == (130 if number == signal.SIGINT else -number, {}), ended.err
        pids.append(running.pid)
    shutil.rmtree(arena.course.submitted / STUBBORN.name)
    arena.hand_in(PUPILS[:1])
    assert arena.run().judged_now == {PUPILS[0].name}
    assert left_over(arena, pids) == []
    assert grades(arena.course).keys() == {PUPILS[0].name}


@pytest.fixture(scope="module")
def expected(released: Course, kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What an undisturbed run writes for the smaller class."""
    arena = Arena.build(tmp_path_factory.mktemp("expected") / "arena", released, kit, FEW, rung=RUNGS[0])
    assert arena.run().left == []
    return written(arena.course)


@pytest.fixture
def arena(released: Course, kit: Path, tmp_path: Path) -> Arena:
    """A smaller class that has handed in."""
    return Arena.build(tmp_path / "arena", released, kit, FEW, rung=RUNGS[0])


def is_as(arena: Arena, expected: Written) -> None:
    """Check that all is written down as it must be, and nothing is left."""
    is_written_as(arena.course, expected)
    assert left_over(arena, ()) == []


def is_written_as(course: Course, expected: Written) -> None:
    """Check that all is written down as it must be."""
    found = written(course)
    assert found.grades == expected.grades
    assert found.records == expected.records
    assert found.files == expected.files
    assert whole(course)


def test_ctrl_c_ends_the_run_at_once_and_what_was_written_stays(arena: Arena, expected: Written) -> None:
    with arena.begin() as running:
        running.until(3)
        running.kill(signal.SIGINT, group=True)
        ended = running.end()
    assert (ended.code, ended.left) == (130, [])
    assert ended.err == "proctor: interrupted; run the same command again to go on\n"
    assert left_over(arena, [running.pid]) == [], "nothing waits for the next run to be taken away"
    assert not arena.run().judged_now & ended.judged_now
    is_as(arena, expected)


def test_nbgraders_own_command_resumes_too(arena: Arena, expected: Written) -> None:
    command = ("nbgrader", "autograde", "plain")
    with arena.begin(*command) as running:
        while len(list(arena.course.autograded.glob("*/plain"))) < 3:
            running.linger(0.01)
        running.kill()
        ended = running.end()
    assert (ended.code, ended.left) == (-signal.SIGKILL, [])
    ended = arena.run(*command)
    assert "2 not judged: file-binary, file-half" in ended.err
    is_as(arena, expected)


def test_a_second_run_of_the_same_is_refused_while_the_first_goes_on(
    released: Course, kit: Path, tmp_path: Path
) -> None:
    arena = Arena.build(tmp_path / "arena", released, kit, [PUPILS[0], *SLEEPERS[:4]], rung=RUNGS[0])
    with arena.begin() as running:
        running.until(1)
        with arena.begin() as second, arena.begin("nbgrader", "autograde", "plain") as third:
            for ended in (second.end(), third.end()):
                assert (ended.code, ended.told, ended.left) == (1, {}, [])
                assert "another run grades 'plain' already" in ended.err
                assert "wait until it has ended, then run the same command again" in ended.err
        first = running.end()
    assert (first.code, first.left) == (0, [])
    assert {line["score"] for line in first.told.values()} == {12.0}
    assert grades(arena.course).keys() == first.told.keys()
    assert left_over(arena, [running.pid, second.pid, third.pid]) == []


# -- a part of it is killed ---------------------------------------------------------------------------------------


def test_whatever_part_is_killed_costs_one_try_of_one_submission(
    rung: str, released: Course, kit: Path, tmp_path: Path
) -> None:
    parts = PARTS if rung == RUNGS[0] else {part: PARTS[part] for part in ("the keeper",)}
    sleepers = [each.name for each in SLEEPERS[: len(parts)]]
    arena = Arena.build(tmp_path / "arena", released, kit, [*SLEEPERS[: len(parts)], PUPILS[1]], rung=rung)
    with arena.begin(*GRADE[:-1], "1") as running:
        for number, part in enumerate(parts, start=2):
            running.until(1)
            kill_part(running, part)
            running.until(number)
        ended = running.end()
    assert ended.left == []
    assert ended.told.keys() == {PUPILS[1].name, *sleepers}
    lost = {name for name, line in ended.told.items() if line["state"] == "not judged"}
    for name, (part, reason) in zip(sleepers, parts.items(), strict=True):
        line = ended.told[name]
        assert line["reason"].startswith(reason) if name in lost else line["score"] == 12.0, part
    assert lost >= {name for name, part in zip(sleepers, parts, strict=True) if part in ALWAYS_LOST}
    assert grades(arena.course).keys() == ended.told.keys() - lost
    final = arena.run(*GRADE[:-1], "8")
    assert (final.code, final.judged_now) == (0, lost)
    assert {name: line["score"] for name, line in final.told.items()} == {PUPILS[1].name: 9.0} | dict.fromkeys(
        sleepers, 12.0
    )
    assert left_over(arena, [running.pid]) == []


def test_a_students_process_killed_from_outside_costs_no_points(released: Course, kit: Path, tmp_path: Path) -> None:
    """As the kernel does it when the machine has no memory left: it takes the students' processes first."""
    arena = Arena.build(tmp_path / "arena", released, kit, SLEEPERS[:1], rung=RUNGS[0])
    with arena.begin() as running:
        running.steady("proctor.judge.main", count=2)
        inside = [each for each in running.below("inside/main.py") if each.name() != "bwrap"]
        for each in sorted(inside, key=lambda each: each.create_time())[1:]:  # all copies, and not the keeper
            each.kill()
        ended = running.end()
    (line,) = ended.told.values()
    assert (line["state"], line["score"]) == ("complete", 12.0), line


def kill_part(running: Running, part: str) -> None:
    """Kill a part of the run while a student's test waits in it."""
    judge, *_, fork = running.steady("proctor.judge.main", count=2)
    if part == "the judge":
        judge.kill()
    elif part == "the judge and its forks":
        os.killpg(judge.pid, signal.SIGKILL)
    elif part == "the fork":
        fork.kill()
    else:
        inside = [each for each in running.below("inside/main.py") if each.name() != "bwrap"]
        keeper = min(inside, key=lambda each: each.create_time())
        above = [each for each in (keeper, *keeper.parents()) if each.ppid() == running.pid]
        (keeper if part == "the keeper" else above[0]).kill()


# -- the disk, the gradebook and the clock ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun_once(released: Course, kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """The smaller class, three of whom are graded; never changed by a test."""
    arena = Arena.build(tmp_path_factory.mktemp("begun") / "arena", released, kit, FEW, rung=RUNGS[0])
    names = [each.name for each in FEW[:3]]
    ended = arena.run(*GRADE, *(part for name in names for part in ("--student", name)))
    assert ended.judged_now == set(names), ended.err
    return arena


@pytest.fixture
def begun(begun_once: Arena, tmp_path: Path) -> Arena:
    """The same for a test to change."""
    return begun_once.copy(tmp_path / "begun")


@pytest.fixture
def mounts(begun: Arena) -> Iterator[Mounts]:
    """Mounts that only some commands see; for root only."""
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        pytest.skip("needs root, unshare, nsenter and mount")
    with Mounts.open(begun) as opened:
        yield opened


def is_not_judged(ended: Ended, *words: str) -> None:
    """Check that all who are not graded yet are so by a fault of ours, and that it is said once for each."""
    waiting = {each.name for each in FEW[3:]} - {"file-half", "file-binary"}
    reasons = {name: line["reason"] for name, line in ended.told.items() if line["state"] == "not judged"}
    assert waiting <= reasons.keys()
    for name in waiting:
        assert reasons[name].startswith("a fault of ours: ")
        assert any(word in reasons[name] for word in words), reasons[name]
    assert (ended.code, ended.left, len(ended.err.splitlines())) == (1, [], 1), ended.err


def test_a_full_disk_costs_nobody_a_grade(mounts: Mounts, expected: Written) -> None:
    """What is there is kept, what cannot be written is not judged, and the next run goes on where there is room."""
    mounts.put_on_a_small_disk(mounts.arena.course.root)
    before = mounts.grades()
    for left in (0, 24, 96):
        mounts.fill(mounts.course.root, leave=left)
        ended = mounts.run()
        assert ended.left == []
        now = mounts.grades()
        assert now == {student: expected.grades[student] for student in now}
        assert now.keys() >= before.keys()
        if left == 0:
            is_not_judged(ended, "No space left on device", "the disk is full")
        before = now
    mounts.empty(mounts.course.root)
    assert not mounts.run().judged_now & before.keys()
    mounts.take_off_the_small_disk(mounts.arena.course.root)
    is_as(mounts.arena, expected)


def test_a_full_place_for_temporary_files_costs_nobody_a_grade(mounts: Mounts, expected: Written) -> None:
    mounts.put_on_a_small_disk(mounts.arena.scratch)
    mounts.fill(mounts.arena.scratch, leave=4)  # where not a byte fits, Python takes another place
    is_not_judged(mounts.run(), "No space left on device", "the sandbox does not start")
    mounts.empty(mounts.arena.scratch)
    assert mounts.run().judged_now == {each.name for each in FEW[3:]} - {"file-half", "file-binary"}
    is_as(mounts.arena, expected)


def test_a_read_only_gradebook_stops_the_run_before_anything_is_written(mounts: Mounts, expected: Written) -> None:
    mounts.make_read_only(mounts.arena.course.gradebook)
    before = written(mounts.arena.course)
    ended = mounts.run()
    assert (ended.code, ended.left, ended.judged_now) == (1, [], set())
    assert ended.err.startswith("proctor: the gradebook is read-only\n")
    assert "make the file and its folder writable" in ended.err
    assert written(mounts.arena.course) == before
    assert left_over(mounts.arena, ()) == []
    begun = mounts.arena.run()
    assert begun.judged_now == {each.name for each in FEW[3:]} - {"file-half", "file-binary"}
    is_as(mounts.arena, expected)


def test_a_gradebook_that_stays_locked_stops_the_run_and_costs_nobody_a_grade(begun: Arena, expected: Written) -> None:
    before = written(begun.course)
    impatient = "import proctor.record.grades\nproctor.record.grades.LOCK_WAIT = 0.5"
    with locked(begun.course):
        ended = begun.run(before=impatient)
    assert (ended.code, ended.left, ended.judged_now) == (1, [], set())
    assert ended.err.startswith("proctor: the gradebook was locked for more than 0.5 s\n")
    assert "close the program that holds it open, then grade again" in ended.err
    assert written(begun.course) == before
    assert left_over(begun, ()) == []
    assert begun.run().judged_now == {each.name for each in FEW[3:]} - {"file-half", "file-binary"}
    is_as(begun, expected)


def test_a_gradebook_that_is_locked_for_a_moment_is_waited_for(begun: Arena, expected: Written) -> None:
    names = sorted({each.name for each in FEW[3:]} - {"file-half", "file-binary"})
    with begun.begin(*GRADE, *(part for name in names for part in ("--student", name))) as running:
        with locked(begun.course):
            while len(list(begun.course.autograded.glob("*/plain"))) < 4:  # a folder in its place: grades come next
                running.linger(0.01)
            running.linger(1)
        ended = running.end()
    assert (ended.code, ended.judged_now) == (0, set(names)), ended.err
    is_as(begun, expected)


@contextmanager
def locked(course: Course) -> Iterator[None]:
    """Hold the right to write the gradebook."""
    connection = sqlite3.connect(course.gradebook, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def test_a_clock_that_goes_back_changes_nothing(begun: Arena, expected: Written) -> None:
    ended = begun.run(before=EARLIER)
    assert ended.judged_now == {each.name for each in FEW[3:]} - {"file-half", "file-binary"}, ended.err
    recorded = json.loads((begun.course.root / "records" / "plain" / f"{FEW[4].name}.json").read_text(encoding="utf-8"))
    assert recorded["recorded"].startswith("2001-")
    is_as(begun, expected)
    assert begun.run().judged_now == set()
