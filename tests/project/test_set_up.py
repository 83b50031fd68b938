"""The set-up says in one message why it cannot go on, and the next run recovers."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "set_up.py"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, at work on an empty folder."""
    spec = importlib.util.spec_from_file_location("set_up", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, parts in {"ROOT": (), "VENV": (".venv",), "BIN": (".venv", "bin"), "READY": (".venv", ".ready")}.items():
        monkeypatch.setattr(module, name, str(tmp_path.joinpath(*parts)))
    monkeypatch.setattr(module, "PYTHON", str(tmp_path / ".venv" / "bin" / "python"))
    return module


def test_a_python_that_is_too_old_is_named_with_what_to_do(tool, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tool, "version_of", lambda _command: (3, 9))
    with pytest.raises(SystemExit, match="1"):
        tool.find_python()
    said = capsys.readouterr().err
    assert "Python 3.11 to 3.13 is needed" in said
    assert "make PYTHON=" in said


def test_a_newer_python_beside_an_old_one_is_found(tool, monkeypatch) -> None:
    versions = {sys.executable: (3, 9), "python3.12": (3, 12)}
    monkeypatch.setattr(tool, "version_of", versions.get)
    assert tool.find_python() == "python3.12"


def test_a_command_that_is_no_python_has_no_version(tool, tmp_path: Path) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert tool.version_of(str(shim)) is None
    assert tool.version_of(str(tmp_path / "nowhere")) is None
    assert tool.version_of(sys.executable) == sys.version_info[:2]


def test_a_full_disk_stops_before_anything_is_written(tool, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(20e9, 18e9, 2e9))
    with pytest.raises(SystemExit):
        tool.make_venv()
    assert "2.0 GB are free and the packages need about 9" in capsys.readouterr().err
    assert not (tmp_path / ".venv").exists()


def test_a_failed_step_says_which_and_leaves_no_stamp(tool, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        tool.run([sys.executable, "-c", "raise SystemExit(3)"], "the packages could not be installed")
    said = capsys.readouterr().err
    assert "the packages could not be installed" in said
    assert "run `make` again" in said
    assert not (tmp_path / ".venv" / ".ready").exists()


def test_a_half_made_folder_is_made_again(tool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(99e9, 0, 99e9))
    litter = tmp_path / ".venv" / "half" / "made.txt"
    litter.parent.mkdir(parents=True)
    litter.write_text("left by an interrupted run")
    tool.make_venv()
    assert not litter.exists()
    assert subprocess.run([tool.PYTHON, "-c", "import pip"], check=False).returncode == 0


def test_a_finished_folder_is_kept_when_only_the_lock_changed(tool, tmp_path: Path, monkeypatch) -> None:
    keep = tmp_path / ".venv" / "keep.txt"
    keep.parent.mkdir()
    keep.write_text("installed")
    Path(tool.READY).write_text("made by tools/set_up.py\n")
    monkeypatch.setattr(tool, "version_of", lambda _command: (3, 11))
    tool.make_venv()
    assert keep.exists()
    assert not Path(tool.READY).exists(), "an interrupted update must not look finished"
