"""A class whose grading is disturbed: the runs, the signals that hit them, and what they have written down."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from nbgrader.api import Gradebook

from proctor.course import Course
from proctor.gradebook import programs_first

from . import denial, files, honest, points
from .entry import Attack, hand_in

__all__ = [
    "CLASS",
    "FEW",
    "SLEEPERS",
    "STUBBORN",
    "Arena",
    "Ended",
    "Mounts",
    "Running",
    "Written",
    "grades",
    "left_over",
    "timeless",
    "written",
]

PATIENCE = 120.0  # s for the next thing to happen, on a machine with much else to do
DISK = 8192  # kB of a small disk
GONE = 30.0  # s for all processes of a killed run to be gone
STEADY = 0.4  # s that a test has run for, when it is one of those that wait
GRADE = ("proctor", "grade", "plain", "--json", "--jobs", "2")

# Collects orphans, runs a command in a session of its own, waits until nothing of it is left, and says what was.
WATCH = """\
import ctypes, json, os, subprocess, sys, time
import psutil

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
says, patience = os.fdopen(int(sys.argv[1]), "w"), float(sys.argv[2])
run = subprocess.Popen(sys.argv[3:], start_new_session=True)
print(run.pid, file=says, flush=True)
code = run.wait()

def left():
    found = []
    for each in psutil.Process().children(recursive=True):
        try:
            if each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.NoSuchProcess:
            pass
    return found

end = time.monotonic() + patience
while left() and time.monotonic() < end:
    psutil.wait_procs(left(), timeout=0.1)
names = [f"{each.pid} {' '.join(each.cmdline())}" for each in left()]
print(json.dumps([code, names]), file=says, flush=True)
for each in left():
    each.kill()
