"""Grade the same class with stock nbgrader and with proctor, side by side, and write down times and memory.

Run it by `make bench-grading`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from machine import machine
from nbgrader.api import Gradebook

from proctor.course import Course, secret_seed
from proctor.grader import Grader
from proctor.model import Run
from proctor.plan import plan_for
from proctor.rebuild import rebuild
from proctor.record import record
from proctor.release import release
from proctor.rooms import open_room
from proctor.sealed import run

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "grading.json"
NAME = "light"
STUDENTS = 20
STOCK_CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "bench"\n'
SAMPLE = 0.2  # s between two looks at the memory
STAGES = ("intake", "rebuild", "open the sandbox", "run and judge", "record")


def main() -> None:
    """Measure, print a table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many is kept")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        ours = write_course(Path(folder, "ours"))
        stock = Course(Path(shutil.copytree(ours.root, Path(folder, "stock"))))
        stock.config.write_text(STOCK_CONFIG, encoding="utf-8")
        ways = {
            "stock nbgrader": (stock, ["nbgrader", "autograde", NAME, "--force"]),
            "proctor --jobs 1": (ours, ["proctor", "grade", NAME, "--force", "--jobs", "1"]),
            "proctor --jobs 2": (ours, ["proctor", "grade", NAME, "--force", "--jobs", "2"]),
        }
        measured: dict[str, list[tuple[float, int]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, (course, command) in ways.items():
                measured[way].append(measure(course, command))
                assert_full_marks(course)
        stages = asyncio.run(time_stages(ours))
    result = summed_up(measured, stages, rounds)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_table(result)


def write_course(root: Path) -> Course:
    """Write a course with one assignment, release it, and hand in the reference for every student."""
    folder = root / "assignments" / NAME
    folder.mkdir(parents=True)
    shutil.copy(HERE / "light.md", folder / f"{NAME}.md")
    (folder / "answers.md").write_text(f"# Answers: {NAME}\n", encoding="utf-8")
    shutil.copy(HERE.parent / "nbgrader_config.py", root)
    course = Course(root)
    release(course, NAME)
    solved = json.loads((course.source / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    handed_in = json.loads((course.release / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    answers = {grade_id(cell): cell["source"] for cell in solved["cells"] if is_solution(cell)}
    for cell in handed_in["cells"]:
        cell["source"] = answers.get(grade_id(cell), cell["source"])
    for number in range(STUDENTS):
        path = course.submitted / f"student-{number:02}" / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(handed_in), encoding="utf-8")
    return course


def grade_id(cell: dict[str, Any]) -> str:
    """Return the cell's name."""
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def is_solution(cell: dict[str, Any]) -> bool:
    """Return whether students write the cell."""
    return bool(cell["metadata"].get("nbgrader", {}).get("solution"))


def measure(course: Course, command: list[str]) -> tuple[float, int]:
    """Run a command in a course; return its seconds and the peak of its memory, all its processes together, in bytes.

    Memory that several processes share is counted once (PSS).
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DESCENT_SEED": str(secret_seed(course, NAME))}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    began = time.monotonic()
    process = psutil.Popen(
        [sys.executable, "-m", *command],
        cwd=course.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        with suppress(psutil.TimeoutExpired):
            process.wait(SAMPLE)
        peak = max(peak, memory(process))
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    return seconds, peak


def memory(process: psutil.Popen) -> int:
    """Return what a process and all below it hold now."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += member.memory_full_info().pss
    return total


def assert_full_marks(course: Course) -> None:
    """Fail if the class was not graded: a quick run that grades nothing is no result."""
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        scores = [submission.score for submission in gradebook.assignment_submissions(NAME)]
    if scores != [5.0] * STUDENTS:
        raise SystemExit(f"{course.root.name}: the scores are {scores}")


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of what runs inside."""
    began = time.monotonic()
    yield
    stages[name] += time.monotonic() - began


async def time_stages(course: Course) -> dict[str, float]:
    """Return the seconds that each stage takes for one submission, the mean of five."""
    plan = plan_for(course, NAME)
    stages = dict.fromkeys(STAGES, 0.0)
    async with Grader.open(plan) as grader:
        judge = await grader.judge_for(NAME)
        for number in range(5):
            student = f"student-{number:02}"
            with timed(stages, "intake"):
                submission = await grader.take_in(course.submitted / student / NAME, student)
            with timed(stages, "rebuild"):
                rebuilt = rebuild(plan.sources[NAME], submission.notebooks[0], name=NAME)
            began = time.monotonic()
            async with open_room(grader.furniture, caps=plan.caps, rung=plan.rung) as (room, keeper):
                stages["open the sandbox"] += time.monotonic() - began
                with timed(stages, "run and judge"):
                    ran: Run = await run(rebuilt, room=room, keeper=keeper, judge=judge, chance="0")
            with timed(stages, "record"):
                record(course, submission, (rebuilt,), (ran,), grader.verdict(submission, (rebuilt,), (ran,)))
    return {name: round(seconds / 5, 3) for name, seconds in stages.items()}


def summed_up(measured: dict[str, list[tuple[float, int]]], stages: dict[str, float], rounds: int) -> dict[str, Any]:
    """Return the result as it is written down."""
    best = {way: min(seconds for seconds, _ in runs) for way, runs in measured.items()}
    return {
        "what": f"{STUDENTS} light submissions of a torch assignment, best of {rounds}",
        "command": "make bench-grading",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "nbgrader")},
        },
        "seconds_per_submission": {way: round(seconds / STUDENTS, 3) for way, seconds in best.items()},
        "ratio_to_stock": {way: round(best["stock nbgrader"] / seconds, 2) for way, seconds in best.items()},
        "peak_memory_mb": {way: round(max(peak for _, peak in runs) / 2**20) for way, runs in measured.items()},
        "seconds_per_stage": stages,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print one line for each way, and the stages."""
    print(f"{result['what']}; {result['machine']}, {result['date']}")
    for way, seconds in result["seconds_per_submission"].items():
        ratio, peak = result["ratio_to_stock"][way], result["peak_memory_mb"][way]
        print(f"  {way:<18}{seconds:6.2f} s each  {ratio:5.2f} times stock  {peak:5d} MB at the peak")
    print("  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result["seconds_per_stage"].items()))


if __name__ == "__main__":
    main()
