"""The command line: parses, prints, exits.

Results go to stdout, progress and errors to stderr. Exit 0: all is well; 1: something is not, and is said; 2: wrong
usage; 130: interrupted. Each command imports its stage when it runs, because nbgrader alone takes three seconds to
import and `proctor --help` should not wait for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proctor import __version__
from proctor.course import Course, find_course
from proctor.errors import CourseError, ProctorError
from proctor.report import aligned, grades_table, one_line, verdict_json

if TYPE_CHECKING:
    from proctor.check import Finding, Report
    from proctor.demo import Demo
    from proctor.doctor import Examination
    from proctor.schedule import Result

__all__ = ["main"]

WRONG_USAGE = 2  # as click exits
INTERRUPTED = 130  # what shells expect after Ctrl-C

names = click.argument("names", nargs=-1, metavar="[NAME]...")
every = click.option("--all", "every", is_flag=True, help="All assignments of the course.")
jobs = click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="How many side by side.")


@click.group()
@click.version_option(__version__, prog_name="proctor")
def main() -> None:
    """Write, release, check and grade nbgrader assignments.

    Run it anywhere inside the folder of a course.
    """


@main.command()
@names
@every
def author(names: tuple[str, ...], every: bool) -> None:
    """Lint assignments and write their source notebooks.

    Example: proctor author backprop
    """
    from proctor.author import read_answers, read_assignment, write_source

    def write(course: Course, name: str) -> bool:
        folder = course.assignment(name)
        assignment = read_assignment(folder)
        read_answers(folder, assignment)
        path = course.source / name / f"{name}.ipynb"
        changed = write_source(assignment, path)
        click.echo(
            f"{path.relative_to(course.root)}  {assignment.max_points:g} points{'' if changed else ', unchanged'}"
        )
        return True

    _for_each(names, every, write)


@main.command()
@names
@every
def release(names: tuple[str, ...], every: bool) -> None:
    """Write the notebooks that students receive.

    Draws the secret seed of each assignment once; changes nothing where nothing changed.

    Example: proctor release --all
    """
    from proctor.release import release as write_release

    def write(course: Course, name: str) -> bool:
        click.echo(write_release(course, name).relative_to(course.root))
        return True

    _for_each(names, every, write)


@main.command()
@names
@every
@jobs
@click.option("--full", is_flag=True, help="Run every test cell for every row, slow ones included.")
@click.option("--seed", type=int, help="Seed of the hidden tests.  [default: the same on every run]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per assignment.")
def check(names: tuple[str, ...], every: bool, jobs: int, full: bool, seed: int | None, as_json: bool) -> None:
    """Try the tests of assignments against their wrong and right answers.

    Prints which wrong answer is caught by which cell and what the student reads. Exits with 1 if an answer does not
    come out as `answers.md` states.

    Example: proctor check backprop --full
    """
    from proctor.check import SEED
    from proctor.check import check as try_answers

    def try_one(course: Course, name: str) -> bool:
        report = try_answers(course, name, full=full, jobs=jobs, seed=SEED if seed is None else seed)
        click.echo(json.dumps(asdict(report) | {"holds": report.holds}) if as_json else _check_text(report))
        _say_problems(report)
        return report.holds

    _for_each(names, every, try_one)


@main.command()
@click.argument("name")
@jobs
@click.option("--cell-limit", default=10, show_default=True, type=click.IntRange(min=1), help="Seconds for one cell.")
def demo(name: str, jobs: int, cell_limit: int) -> None:
    """Make up a class for an assignment, grade it and write its feedback.

    Touches only students whose id begins with `demo-`. What has not changed since the last run is not graded again.

    Example: proctor demo backprop
    """
    from proctor.demo import demo as grade_class

    def run(course: Course, name: str) -> bool:
        graded = grade_class(course, name, cell_limit=cell_limit, jobs=jobs)
        click.echo("\n".join(_demo_lines(course, graded)))
        for student in graded.surprises:
            _say(f"{student!r} did not come out as made", where="the table above", todo=f"proctor check {name} --full")
        return not graded.surprises

    _for_each((name,), False, run)


@main.command()
@click.argument("name")
@click.option("--student", "students", multiple=True, metavar="ID", help="Only this student; may be repeated.")
@click.option("--jobs", type=click.IntRange(min=1), help="How many side by side.  [default: cores, or GPUs]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--seed", type=int, help="Seed of the hidden tests.  [default: the assignment's secret]")
@click.option("--force", is_flag=True, help="Grade again what has not changed.")
@click.option("--trusted", is_flag=True, help="Run students' code without a sandbox where none can be had.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per submission.")
def grade(name: str, students: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Grade what students handed in.

    Students' code runs in a sandbox, hidden tests outside it. Prints one line per submission; what has not changed
    since the last run keeps its grade. Exits with 1 if a submission could not be judged.

    Example: proctor grade backprop --jobs 4
    """
    from proctor.schedule import grade as grade_now
    from proctor.schedule import refuse_unknown

    with _said():
        course = find_course(Path.cwd())
    with _said(code=WRONG_USAGE):
        refuse_unknown(course, name, students)
    with _said():
        show = _json_line if as_json else _text_line
        results = grade_now(course, name, students, tell=lambda result: click.echo(show(result)), **options)
        click.echo(_summary(name, results), err=True)
        sys.exit(int(any(result.verdict.state == "not judged" for result in results)))


