"""What all tests of `descent` share: an environment without settings, and an empty cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from descent.data import files


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("DESCENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files._print_once.cache_clear()
