"""What a program wrote is counted, however it hides it, and cleared away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox import scratch
from proctor.sandbox.scratch import Scratch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a rung that needs it")
MIB = 2**20
TOO_MUCH = "it wrote more than 2 MB to disk"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A folder for 2 MB, with a file of ours, on a disk that always lost a gigabyte since."""
    (tmp_path / "given.csv").write_bytes(b"1" * 100)
    made = Scratch(tmp_path, 2 * MIB)
    lost(monkeypatch, made)
    return made


def lost(monkeypatch: pytest.MonkeyPatch, made: Scratch, *, size: int = 2**30, names: int = 0) -> None:
    seen = made._left()
    monkeypatch.setattr(made, "_left", lambda: (seen[0] - size, seen[1] - names))


def write(folder: Path, size: int, name: str = "large") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(os.urandom(size))
    return folder / name


def test_little_is_nothing(room: Scratch) -> None:
    write(room.folder, MIB)
    assert room.excess([]) == ""


@pytest.mark.parametrize("place", [".", "a/b/c"])
def test_too_much_is_too_much_wherever_it_is(room: Scratch, place: str) -> None:
    write(room.folder / place, 2 * MIB)
    assert room.excess([]) == TOO_MUCH


def test_as_long_as_the_disk_has_lost_little_nobody_counts(room: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    write(room.folder, 3 * MIB)
    monkeypatch.undo()
    monkeypatch.setattr(room, "_files", lambda: pytest.fail("it looked"))
    room._free, room._names = room._left()
    assert room.excess([]) == ""


def test_a_file_under_two_names_counts_once(room: Scratch) -> None:
    os.link(write(room.folder, 3 * MIB // 2), room.folder / "again")
    assert room.excess([]) == ""


def test_a_hole_is_no_data(room: Scratch) -> None:
    with (room.folder / "sparse").open("wb") as file:
        file.truncate(2**30)
    assert room.excess([]) == ""


def test_a_link_out_of_it_is_not_followed(room: Scratch, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, 3 * MIB)
    (room.folder / "link").symlink_to(outside)
    assert room.excess([]) == ""
    room.clear()
    assert (outside / "large").exists()


def test_what_was_deleted_and_is_still_open_counts(room: Scratch) -> None:
    path = write(room.folder, 3 * MIB)
    with path.open("rb"):
        path.unlink()
        assert room.excess([]) == ""
        assert room.excess([os.getpid()]) == TOO_MUCH


def test_a_closed_folder_counts_as_too_much_and_goes(room: Scratch) -> None:
    closed = room.folder / "a" / "closed"
    write(closed, 10)
    if os.geteuid() == 0:
        closed_to_us(room)
    closed.chmod(0o300)
    assert room.excess([]) == TOO_MUCH
    room.clear()
    assert not closed.exists()


def closed_to_us(room: Scratch) -> None:
    """Root may look everywhere, so give it the refusal that others get."""
    inside = room._inside

    def refusing(name: str, above: int, folder: Path, deeper: int) -> Any:
        if name == "closed":
            room._hidden.add(folder)
            return iter(())
        return inside(name, above, folder, deeper)

    room._inside = refusing  # type: ignore[method-assign]


def test_a_folder_too_deep_to_look_into_counts_as_too_much_and_goes(room: Scratch) -> None:
    deep = room.folder.joinpath(*["d"] * scratch.DEEPEST)
    write(deep.parent, 10)
    assert room.excess([]) == ""
    deep.mkdir()
    assert room.excess([]) == TOO_MUCH
    room.clear()
    assert not deep.exists()


def test_too_many_files_are_too_many(room: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_FILES", 5)
    for number in range(6):
        write(room.folder, 0, str(number))
    assert room.excess([]) == "it wrote more than 5 files"
    room.clear()
    assert room.excess([]) == ""


def test_clearing_leaves_what_was_there_before(room: Scratch) -> None:
    write(room.folder / "a", 3 * MIB)
    room.clear()
    assert [path.name for path in room.folder.rglob("*") if path.is_file()] == ["given.csv"]


def test_a_file_that_vanishes_while_it_is_counted_is_no_fault(room: Scratch) -> None:
    program = """
import os, sys
while True:
    os.makedirs("x/y", exist_ok=True)
    open("x/y/z", "w").close()
    os.unlink("x/y/z")
    os.removedirs("x/y")
"""
    busy = subprocess.Popen([sys.executable, "-c", program], cwd=room.folder)
    try:
        for _ in range(300):
            assert room.excess([busy.pid]) == ""
    finally:
        busy.kill()
        busy.wait()
