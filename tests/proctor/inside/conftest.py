"""A keeper for all tests of a module, and a fresh notebook for each."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _rig() -> Any:
    spec = importlib.util.spec_from_file_location("rig", Path(__file__).with_name("rig.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rig = _rig()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the student's processes work."""
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="session")
def new_room() -> Any:
    """What starts a keeper of a test's own."""
    return rig.room


@pytest.fixture(scope="module")
def room(folder: Path) -> Iterator[Any]:
    """A keeper that has imported what notebooks import."""
    with rig.room(folder, "numpy", "torch") as started:
        yield started


@pytest.fixture(scope="module")
def bare_room(folder: Path) -> Iterator[Any]:
    """A keeper that has imported nothing."""
    with rig.room(folder) as started:
        yield started


@pytest.fixture
def notebook(room: Any) -> Iterator[Any]:
    """A fresh notebook with NumPy and torch at hand."""
    started = room.notebook()
    yield started
    started.sock.close()
    room.sweep()


@pytest.fixture
def plain(bare_room: Any) -> Iterator[Any]:
    """A fresh notebook without libraries, which starts in a moment."""
    started = bare_room.notebook()
    yield started
    started.sock.close()
    bare_room.sweep()
