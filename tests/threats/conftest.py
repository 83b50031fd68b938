"""A class of attackers and honest neighbours, handed in and graded once for each rung and each user of the grader."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proctor.course import Course
from proctor.release import release
from proctor.sandbox import Place, cgroup, landlock, rungs

from . import denial, files, honest, points, tensors, theft
from .course import ANSWERS, KIT, SECRETS, write_course
from .entry import hand_in

ATTACKS = (*points.ATTACKS, *theft.ATTACKS, *denial.ATTACKS, *files.ATTACKS, *honest.ATTACKS, *tensors.ATTACKS)
RUNGS = ("bubblewrap", "landlock")
USERS = ("the user of these tests", "a user without privileges")
KINDS = tuple((rung, user) for rung in RUNGS for user in USERS)
RUNS = "THREATS_RUNS"  # names a folder to leave the verdicts in
NOBODY = 65534
NO_NAMESPACES = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
JOBS = "8"  # most of them wait
PATIENCE = 1200  # s for one command; one run takes 80 on two quiet cores

# Collects orphans, runs a command, and says what is left of it.
WATCH = """\
import ctypes, json, subprocess, sys
import psutil

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
done = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
out, err = done.communicate()
left = [each for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
answer = {"out": out, "err": err, "code": done.returncode, "pid": done.pid, "left": [str(each) for each in left]}
print(json.dumps(answer))
for each in left:
    each.kill()
"""

# In mounts of its own: closed folders above what is needed are replaced by open ones, in which only that stands.
OPENED = """\
set -e
mount --make-rprivate /
stash="$1"; shift
number=0
for pair in $PAIRS; do
    number=$((number + 1)); mkdir -p "$stash/$number"; mount --bind "${pair#*=}" "$stash/$number"
done
for closed in $CLOSED; do mount -t tmpfs -o mode=755 none "$closed"; done
number=0
for pair in $PAIRS; do
    number=$((number + 1)); mkdir -p "${pair#*=}"; mount --bind "$stash/$number" "${pair#*=}"
done
exec setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
"""


@dataclass(frozen=True)
class Command:
    """A command that has ended."""

    out: str
    err: str
    code: int
    pid: int
    left: list[str]  # processes


@dataclass(frozen=True)
class Graded:
    """The course after the class was graded."""

    course: Course
    rung: str
    counted: bool  # the kernel counts the processes of each submission
    scratch: Path  # the commands' folder for temporary files
    commands: Mapping[str, Command]  # by assignment
    before: Mapping[str, str]  # path -> digest of what must not change
    after: Mapping[str, str]
    feedback: Command | None  # the same for everybody, so written on the first ground only

    def verdicts(self, assignment: str) -> dict[str, Any]:
        """Return what `proctor grade --json` printed, by student."""
        lines = map(json.loads, self.commands[assignment].out.splitlines())
        return {line["student"]: line for line in lines}


class Ground:
    """A folder with a course, a home and a place for temporary files, for one user."""

    def __init__(self, folder: Path, kit: Path, *, uid: int | None, rung: str = RUNGS[0]) -> None:
        self.folder, self.kit, self.uid, self.rung = folder, kit, uid, rung
        self.course = Course(folder / "course")
        self.scratch = folder / "scratch"

    def build(self) -> None:
        """Write and release the course, and hand everything in."""
        for path in (self.course.root, self.scratch, self.folder / "home" / ".ssh"):
            path.mkdir(parents=True)
        (self.folder / "home" / ".ssh" / "id_ed25519").write_text(f"key {SECRETS[-1]}", encoding="utf-8")
        write_course(self.course.root)
        for name in ANSWERS:
            release(self.course, name)
            text = (self.course.release / name / f"{name}.ipynb").read_text(encoding="utf-8")
            for attack in ATTACKS:
                if attack.assignment == name:
                    hand_in(attack, json.loads(text), self.course.submitted)
        self.folder.chmod(0o755)
        if self.uid is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def grade(self) -> Graded:
        """Grade the class, and write the feedback."""
        before = self.digests()
        commands = {name: self.run("proctor", "grade", name, "--json", "--jobs", JOBS) for name in ANSWERS}
        after = self.digests()
        is_first = self.uid is None and self.rung == RUNGS[0]
        feedback = self.run("nbgrader", "generate_feedback", "plain", "--force") if is_first else None
        counted = self.rung == "bubblewrap" or (self.uid is None and _kernel_counts())
        return Graded(self.course, self.rung, counted, self.scratch, commands, before, after, feedback)

    def run(self, module: str, *arguments: str) -> Command:
        """Run a command of this Python's in the course."""
        environment = {
            "PATH": f"{self.kit}/refusing:{os.environ['PATH']}" if self.rung == "landlock" else os.environ["PATH"],
            "PYTHONPATH": str(self.kit),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
            "COURSE_TOKEN": f"token {SECRETS[0]}",
        }
        own = [sys.executable, "-m", module, *arguments]
        command = own if self.uid is None else self._opened(own, environment)
        done = subprocess.run(
            [sys.executable, "-c", WATCH, *command],
            cwd=self.course.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return Command(**json.loads(done.stdout))

    def _opened(self, command: list[str], environment: dict[str, str]) -> list[str]:
        """Return the command that runs another as nobody, where this Python and the course can be read."""
        needed = [Path(each) for each in (sys.prefix, sys.base_prefix, files.__file__, self.kit, self.folder)]
        needed = [
            each.resolve() for each in (*needed[:2], *(each if each.is_dir() else each.parent for each in needed[2:]))
        ]
        sources = Path(sys.modules["proctor"].__file__ or "").resolve().parents[1]
        pairs = [(closed, each) for each in (*needed, sources) if (closed := _closed_above(each))]
        environment["PAIRS"] = " ".join(f"{closed}={each}" for closed, each in dict.fromkeys(pairs))
        environment["CLOSED"] = " ".join(dict.fromkeys(str(closed) for closed, _ in pairs))
        environment["NOBODY"] = str(self.uid)
        return ["unshare", "--mount", "/bin/sh", "-c", OPENED, "sh", str(self.folder / "stash"), *command]

    def digests(self) -> dict[str, str]:
        """Return what stands in the course before and must stand there after, by path."""
        kept = (self.course.source, self.course.release, self.course.submitted, self.course.assignments)
        paths = [path for folder in kept for path in sorted(folder.rglob("*"))]
        paths += [self.course.seeds, self.course.config, *sorted((self.folder / "home").rglob("*"))]
        return {str(path.relative_to(self.folder)): _digest(path) for path in paths}


def _kernel_counts() -> bool:
    """Return whether the kernel counts this user's processes by submission also where there are no namespaces."""
    if group := cgroup.make(memory=2**30, processes=100):
        group.close()
        return True
    place = Place(packages=(Path(sys.modules["proctor"].__file__ or "").parent,))
    return landlock._stranger([sys.executable], place, Path(tempfile.gettempdir(), "room")) is not None


def _closed_above(path: Path) -> Path | None:
    """Return the highest folder above a path that others may not enter."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & stat.S_IXOTH), None)


def _digest(path: Path) -> str:
    seen = path.lstat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(seen.st_mode) else ""
    return f"{stat.filemode(seen.st_mode)} {seen.st_size if content else ''} {content}"


def _why_not(rung: str, user: str) -> str:
    """Return why a user cannot grade on a rung here; empty if they can."""
    (found,) = [each for each in rungs() if each.name == rung]
    if user == USERS[0] or found.why:
        return found.why and f"no {rung} here: {found.why}"
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the other run is one without privileges already"
    if missing := [each for each in ("unshare", "setpriv", "mount") if not shutil.which(each)]:
        return f"needs {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"mounts of its own are refused: {tried.stderr.strip()}"


def _write_kit(kit: Path) -> None:
    """Write what the course imports, and a bubblewrap that is refused its namespaces."""
    (kit / "refusing").mkdir(parents=True)
    (kit / "coursekit.py").write_text(KIT, encoding="utf-8")
    (kit / "refusing" / "bwrap").write_text(NO_NAMESPACES, encoding="utf-8")
    (kit / "refusing" / "bwrap").chmod(0o755)


def _keep_verdicts(graded: Graded, user: str) -> None:
    """Leave what the commands printed where a page about this run is made from it."""
    if folder := os.environ.get(RUNS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for assignment, command in graded.commands.items():
            name = f"{graded.rung}-{user.replace(' ', '-')}-{assignment}.jsonl"
            lines = [json.loads(line) | {"counted": graded.counted} for line in command.out.splitlines()]
            Path(folder, name).write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="session")
def grounds() -> Iterator[dict[tuple[str, str], Graded | str]]:
    """What came out on each rung for each user, or why nothing did. Two run at once, since attackers mostly wait."""
    found: dict[tuple[str, str], Graded | str] = {kind: why for kind in KINDS if (why := _why_not(*kind))}
    with tempfile.TemporaryDirectory(prefix="proctor-threats-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o755)
        kit = folder / "kit"
        _write_kit(kit)
        patch.syspath_prepend(kit)
        built = {}
        for number, (rung, user) in enumerate(kind for kind in KINDS if kind not in found):
            uid = None if user == USERS[0] else NOBODY
            built[rung, user] = Ground(folder / str(number), kit, uid=uid, rung=rung)
            built[rung, user].build()
        with ThreadPoolExecutor(2) as pool:
            running = {kind: pool.submit(ground.grade) for kind, ground in built.items()}
        found |= {kind: done.result() for kind, done in running.items()}
        for (_, user), graded in found.items():
            if isinstance(graded, Graded):
                _keep_verdicts(graded, user)
        yield found


@pytest.fixture(params=KINDS, ids=lambda kind: ", ".join(kind))
def graded(request: pytest.FixtureRequest, grounds: dict[tuple[str, str], Graded | str]) -> Graded:
    """The course after one user has graded it on one rung."""
    ground = grounds[request.param]
    if isinstance(ground, str):
        pytest.skip(ground)
    return ground


@pytest.fixture
def returned(grounds: dict[tuple[str, str], Graded | str]) -> Graded:
    """The course whose feedback was written."""
    ground = grounds[KINDS[0]]
    if isinstance(ground, str):
        pytest.skip(ground)
    return ground