"""

WRONG = {
    "double": "def double(x):\n    return 6 if x else 0",
    "add": "def add(x, y):\n    return x - y",
    "ordered": "def ordered(items):\n    return items",
    "greet": "def greet(name):\n    return name",
}
WAITS = "import time\n\ndef ordered(items):\n    time.sleep(5)\n    return sorted(items)"
ENDLESS = (
    "import signal, time\n\nfor number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)"
)
STAMP = "2026-02-03 09:12:53.381301 UTC"


def _stamped(folder: Path) -> None:
    (folder / "timestamp.txt").write_text(STAMP, encoding="utf-8")


def _unstamped(_: Path) -> None:
    pass


def _pupil(number: int) -> Attack:
    """Return a student who has those tasks wrong whose bits are set, and every third of whom handed in by nbgrader."""
    wrong = {task: source for bit, (task, source) in enumerate(WRONG.items()) if number >> bit & 1}
    does = f"has {len(wrong)} of 4 tasks wrong"
    return Attack(f"pupil-{number:02}", row="", does=does, cells=wrong, write=_unstamped if number % 3 else _stamped)


def _listed(attacks: Sequence[Attack], *names: str) -> list[Attack]:
    known = {attack.name: attack for attack in attacks}
    return [known[name] for name in names]


PUPILS = [_pupil(number) for number in range(16)]
HONEST = _listed(
    honest.ATTACKS,
    *("neighbour-first", "zz-neighbour-last", "warns", "progress", "unicode", "threads", "copied-tests"),
    *("split-cells", "noisy-metadata", "classes", "own-names", "nothing", "processes-honest", "large-outputs"),
)
HOSTILE = [
    *_listed(points.ATTACKS, "typed-in", "liar", "answers-for-the-block"),
    *_listed(denial.ATTACKS, "exits", "exits-in-a-test", "segfault", "abort", "kills-all"),
    *_listed(files.ATTACKS, "file-half", "file-binary"),
]
SLEEPERS = [
    Attack(f"sleeper-{number}", row="", does="has all right, and takes its time in one test", cells={"ordered": WAITS})
    for number in range(5)
]
STUBBORN = Attack("stubborn", row="", does="never ends and ignores signals", added={"": ENDLESS})
CLASS = (*PUPILS, *HONEST, *HOSTILE)  # 30 ordinary submissions and 10 that are not
FEW = (*PUPILS[2:6], HONEST[0], *HOSTILE[-4:])


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int  # as of subprocess: minus the signal that killed it
    told: dict[str, dict[str, Any]]  # by student, what it printed of them
    err: str
    left: list[str]  # processes that did not go

    @property
    def judged_now(self) -> set[str]:
        """The students who were graded by this run."""
        return {student for student, line in self.told.items() if line["graded"]}


@dataclass
class Running:
    """A command that runs."""

    pid: int  # its own, not that of what watches it
    watch: subprocess.Popen[str]
    says: Any  # file in which the watch says what became of it
    err: Path
    lines: list[str] = field(default_factory=list)

    def next_line(self) -> str:
        """Wait for a line of its output; empty if it has ended."""
        assert self.watch.stdout is not None
        line = self.watch.stdout.readline()
        self.lines += [line] * line.endswith("\n")
        return line

    def until(self, count: int) -> None:
        """Wait until so many students are graded, or all of them are."""
        while len(self.lines) < count and self.next_line():
            pass

    def linger(self, seconds: float) -> None:
        """Let it go on for a moment, unless it ends before."""
        select.select([self.says], [], [], seconds)

    def below(self, *words: str) -> list[psutil.Process]:
        """Return the processes below it whose command holds all words."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    line = each.cmdline()
                    if all(any(word in part for part in line) for word in words):
                        found.append(each)
        return found

    def steady(self, *words: str, count: int = 1) -> list[psutil.Process]:
        """Wait until so many such processes are there and stay for a moment: the youngest is busy."""
        end = time.monotonic() + PATIENCE
        before: set[int] = set()
        while time.monotonic() < end:
            found = self.below(*words)
            if len(found) >= count and {each.pid for each in found} == before:
                return sorted(found, key=lambda each: each.create_time())
            before = {each.pid for each in found}
            self.linger(STEADY)
        raise AssertionError(f"{count} processes of {words} were not there: {self.err.read_text(encoding='utf-8')}")

    def kill(self, number: int = signal.SIGKILL, *, group: bool = False) -> None:
        """Send it a signal, or the whole group of processes that it is the first of."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def end(self) -> Ended:
        """Wait for its end and that of all that it started."""
        while self.next_line():
            pass
        code, left = json.loads(self.says.readline())
        self.watch.wait(PATIENCE)
        told = {line["student"]: line for line in map(json.loads, self.lines)}
        return Ended(code, told, self.err.read_text(encoding="utf-8"), left)


@dataclass(frozen=True)
class Arena:
    """A course with a class that has handed in, a place for temporary files, and the way to grade it."""

    folder: Path
    kit: Path
    rung: str

    @property
    def course(self) -> Course:
        """The course."""
        return Course(self.folder / "course")

    @property
    def scratch(self) -> Path:
        """Where the runs put temporary files."""
        return self.folder / "scratch"

    @classmethod
    def build(cls, folder: Path, released: Course, kit: Path, students: Sequence[Attack], *, rung: str) -> Arena:
        """Copy a released course and hand everything in."""
        arena = cls(folder, kit, rung)
        shutil.copytree(released.root, arena.course.root)
        arena.scratch.mkdir()
        arena.hand_in(students)
        return arena

    def hand_in(self, students: Sequence[Attack]) -> None:
        """Hand in more."""
        text = json.loads((self.course.release / "plain" / "plain.ipynb").read_text(encoding="utf-8"))
        for student in students:
            hand_in(student, text, self.course.submitted)

    def copy(self, folder: Path) -> Arena:
        """Return the same in another place."""
        shutil.copytree(self.folder, folder)
        return Arena(folder, self.kit, self.rung)

    @contextmanager
    def begin(self, *command: str, before: str = "", around: Sequence[str] = ()) -> Iterator[Running]:
        """Start a command of this Python's in the course; without a name `proctor grade plain`.

        Args:
            command: name of the module, and arguments.
            before: lines of Python that are run first.
            around: a command that runs this one.
        """
        module, *arguments = command or GRADE
        environment = {
            "PATH": f"{self.kit}/refusing:{os.environ['PATH']}" if self.rung == "landlock" else os.environ["PATH"],
            "PYTHONPATH": str(self.kit),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.folder),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
        }
        lines = f"{before}\nimport runpy\nrunpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
        own = [sys.executable, "-c", lines] if before else [sys.executable, "-m", module]
        ours, theirs = os.pipe()
        err = self.folder / f"err-{theirs}"
        with err.open("w", encoding="utf-8") as stderr, os.fdopen(ours) as says:
            watch = subprocess.Popen(
                [sys.executable, "-c", WATCH, str(theirs), str(GONE), *around, *own, *arguments],
                cwd=self.course.root,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                pass_fds=(theirs,),
            )
            os.close(theirs)
            with watch:
                running = Running(int(says.readline()), watch, says, err)
                try:
                    yield running
                except BaseException:
                    running.kill(group=True)
                    raise

    def run(self, *command: str, **options: Any) -> Ended:
        """Run a command to its end."""
        with self.begin(*command, **options) as running:
            return running.end()


@dataclass(frozen=True)
class Mounts:
    """Mounts that nobody sees but the commands that are told to, and that are gone with the process that holds them."""

    arena: Arena
    holder: int

    @classmethod
    @contextmanager
    def open(cls, arena: Arena) -> Iterator[Mounts]:
        """Have a process that holds them."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; read _"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            yield cls(arena, holder.pid)
            holder.kill()

    @property
    def around(self) -> list[str]:
        """What begins a command that sees them."""
        inside = ["nsenter", f"--mount=/proc/{self.holder}/ns/mnt", "--"]
        return [*inside, "sh", "-c", 'cd "$0" && exec "$@"', str(self.arena.course.root)]

    @property
    def course(self) -> Course:
        """The course as they show it."""
        return Course(self._seen(self.arena.course.root))

    def run(self) -> Ended:
        """Grade where they are seen."""
        return self.arena.run(around=self.around)

    def put_on_a_small_disk(self, folder: Path) -> None:
        """Copy a folder to a disk of its own."""
        aside = self.arena.folder / "aside"
        shutil.copytree(folder, aside)
        self._do("mount", "-t", "tmpfs", "-o", f"size={DISK}k,mode=755", "none", str(folder))
        shutil.copytree(aside, self._seen(folder), dirs_exist_ok=True)
        shutil.rmtree(aside)

    def take_off_the_small_disk(self, folder: Path) -> None:
        """Put what now stands there in place of what was there before."""
        kept = shutil.copytree(self._seen(folder), self.arena.folder / "kept", symlinks=True)
        shutil.rmtree(folder)  # which takes the mount off, too
        Path(kept).rename(folder)

    def grades(self) -> dict[str, Any]:
        """Return the grades as they show them; SQLite would follow the way to them to the folder below."""
        with tempfile.TemporaryDirectory() as aside:
            return grades(self.course, aside=Path(aside, "gradebook"))

    def fill(self, folder: Path, *, leave: int) -> None:
        """Leave so many kilobytes of a disk."""
        self.empty(folder)
        seen = os.statvfs(self._seen(folder))
        with (self._seen(folder) / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(seen.f_bavail * seen.f_frsize - leave * 1024, 1))

    def empty(self, folder: Path) -> None:
        """Make room again."""
        (self._seen(folder) / "ballast").unlink(missing_ok=True)

    def make_read_only(self, file: Path) -> None:
        """Refuse to have a file written."""
        self._do("mount", "--bind", str(file), str(file))
        self._do("mount", "-o", "remount,bind,ro", str(file))

    def _seen(self, path: Path) -> Path:
        return Path(f"/proc/{self.holder}/root{path}")

    def _do(self, *command: str) -> None:
        subprocess.run([*self.around, *command], check=True)


