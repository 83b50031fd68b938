"""The tools of `benchmarks/`, which import one another by their plain names."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test import them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