def _for_each(names: Sequence[str], every: bool, act: Callable[[Course, str], bool]) -> None:
    """Act on each assignment, the others too when one fails, and exit as the whole went."""
    if bool(names) == every:
        raise click.UsageError("name assignments, or say --all")
    with _said():
        course = find_course(Path.cwd())
    chosen = course.names if every else tuple(dict.fromkeys(names))
    _refuse_unknown(course, chosen)
    went_well = True
    for name in chosen:
        done = False
        with _said(stop=False):
            done = act(course, name)
        went_well &= done
    sys.exit(0 if went_well else 1)


def _refuse_unknown(course: Course, names: Sequence[str]) -> None:
    for name in names:
        try:
            course.assignment(name)
        except CourseError as error:
            click.echo(f"proctor: {error}", err=True)
            sys.exit(WRONG_USAGE)


@contextmanager
def _said(*, stop: bool = True, code: int = 1) -> Iterator[None]:
    """Print an error of ours without a traceback; an interrupt ends everything with one line."""
    try:
        yield
    except ProctorError as error:
        click.echo(f"proctor: {error}", err=True)
        if stop:
            sys.exit(code)
    except KeyboardInterrupt:
        click.echo("proctor: interrupted; run the same command again to go on", err=True)
        sys.exit(INTERRUPTED)


def _say(what: str, *, where: str, todo: str) -> None:
    click.echo(f"proctor: {ProctorError(what, where=where, todo=todo)}", err=True)


def _check_text(report: Report) -> str:
    state = {True: "NOT", False: "as stated"}
    rows = [(each.title, state[bool(each.problems)], _caught(each)) for each in report.findings]
    heading = f"{report.assignment}: {len(rows)} answers, seed {report.seed}, {report.seconds:.0f} s"
    return "\n".join([heading, *aligned(rows)])


def _caught(finding: Finding) -> str:
    """Say which cells lost points, and what the student reads in the first of them."""
    if not finding.lost:
        return f"{sum(outcome.points for outcome in finding.outcomes):g} points"
    if finding.kind == "untouched":
        return f"{len(finding.lost)} of {len(finding.outcomes)} test cells lost"
    cells = ", ".join(outcome.cell for outcome in finding.lost)
    return f"{cells}: {one_line(finding.lost[0].message)}"


def _say_problems(report: Report) -> None:
    for finding in report.findings:
        for problem in finding.problems:
            _say(f"{report.assignment}, {finding.title}: not as stated", where=problem.what, todo=problem.todo)


def _json_line(result: Result) -> str:
    return json.dumps(verdict_json(result.verdict) | {"graded": result.graded, "why": result.why})


def _text_line(result: Result) -> str:
    verdict = result.verdict
    score = "-" if verdict.state == "not judged" else f"{verdict.score:g}/{verdict.max_score:g}"
    told = "; ".join(filter(None, [verdict.reason, f"again: {result.why}" if result.why else ""]))
    stood = not result.graded and verdict.state != "not judged"
    state = f"{verdict.state}, unchanged" if stood else verdict.state
    return f"{verdict.student}  {score}  {state}" + (f": {one_line(told)}" if told else "")


def _summary(name: str, results: Sequence[Result]) -> str:
    states = [result.verdict.state for result in results]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    graded = sum(result.graded for result in results)
    return f"{len(results)}: {counted}; {graded} graded now -> nbgrader generate_feedback {name}"


def _sandbox_line(rung: str) -> list[str]:
    return ["sandbox   none on this machine: the class was trusted; students' work needs bubblewrap"] * (
        rung == "trusted"
    )


def _demo_lines(course: Course, graded: Demo) -> list[str]:
    assignment, verdicts = graded.assignment, graded.verdicts
    notes = {pupil.student: pupil.note for pupil in graded.pupils}
    lines = grades_table(verdicts, notes=notes, most=assignment.automatic_points)
    states = [verdict.state for verdict in verdicts]
    counted = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "partial", "not judged"))
    by_hand = assignment.max_points - assignment.automatic_points
    waiting = f"; {by_hand:g} points of written answers wait for a person" if by_hand else ""
    return [
        *lines,
        "",
        f"{len(verdicts)} submissions: {counted}{waiting}; {graded.graded} graded now",
        *_sandbox_line(graded.rung),
        f"grades    {graded.grades.relative_to(course.root)}",
        f"feedback  {course.feedback.relative_to(course.root)}/STUDENT/{assignment.name}/{assignment.name}.html",
        "next      mark the written answers: make lab, then the Formgrader",
    ]


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Say whether this machine can grade, and what to do where it cannot.

    Tries the sandbox, the installed programs, the disks and, inside a course, its gradebook and folders; changes
    nothing. Then says what comes of the doings of students' code here. Exits with 1 if something is bad.

    Example: proctor doctor
    """
    from proctor.doctor import examine

    with _said():
        found = examine(Path.cwd())
        click.echo(json.dumps(asdict(found)) if as_json else "\n".join(_doctor_lines(found)))
        sys.exit(0 if found.can_grade else 1)


def _doctor_lines(found: Examination) -> list[str]:
    """Return a line for each check, with what to do below those that are not good, then the promises."""
    heads = aligned([(check.name, check.state, check.found) for check in found.checks])
    lines = []
    for head, check in zip(heads, found.checks, strict=True):
        lines += [head] + [f"    -> {check.todo}"] * bool(check.todo)
    where = f"in {found.rung}" if found.rung else "without a sandbox"
    rows = [(each.doing, each.kept) for each in found.promises]
    return [*lines, "", f"What comes of students' code {where}:", *aligned(rows)]
