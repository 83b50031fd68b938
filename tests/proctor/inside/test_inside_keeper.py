"""The first process in the sandbox starts, signals, sweeps and counts; the student's cannot disturb it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest


@pytest.fixture
def notebook(bare_room: Any) -> Iterator[Any]:
    """A fresh notebook; a hostile one, so all is swept away afterwards."""
    started = bare_room.notebook()
    yield started
    started.sock.close()
    bare_room.sweep()


def ending(keeper: Any, pid: int) -> int | None:
    status = keeper.ask({"do": "ending", "pid": pid})[0]["status"]
    assert status is None or type(status) is int
    return status


def test_missing_modules_are_told_with_the_reason_and_the_rest_is_imported(bare_room: Any) -> None:
    answer, _ = bare_room.ask(
        {"do": "prepare", "modules": ["no_such_module", "colorsys", "os.no_such"], "ahead": ["nor_this"]}
    )
    first, second = answer["missing"]
    assert first == "no_such_module: ModuleNotFoundError: No module named 'no_such_module'"
    assert second.startswith("os.no_such: ModuleNotFoundError: ")
    notebook = bare_room.notebook()
    with notebook.sock:
        assert notebook.says("import sys\n'colorsys' in sys.modules") == "True"


def test_notebooks_start_apart(bare_room: Any) -> None:
    first, second = bare_room.notebook(), bare_room.notebook()
    with first.sock, second.sock:
        first.cell("x = 1")
        assert second.says("'x' in globals()") == "False"
        assert first.pid != second.pid


def test_a_signal_reaches_the_process_and_its_end_is_told(bare_room: Any, notebook: Any, gone: Any) -> None:
    assert ending(bare_room, notebook.pid) is None
    bare_room.ask({"do": "signal", "pid": notebook.pid, "signal": int(signal.SIGKILL)})
    assert gone(notebook.pid)
    assert os.WTERMSIG(ending(bare_room, notebook.pid)) == signal.SIGKILL


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import os\nos._exit(3)", 3 << 8),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 9),
        ("import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.abort()", 6),
    ],
)
def test_how_a_notebook_ended_is_told(bare_room: Any, notebook: Any, gone: Any, source: str, status: int) -> None:
    with pytest.raises(EOFError):
        notebook.cell(source)
    assert gone(notebook.pid)
    assert ending(bare_room, notebook.pid) == status


def test_nothing_is_known_of_other_processes(bare_room: Any) -> None:
    assert ending(bare_room, os.getpid()) is None
    assert ending(bare_room, -1) is None
    assert bare_room.ask({"do": "ending", "pid": "x"})[0] == {"status": None}


@pytest.mark.parametrize("pid", [0, -1, 1, "keeper", "us", 2**40, "x", None])
def test_only_the_students_processes_get_signals(bare_room: Any, notebook: Any, pid: Any) -> None:
    """The number may come from one of them."""
    named = {"keeper": bare_room.pid, "us": os.getpid()}
    bare_room.ask({"do": "signal", "pid": named.get(pid, pid), "signal": int(signal.SIGKILL)})
    assert notebook.says("1 + 1") == "2"


def test_sweeping_keeps_whom_it_is_told_to(bare_room: Any, notebook: Any, gone: Any) -> None:
    copy = notebook.copy()
    other = bare_room.notebook()
    with copy.sock, other.sock:
        assert bare_room.sweep(notebook.pid, copy.pid) == 1
        assert gone(other.pid)
        assert (notebook.says("1"), copy.says("2")) == ("1", "2")
    assert bare_room.sweep(notebook.pid) >= 0


STAYERS = {
    "a daemon": "if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n    wait()",
    "a stopped process": "if os.fork() == 0:\n    write()\n    os.kill(os.getpid(), signal.SIGSTOP)",
    "a deaf process": "if os.fork() == 0:\n    for n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\n    wait()",
    "one in another group": "if os.fork() == 0:\n    os.setpgid(0, 0)\n    wait()",
    "fifty": "for _ in range(50):\n    if os.fork() == 0:\n        wait()",
    "those that start others when they end": """
def storm():
    while True:
        if os.fork() == 0:
            wait_a_little()
            continue
        os._exit(0)
if os.fork() == 0:
    write()
    storm()
""",
}
HELP = """
import os, signal, time
def write():
    with open("stayed", "a") as file: print(os.getpid(), file=file)
def wait():
    write()
    while True: time.sleep(100)
def wait_a_little(): time.sleep(0.001)
"""


@pytest.mark.parametrize("source", STAYERS.values(), ids=STAYERS)
def test_nothing_that_a_student_starts_survives_the_sweep(
    bare_room: Any, notebook: Any, folder: Path, gone: Any, source: str
) -> None:
    stayed = folder / "stayed"
    stayed.unlink(missing_ok=True)
    notebook.cell(HELP + source)
    while not (stayed.exists() and stayed.read_text().endswith("\n")):
        os.sched_yield()
    bare_room.sweep()
    assert gone(notebook.pid)
    assert all(gone(int(pid)) for pid in stayed.read_text().split())
    left = psutil.Process(bare_room.pid).children(recursive=True)
    assert [each for each in left if not gone(each.pid)] == []
    with bare_room.notebook().sock as fresh:
        assert fresh.fileno() > 0


def test_the_keepers_socket_is_not_in_a_notebook(bare_room: Any, notebook: Any) -> None:
    """What writes nonsense to every descriptor ends itself and nobody else."""
    listing = "import os\nsorted(os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')"
    listing += " if os.path.exists(f'/proc/self/fd/{fd}'))"
    inside = {each for each in eval(notebook.says(listing)) if each.startswith("socket:")}
    keepers = {os.readlink(each) for each in Path(f"/proc/{bare_room.pid}/fd").iterdir()}  # noqa: PTH115 - no file
    assert len(inside) == 1
    assert not inside & keepers
    copy = notebook.copy()
    with copy.sock, pytest.raises(Exception, match=r"gone|not the beginning of a frame"):
        notebook.cell("for fd in range(3, 60):\n    try: os.write(fd, b'x' * 99)\n    except OSError: pass")
    with bare_room.notebook().sock:
        pass


def test_the_keeper_ends_with_its_socket_and_takes_the_notebooks_with_it(
    new_room: Any, tmp_path: Path, gone: Any
) -> None:
    with new_room(tmp_path) as started:
        notebook = started.notebook()
        assert notebook.says("1 + 1") == "2"
        started.sock.close()
        assert gone(started.pid)
        assert gone(notebook.pid)
        notebook.sock.close()
