"""What nbgrader alone does with every submission of this suite.

Each is graded by `nbgrader autograde` as it comes, in a class of two: behind the submission in the list stands an
honest neighbour, who shows whether the batch went on. The class runs in a container, so that no bomb leaves it: a
system that can only be read, a home with the course in it, no network but its own, and caps on memory, processes and
files that nbgrader itself does not set.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry

import descent
from proctor.course import Course, secret_seed
from proctor.release import release
from proctor.sandbox.cgroup import make

from .conftest import ATTACKS, _digest
from .course import ANSWERS, IN_BLOCK, KIT, SECRETS, write_course
from .entry import Attack, Notebook, hand_in
from .test_attacks import _Acting

__all__ = [
    "LIMIT",
    "MEMORY",
    "PROCESSES",
    "Result",
    "Template",
    "came_out",
    "earned",
    "faults",
    "fingerprint",
    "measure",
    "template",
    "try_one",
]

LIMIT = 100  # s for one command; nbgrader stops waiting for a cell after 30 s, and asks it to end as often as it takes
MEMORY = 4 << 30  # bytes; a small machine's
PROCESSES = 512  # and threads
LARGEST_FILE = 1 << 30  # bytes
TEMPORARY = 256 << 20  # bytes in each of the container's temporary folders
AT_ONCE = 2  # classes
NEXT = "zzz-next"  # behind everyone else in the list
TOGETHER = {"left-b-looks": "left-a-leaves"}  # who looks for what somebody left is in a class with them
# Attacks on what only proctor has cost their authors right answers there; what those answers are worth elsewhere.
BY_RIGHT = dict.fromkeys(
    ("exec", "modules-written", "answers-before-asked", "answers-for-the-block", "detects-the-grader"), 8.0
)
BOMBS = "too much of everything"
THEFT = {"hidden values in memory", "files of the course", "hidden values in messages", "leftovers"}
PUBLISHED = THEFT | {"active content", "honest: another style"}  # rows whose feedback is written and looked through
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime", "nsswitch.conf", "shadow")
STOCK_CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "stock"\n'

# The first process of the container: offers what may be reached, runs the commands, says what is left of them.
INSIDE = """\
import json, socket, subprocess, sys, time
import psutil

limit, commands = float(sys.argv[1]), json.loads(sys.argv[2])
doors = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
for door, address in zip(doors, ("\\0dbus", "/run/docker.sock")):
    door.bind(address)
    door.listen()
ran, left = [], []
for command in commands:
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        code = None
    ran.append({"code": code, "seconds": round(time.monotonic() - began, 1)})
    others = [each for each in psutil.process_iter() if each.pid != 1 and each.status() != psutil.STATUS_ZOMBIE]
    left.append(len(others) if code is not None else 0)
    for each in others:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    if code is None:
        break
