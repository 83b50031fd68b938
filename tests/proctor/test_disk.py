"""Files are written whole or not at all, and what a killed process leaves the next one takes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from proctor.disk import own_folder, remove_below, write_whole

KEEPS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from proctor.disk import own_folder
with own_folder("room") as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "grades.json"
    write_whole(path, b"one")
    write_whole(path, b"two", mode=0o644)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grades.json"
    write_whole(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_of_a_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".grades.json.new").write_bytes(b"half a ver")
    write_whole(tmp_path / "grades.json", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["grades.json"]


def test_a_folder_of_ones_own_is_empty_and_goes_away(place: Path) -> None:
    with own_folder("room") as folder:
        assert list(place.iterdir()) == [folder]
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x", encoding="utf-8")
    assert list(place.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_a_killed_process_s_folder_is_taken_away_and_a_living_one_s_is_not(place: Path) -> None:
    command = [sys.executable, "-c", KEEPS, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with own_folder("room"):
            assert (theirs / "deep" / "file").exists()
        other.send_signal(signal.SIGKILL)
    assert theirs.exists()
    with own_folder("judge"):
        assert theirs.exists(), "another kind is another's"
    with own_folder("room") as folder:
        assert list(place.iterdir()) == [folder]


def test_a_link_that_looks_like_one_is_left_alone(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("x", encoding="utf-8")
    (place / "proctor-room-link").symlink_to(outside)
    with own_folder("room"):
        pass
    assert (outside / "file").exists()


def test_folders_of_any_depth_and_closed_ones_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    program = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nos.mkdir('closed', 0)"
    subprocess.run([sys.executable, "-c", program], cwd=top, check=True)
    remove_below(top)
    assert list(tmp_path.iterdir()) == []