@dataclass(frozen=True)
class Written:
    """All that grading leaves in a course, less what differs between two runs of the same."""

    grades: dict[str, Any]  # by student, from the gradebook
    files: dict[str, bytes]  # in autograded/
    records: dict[str, Any]  # by student


def written(course: Course) -> Written:
    """Return what stands in a course."""
    records = course.root / "records" / "plain"
    return Written(
        grades(course),
        {str(path.relative_to(course.root)): path.read_bytes() for path in _files(course.autograded)},
        {path.stem: timeless(json.loads(path.read_text(encoding="utf-8"))) for path in _files(records)},
    )


def timeless(value: Any) -> Any:
    """Return plain data without what a clock or the memory has to say."""
    varies = ("seconds", "memory", "peak_memory", "recorded", "graded", "why")
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in varies}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def grades(course: Course, *, aside: Path | None = None) -> dict[str, Any]:
    """Return what the gradebook holds, by student: scores, whether a person is asked, comments.

    Args:
        course: the course.
        aside: a folder to read it in, with what a killed run left of a transaction, which whoever opens it ends.
    """
    database = course.gradebook
    if aside is not None:
        aside.mkdir()
        for path in course.root.glob("gradebook.db*"):
            shutil.copy(path, aside)
        database = aside / database.name
    with programs_first(), Gradebook(f"sqlite:///{database}") as gradebook:
        entries = gradebook.assignment_submissions("plain")
        assert len({entry.student.id for entry in entries}) == len(entries), "somebody is in it twice"
        return {entry.student.id: _entry(entry) for entry in entries}


def _entry(entry: Any) -> dict[str, Any]:
    (book,) = entry.notebooks
    cells = {
        each.name: (each.auto_score, each.manual_score, each.extra_credit, each.needs_manual_grade)
        for each in book.grades
    }
    said = {each.name: (each.auto_comment, each.manual_comment) for each in book.comments}
    late = book.late_submission_penalty
    return {"score": entry.score, "cells": cells, "comments": said, "time": entry.timestamp, "late": late}


def left_over(arena: Arena, pids: Collection[int]) -> list[str]:
    """Return what should not be there after the last run: temporary and half files, and control groups."""
    course = arena.course
    odd = [*arena.scratch.iterdir(), *course.root.glob("gradebook.db-*")]
    for folder in (course.autograded, course.root / "records"):
        odd += [path for path in folder.rglob("*") if path.name.startswith(".") or path.suffix in (".new", ".old")]
    groups = Path("/sys/fs/cgroup").rglob("proctor-*")
    odd += [path for path in groups if int(path.name.split("-")[1]) in pids]
    return sorted(map(str, odd))