print(json.dumps({"ran": ran, "left": left[0]}))
"""


@dataclass(frozen=True)
class Result:
    """What nbgrader made of one submission."""

    came_out: str  # "full marks", "n of m points", "no grade", "never ended", "the batch ended" or "not run: why"
    score: float | str | None = None  # of the tests, as the gradebook has it; a string if it is no finite number
    graded: bool | None = None  # whether there is a notebook with what the tests said
    max: float | None = None
    must: float | None = None  # what it earns by right; None if it is none to be judged
    ended: bool | None = None  # by itself
    code: int | None = None
    seconds: float | None = None  # both submissions of the class
    neighbour: float | str | None = None  # the score of the one behind it; None if it has no such notebook
    as_shown: bool | None = None  # whether its cells show what they must, which for a thief is "nothing found"
    stolen: tuple[str, ...] = ()  # hidden words in what its own cells show
    feedback: tuple[str, ...] | None = None  # hidden words in its feedback; None if none was asked for or written
    acts: bool = False  # whether something of the student's acts in a browser that shows the feedback
    changed: tuple[str, ...] = ()  # files of the course or the home that are not the grader's to change
    left: int = 0  # processes


@dataclass(frozen=True)
class Template:
    """The course before anybody handed in."""

    folder: Path  # with a course, a home's keys and the module that the course imports
    points: Mapping[str, Mapping[str, float]]  # by assignment and test cell
    released: Mapping[str, Notebook]
    seeds: Mapping[str, int]


def came_out(facts: Mapping[str, Any]) -> str:
    """Return in a few words how the command left a submission.

    Args:
        facts: the fields of `Result`.
    """
    if not facts["ended"]:
        return "never ended"
    if facts["neighbour"] is None:
        return "the batch ended"
    if not facts["graded"]:
        return "no grade"
    score, most = float(facts["score"]), facts["max"]
    return "full marks" if score == most else f"{score:g} of {most:g} points"


def earned(attack: Attack, points: Mapping[str, float]) -> float | None:
    """Return the points of the tests that a submission earns by right; None if it is none to be judged."""
    lost = sum(points[name] for name in attack.loses)
    return None if attack.refused else BY_RIGHT.get(attack.name, sum(points.values()) - lost)


def faults(attack: Attack, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not as it must be.

    Args:
        attack: what was handed in.
        facts: the fields of `Result`.
    """
    if not facts["ended"]:
        yield "the command does not end"
    elif facts["neighbour"] is None:
        yield "nobody behind it is graded"
    elif facts["neighbour"] != facts["max"]:
        yield "the next student loses points"
    yield from _wrong_points(attack, facts)
    if facts["stolen"]:
        yield "it can print hidden tests"
    if attack.row in THEFT and facts["graded"] and not facts["as_shown"]:
        yield "it finds what it looks for"
    if facts["changed"]:
        yield "it changes files of the course"
    if facts["acts"]:
        yield "its feedback acts in a browser"
    if facts["left"]:
        yield "it leaves processes behind"


def _wrong_points(attack: Attack, facts: Mapping[str, Any]) -> Iterator[str]:
    must, score = facts["must"], float(facts["score"] or 0)
    if facts["score"] is not None and not facts["graded"]:
        yield f"yet the gradebook says {float(facts['score']):g}"
    if must is None:
        # A notebook in an old format holds right answers, which others may take; a link or a program holds none.
        if facts["graded"] and score and attack.write is not Attack("", "", "").write:
            yield "points for what is no submission"
    elif not facts["graded"]:
        if facts["score"] is None and facts["ended"] and facts["neighbour"] is not None:
            yield "it has no grade"
    elif attack.row == "hidden values in memory" and score < must:
        yield "it finds what it looks for"  # in a test, where a wrong answer is the only way to tell
    elif score != must:
        yield "too few points" if score < must else "too many points"


@contextmanager
def template() -> Iterator[Template]:
    """Write and release the course."""
    with tempfile.TemporaryDirectory(prefix="proctor-stock-") as name:
        folder = Path(name)
        for path in (folder / "course", folder / ".ssh", folder / "kit"):
            path.mkdir()
        (folder / ".ssh" / "id_ed25519").write_text(f"key {SECRETS[-1]}", encoding="utf-8")
        (folder / "kit" / "coursekit.py").write_text(KIT, encoding="utf-8")
        course = write_course(folder / "course")
        for assignment in ANSWERS:
            release(course, assignment)
        course.config.write_text(STOCK_CONFIG, encoding="utf-8")
        released = {each: _read(course.release / each / f"{each}.ipynb") for each in ANSWERS}
        seeds = {each: secret_seed(course, each) for each in ANSWERS}
        yield Template(folder, {each: _points(released[each]) for each in ANSWERS}, released, seeds)


def _read(path: Path) -> Notebook:
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def _points(released: Notebook) -> dict[str, float]:
    """Return the points of the test cells."""
    marks = [cell["metadata"].get("nbgrader", {}) for cell in released["cells"] if cell["cell_type"] == "code"]
    return {each["grade_id"]: float(each["points"]) for each in marks if each.get("grade")}


