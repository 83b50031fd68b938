"""What a machine says about its sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from proctor.sandbox import rung_here, rungs, seccomp

from .conftest import needs_bubblewrap

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks for more than Linux before it asks for this")


@needs_bubblewrap
def test_here_there_is_one() -> None:
    assert rung_here().name == "bubblewrap"
    assert rung_here().why == ""
    assert rung_here()


@linux
def test_without_bubblewrap_on_the_path_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rung_here().name == ""
    assert rung_here().why == "bwrap is not installed"
    assert not rung_here()


@needs_bubblewrap
@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("bwrap: No permissions to create new namespace", "user namespaces are refused: bwrap: No permissions"),
        ("bwrap: Unknown option --as-pid-1", "bwrap fails: bwrap: Unknown option --as-pid-1"),
    ],
)
def test_what_bubblewrap_refuses_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, why: str) -> None:
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rung_here().name == ""
    assert rung_here().why.startswith(why)


@linux
def test_a_bubblewrap_that_does_nothing_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rung_here().name == ""
    assert "did not start the program" in rung_here().why


@needs_bubblewrap
def test_without_libseccomp_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "LIBRARY", "libseccomp.so.999")
    seccomp._library.cache_clear()
    rungs._rung_with.cache_clear()
    assert rung_here().why == "libseccomp.so.999 is missing"
    rungs._rung_with.cache_clear()


def test_elsewhere_than_on_linux_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs._rung_with.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert rung_here().why == "not Linux"
    rungs._rung_with.cache_clear()
