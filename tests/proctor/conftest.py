"""A small course with one assignment, released once for all tests.

proctor grades any nbgrader course: this one brings its own `student` and `seed`, so its kernels start without torch.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.course import Course
from proctor.release import release
from proctor.sandbox import landlock, rung_here, rungs
from proctor.sandbox.promises import RUNGS
from proctor.sandbox.rungs import _rungs_with
from proctor.schedule import grade

ROOT = Path(__file__).resolve().parents[2]

TINY = '''\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Tiny

Two small tasks.

| Task | Points |
| --- | --- |
| Doubling | 3 |
| Adding | 3 |
| **Total** | **6** |

```{code-cell} ipython3
:name: opening
from coursekit import seed, student
```

## Doubling (3 points)

Write `double(x)`, which returns 2 x.

```{code-cell} ipython3
:name: double
def double(x: int) -> int:
    """Return 2 x."""
    ### BEGIN SOLUTION
    doubled_by_the_reference = 2 * x
    return doubled_by_the_reference
    ### END SOLUTION
```

```{code-cell} ipython3
:name: double-seen
:tests: double
:points: 1
with student:
    answer = double(3)
assert answer == 6, f"double(3) is {answer}, expected 6"
```

```{code-cell} ipython3
:name: double-hidden
:tests: double
:points: 2
:slow: true
with student:
    zero = double(0)
assert zero == 0, "double(0) is not 0"
### BEGIN HIDDEN TESTS
fresh = seed % 1000 + 4
with student:
    drawn = double(fresh)
assert drawn == 2 * fresh, "double is wrong for a number that no one has seen: is 6 typed in?"
### END HIDDEN TESTS
```

## Adding (3 points)

Write `add(x, y)`, which returns x + y.

```{code-cell} ipython3
:name: add
def add(x: int, y: int) -> int:
    """Return x + y."""
    ### BEGIN SOLUTION
    return x + y
    ### END SOLUTION
```

```{code-cell} ipython3
:name: add-cases
:tests: add
:points: 2
with student:
    total = add(2, 5)
assert total == 7, f"add(2, 5) is {total}, expected 7"
```

+++ {"name": "why-add", "points": 1}

In one sentence: why does the order not matter?
'''

KIT = """\
import os
from contextlib import nullcontext

student = nullcontext()
seed = int(os.environ["DESCENT_SEED"])
"""

ANSWERS = """\
# Answers: tiny

What students write.

## Wrong: types the visible answer in
loses: double-hidden
says: is 6 typed in?
```{code-cell} double
def double(x):
    return 6 if x else 0
```

## Wrong: subtracts
loses: add-cases
says: expected 7
```{code-cell} add
def add(x, y):
    return x - y
```

## Right: adds x to itself
```{code-cell} double
def double(x):
    return x + x
```
"""

DOUBLE, ADD = "def double(x):\n    return 2 * x", "def add(x, y):\n    return x + y"
CLASS = {
    "ada": {"double": DOUBLE, "add": ADD, "why-add": "Sums commute."},
    "carl": {"double": "def double(x):\n    return 6 if x else 0", "add": ADD},
    "zoe": {"double": DOUBLE, "add": "def add(x, y):\n    import os\n    os._exit(1)"},
}

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Submit = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let every kernel import what the small assignment imports."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "coursekit.py").write_text(KIT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.syspath_prepend(folder)  # the sandbox is shown what this Python finds
        yield


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The small course after `proctor release`; never changed by a test."""
    course = write_course(tmp_path_factory.mktemp("course"))
    release(course, "tiny")
    return course


@pytest.fixture
def course(released: Course, tmp_path: Path) -> Course:
    """A released course of a test's own."""
    return Course(Path(shutil.copytree(released.root, tmp_path / "course")))


@pytest.fixture
def unreleased(tmp_path: Path) -> Course:
    """A course of a test's own in which nothing was ever released."""
    return write_course(tmp_path / "course")


def write_course(root: Path) -> Course:
    """Write the small course below `root`."""
    folder = root / "assignments" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.md").write_text(TINY, encoding="utf-8")
    (folder / "answers.md").write_text(ANSWERS, encoding="utf-8")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return Course(root)


def hand_in(course: Course, student: str, cells: dict[str, str] | None = None, *, added: str = "") -> Path:
    """Hand in the released notebook with some solution cells filled, and cells of the student's own at its end."""
    notebook = json.loads((course.release / "tiny" / "tiny.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = (cells or {}).get(name, cell["source"])
    if added:
        own = {"cell_type": "code", "id": "own", "metadata": {}, "source": added}
        notebook["cells"].append(own | {"outputs": [], "execution_count": None})
    path = course.submitted / student / "tiny" / "tiny.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.fixture
def submit(course: Course) -> Submit:
    """Hand in work for a test's own course."""
    return partial(hand_in, course)


@pytest.fixture(scope="session")
def marked(released: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The small course with four submissions after `proctor grade`; never changed by a test."""
    course = Course(Path(shutil.copytree(released.root, tmp_path_factory.mktemp("marked") / "course")))
    for student, cells in CLASS.items():
        hand_in(course, student, cells)
    broken = course.submitted / "otto" / "tiny" / "tiny.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"cells": [', encoding="utf-8")
    grade(course, "tiny", jobs=2, trusted=True)
    return course


@pytest.fixture
def graded(marked: Course, tmp_path: Path) -> Course:
    """A graded course of a test's own."""
    return Course(Path(shutil.copytree(marked.root, tmp_path / "course")))


@pytest.fixture
def sandboxed() -> str:
    """The rung of a real sandbox, for what would do harm or escape without one."""
    if not rung_here():
        pytest.skip(f"no sandbox here: {rung_here().why}")
    return rung_here().name


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As on a machine without any."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    _rungs_with.cache_clear()
    yield
    _rungs_with.cache_clear()


@pytest.fixture(params=RUNGS)
def rung(request: pytest.FixtureRequest) -> str:
    """Each rung, where this machine has it."""
    if whys := [each.why for each in rungs() if each.name == request.param and each.why]:
        pytest.skip(f"no {request.param} here: {whys[0]}")
    return str(request.param)


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a coroutine to its end in a loop of its own."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Say whether a process has ended, and give one that was just killed a moment to do so."""

    def has_ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # dead, and its new parent has not looked yet
        except psutil.NoSuchProcess:
            return True

    def wait(pid: int) -> bool:
        deadline = time.monotonic() + 5
        while not has_ended(pid) and time.monotonic() < deadline:
            os.sched_yield()
        return has_ended(pid)

    return wait