def try_one(attack: Attack, made: Template) -> Result:
    """Let nbgrader grade one submission, and look at what came of it."""
    group = make(memory=MEMORY, processes=PROCESSES)
    if group is None and attack.row == BOMBS:
        return Result("not run: no control group can be made here, which would stop it")
    try:
        with tempfile.TemporaryDirectory(prefix="proctor-stock-", ignore_cleanup_errors=True) as name:
            ground = Path(shutil.copytree(made.folder, Path(name) / "ground", symlinks=True))
            for each in _class_of(attack):
                hand_in(each, made.released[attack.assignment], ground / "course" / "submitted")
            before = _digests(ground)
            command = [*(group.entering if group else ()), *_container(ground, attack, made.seeds[attack.assignment])]
            ran = _run(command)
            return _looked_at(attack, ground, ran, before=before, points=made.points[attack.assignment])
    finally:
        if group:
            group.close()


def _class_of(attack: Attack) -> tuple[Attack, ...]:
    others = [each for each in ATTACKS if each.name == TOGETHER.get(attack.name)]
    return (*others, attack, Attack(NEXT, "", "", assignment=attack.assignment))


def _run(command: Sequence[str]) -> dict[str, Any]:
    """Run the container; what it says, or that it said nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * LIMIT, stdin=subprocess.DEVNULL)
        said: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"ran": [{"code": None, "seconds": 3.0 * LIMIT}], "left": 0}
    except ValueError:
        raise RuntimeError(f"the container did not start: {done.stderr.strip()}") from None
    return said


def _container(ground: Path, attack: Attack, seed: int) -> Iterator[str]:
    """Yield the command that grades the class of an attack where it can do no harm."""
    nbgrader = (sys.executable, "-m", "nbgrader")
    commands = [[*nbgrader, "autograde", attack.assignment]]
    if attack.row in PUBLISHED:
        commands.append([*nbgrader, "generate_feedback", attack.assignment, "--student", attack.name])
    yield from ("prlimit", f"--fsize={LARGEST_FILE}", "--core=0", "--", "bwrap", "--unshare-all", "--unshare-user")
    yield from ("--uid", "1000", "--gid", "1000", "--hostname", "teacher")
    yield from ("--die-with-parent", "--new-session", "--as-pid-1", "--clearenv")
    yield from _system()
    # At its own path, where links lead that were handed in; with devices, since one was.
    yield from ("--dev-bind", str(ground), str(ground), "--chdir", str(ground / "course"))
    for name, value in _environment(ground, seed).items():
        yield from ("--setenv", name, value)
    yield from ("--", sys.executable, "-c", INSIDE, str(LIMIT), json.dumps(commands))


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in SYSTEM:
        if os.path.islink(path):  # noqa: PTH114 - beside readlink, which keeps the text of the link
            yield from ("--symlink", os.readlink(path), path)  # noqa: PTH115
        elif Path(path).is_dir():
            yield from ("--ro-bind", path, path)
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        yield from ("--perms", "1777", "--size", str(TEMPORARY), "--tmpfs", folder)
    pythons = [path for prefix in (sys.prefix, sys.base_prefix) for path in (prefix, os.path.realpath(prefix))]
    for path in dict.fromkeys([*pythons, str(Path(descent.__file__).resolve().parent)]):
        yield from ("--ro-bind", path, path)


def _environment(home: Path, seed: int) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(home / "kit"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "DESCENT_SEED": str(seed),
        "COURSE_TOKEN": f"token {SECRETS[0]}",
    }


def _digests(ground: Path) -> dict[str, str]:
    """Return what is not the grader's to change, by path."""
    course = Course(ground / "course")
    kept = (course.source, course.release, course.submitted, course.assignments, ground / ".ssh", ground / "kit")
    paths = [path for folder in kept for path in sorted(folder.rglob("*"))]
    return {str(path.relative_to(ground)): _digest(path) for path in (*paths, course.seeds, course.config)}


