"""Control groups: made where the system lets us, in both of its layouts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proctor.sandbox import cgroup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has control groups")
MIB = 2**20


@pytest.fixture
def fake(tmp_path: Path) -> dict[str, str]:
    """Say that a plain folder is the new hierarchy, and that we are in its group user/session."""
    (tmp_path / "sys" / "user" / "session").mkdir(parents=True)
    (tmp_path / "mounts").write_text(f"cgroup2 {tmp_path}/sys cgroup2 rw,nosuid 0 0\n")
    (tmp_path / "own").write_text("0::/user/session\n")
    return {"mounts": str(tmp_path / "mounts"), "own": str(tmp_path / "own")}


def make(fake: dict[str, str]) -> cgroup.Cgroup | None:
    return cgroup.make(memory=100 * MIB, processes=10, **fake)


def test_a_group_of_the_new_kind_stands_where_the_counts_are_handed_down(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sys" / "user" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "sys" / "user" / "session" / "cgroup.subtree_control").write_text("\n")
    group = make(fake)
    assert group
    [folder] = group.folders
    assert folder.parent == tmp_path / "sys" / "user"
    assert (folder / "memory.max").read_text() == str(100 * MIB)
    assert (folder / "pids.max").read_text() == "10"
    assert (folder / "cgroup.procs").read_text() == "0\n", "the trial has entered"


def test_where_nothing_is_handed_down_there_is_no_group(fake: dict[str, str]) -> None:
    assert make(fake) is None


def test_where_no_hierarchy_is_mounted_there_is_no_group(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n")
    assert make(fake) is None


def test_numbers_of_the_new_kind_are_read(tmp_path: Path) -> None:
    group = cgroup.Cgroup((tmp_path,))
    assert (group.peak, group.kills, group.pids) == (0, 0, [])
    (tmp_path / "memory.peak").write_text("4096\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    assert (group.peak, group.kills, group.pids) == (4096, 2, [7, 8])


@pytest.fixture
def real() -> cgroup.Cgroup:
    group = cgroup.make(memory=100 * MIB, processes=10)
    if group is None:
        pytest.skip("this user may make no control groups here")
    return group


def test_a_command_enters_a_real_group_and_is_killed_with_it(real: cgroup.Cgroup) -> None:
    try:
        process = subprocess.Popen([*real.entering, "/bin/sh", "-c", "echo; exec sleep 999"], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        assert real.pids == [process.pid]
    finally:
        real.close()
    assert process.wait(30) == -9
    process.stdout.close()
    assert not any(folder.exists() for folder in real.folders)


def test_a_group_whose_maker_was_killed_is_removed_by_the_next(real: cgroup.Cgroup) -> None:
    try:
        with subprocess.Popen(["/bin/true"]) as ended:
            ended.wait()
        stale = real.folders[0].with_name(f"proctor-{ended.pid}-0")
        stale.mkdir()
        other = cgroup.make(memory=100 * MIB, processes=10)
        assert other
        other.close()
        assert not stale.exists()
        assert real.folders[0].exists(), f"made by {os.getpid()}, which lives"
    finally:
        real.close()
