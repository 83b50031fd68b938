"""What the watchdog counts and whom it kills, on real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from proctor.sandbox.watchdog import Watchdog, amount

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MIB = 2**20

PROGRAM = """
import os, signal, sys
big = b"x" * (80 << 20)
def child(size, children=0):
    ready, done = os.pipe()
    pid = os.fork()
    if not pid:
        mine = bytearray(b"x") * size
        for _ in range(children):
            child(0)
        os.write(done, b"!")
        while True:
            signal.pause()
    os.read(ready, 1)
    return pid
print(*[child(*map(int, each.split(","))) for each in sys.argv[1:]], flush=True)
while True:
    signal.pause()
"""


class Tree:
    """A program with children: SIZE,CHILDREN of each is what it allocates and how many it has itself."""

    def __init__(self, *children: str) -> None:
        command = [sys.executable, "-c", PROGRAM, *children]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.children = [int(pid) for pid in self.process.stdout.readline().split()]

    def watchdog(self, *, memory: int = 2**40, processes: int = 1000) -> Watchdog:
        """Make a watchdog for it."""
        return Watchdog(self.process.pid, memory=memory, processes=processes, members=psutil.pids)

    def killed(self, count: int) -> list[int]:
        """Return which of the children were killed, by their place; give so many a moment to be gone."""
        deadline = time.monotonic() + 10
        while True:
            ended = [psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in self.children]
            if sum(ended) >= count or time.monotonic() > deadline:
                return [place for place, has_ended in enumerate(ended) if has_ended]


@pytest.fixture
def planted() -> Iterator[list[Tree]]:
    """Trees that are felled at the end."""
    trees: list[Tree] = []
    yield trees
    for each in trees:
        below = psutil.Process(each.process.pid).children(recursive=True) if each.process.poll() is None else []
        each.process.kill()
        for process in below:
            process.kill()
        each.process.communicate()


def plant(planted: list[Tree], *children: str) -> Tree:
    planted.append(Tree(*children))
    return planted[-1]


def test_a_tree_within_its_caps_is_left_alone(planted: list[Tree]) -> None:
    tree = plant(planted, "0,1", "0,0")
    watchdog = tree.watchdog(memory=2**40, processes=4)
    watchdog.look()
    assert watchdog.reasons == []
    assert tree.killed(0) == []
    assert watchdog.peak > 80 * MIB


def test_the_largest_child_is_killed_and_not_the_program(planted: list[Tree]) -> None:
    tree = plant(planted, "0,0", f"{60 * MIB},0", "0,0")
    watchdog = tree.watchdog(memory=130 * MIB)
    watchdog.look()
    assert watchdog.reasons == ["it used more than 130 MB of memory"]
    assert tree.killed(1) == [1]
    assert tree.process.poll() is None


def test_pages_that_are_shared_count_once(planted: list[Tree]) -> None:
    tree = plant(planted, *["0,0"] * 5)
    watchdog = tree.watchdog(memory=160 * MIB)
    watchdog.look()
    watchdog.look()
    assert watchdog.reasons == []
    assert 80 * MIB < watchdog.peak < 160 * MIB


def test_a_program_that_is_alone_too_large_is_killed(planted: list[Tree]) -> None:
    tree = plant(planted)
    tree.watchdog(memory=20 * MIB).look()
    assert tree.process.wait(30) == -signal.SIGKILL


def test_of_too_many_processes_the_most_populous_family_goes(planted: list[Tree]) -> None:
    tree = plant(planted, "0,0", "0,6", "0,1")
    watchdog = tree.watchdog(processes=6)
    watchdog.look()
    assert watchdog.reasons == ["it had more than 6 processes and threads at once"]
    assert tree.killed(1) == [1]
    assert tree.process.poll() is None


def test_among_equal_families_the_newest_go_until_the_rest_is_few_enough(planted: list[Tree]) -> None:
    tree = plant(planted, "0,0", "0,0", "0,0", "0,0")
    tree.watchdog(processes=3).look()
    assert tree.killed(2) == [2, 3]


def test_a_tree_that_is_gone_is_no_fault(planted: list[Tree]) -> None:
    tree = plant(planted)
    tree.process.kill()
    tree.process.wait()
    watchdog = tree.watchdog()
    watchdog.look()
    assert watchdog.reasons == []


def test_amounts_are_written_as_people_write_them() -> None:
    assert [amount(4 * 2**30), amount(3 * 2**29), amount(200 * MIB)] == ["4 GB", "1.5 GB", "200 MB"]