def _looked_at(
    attack: Attack, ground: Path, ran: dict[str, Any], *, before: Mapping[str, str], points: Mapping[str, float]
) -> Result:
    course, first = Course(ground / "course"), ran["ran"][0]
    after = _digests(ground)
    outputs = _outputs(course, attack.name, attack.assignment)
    page = course.feedback / attack.name / attack.assignment / f"{attack.assignment}.html"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    facts = {
        "score": _score(course, attack.assignment, attack.name),
        "graded": outputs is not None,
        "max": sum(points.values()),
        "must": earned(attack, points),
        "ended": first["code"] is not None,
        "code": first["code"],
        "seconds": first["seconds"],
        "neighbour": _score(course, attack.assignment, NEXT) if _outputs(course, NEXT, attack.assignment) else None,
        "as_shown": all(words in outputs for words in attack.shows) if outputs else None,
        "stolen": tuple(word for word in (*SECRETS, IN_BLOCK) if word in (outputs or "")),
        "feedback": tuple(word for word in SECRETS if word in text) if text else None,
        "acts": bool(_Acting(text).found),
        "changed": tuple(sorted(path for path in {*before, *after} if before.get(path) != after.get(path)))[:9],
        "left": ran["left"],
    }
    return Result(came_out(facts), **facts)


def _score(course: Course, assignment: str, student: str) -> float | str | None:
    """Return the points of the tests in the gradebook; None if it knows of no such submission."""
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        try:
            submission = gradebook.find_submission(assignment, student)
        except MissingEntry:
            return None
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        score = float(sum(grade.auto_score or 0 for grade in grades if grade.cell.cell_type == "code"))
    return score if math.isfinite(score) else str(score)


def _outputs(course: Course, student: str, assignment: str) -> str | None:
    """Return what the cells of the student's own show; None if nbgrader has written no notebook."""
    path = course.autograded / student / assignment / f"{assignment}.ipynb"
    if not path.is_file():
        return None
    cells = _read(path)["cells"]
    own = [cell.get("outputs", []) for cell in cells if not cell["metadata"].get("nbgrader", {}).get("grade")]
    return json.dumps(own, ensure_ascii=False)


def fingerprint(attack: Attack, made: Template) -> str:
    """Return a digest of what is handed in, the same until the attack or the course changes."""
    with tempfile.TemporaryDirectory(prefix="proctor-stock-") as name:
        course = Path(name) / "course"
        hand_in(attack, made.released[attack.assignment], course / "submitted")
        told = [f"{path.relative_to(course)} {_digest(path)}" for path in sorted(course.rglob("*"))]
    return hashlib.sha256("\n".join((*told, repr(attack.loses), attack.refused)).encode()).hexdigest()[:16]


def measure(path: Path, say: Callable[[str], None] = print) -> dict[str, dict[str, Any]]:
    """Try every attack whose result is not yet in a file, and add it there.

    Args:
        path: a file of JSON, one line for each attack; an interrupted measurement goes on from it.
        say: is told each result, in a line.

    Returns:
        `Result` as data, by attack.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines() if path.is_file() else [])
    before = {line["fingerprint"]: line["stock"] for line in lines}
    with template() as made, path.open("a", encoding="utf-8") as file, ThreadPoolExecutor(AT_ONCE) as pool:
        prints = {attack.name: fingerprint(attack, made) for attack in ATTACKS}
        running = {pool.submit(try_one, each, made): each for each in ATTACKS if prints[each.name] not in before}
        for done in as_completed(running):
            attack, stock = running[done], json.loads(json.dumps(asdict(done.result())))  # as it will be read
            before[prints[attack.name]] = stock
            file.write(json.dumps({"name": attack.name, "fingerprint": prints[attack.name], "stock": stock}) + "\n")
            file.flush()
            say(f"{attack.name}: {stock['came_out']}")
        return {name: before[mark] for name, mark in prints.items()}


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
