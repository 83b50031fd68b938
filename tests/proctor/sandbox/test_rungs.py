"""What a machine says about its sandboxes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from proctor.sandbox import landlock, rung_here, seccomp
from proctor.sandbox.promises import PROMISES, RUNGS, Promise
from proctor.sandbox.rungs import _rungs_with, rungs

from .conftest import needs_bubblewrap, needs_landlock

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks for more than Linux before it asks for this")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look anew, and let the next look anew."""
    _rungs_with.cache_clear()
    seccomp._library.cache_clear()
    yield
    _rungs_with.cache_clear()
    seccomp._library.cache_clear()


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put another bubblewrap on the path."""

    def put(script: str) -> None:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bwrap").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def why(name: str) -> str:
    (rung,) = [each for each in rungs() if each.name == name]
    return rung.why


@needs_bubblewrap
def test_bubblewrap_is_the_strongest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rung_here().name == "bubblewrap"
    assert rung_here().why == ""
    assert rung_here()
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    _rungs_with.cache_clear()
    assert rung_here().name == "bubblewrap"


@needs_landlock
def test_without_bubblewrap_it_is_landlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rung_here().name == "landlock"
    assert why("bubblewrap") == "bwrap is not installed"


@linux
@pytest.mark.parametrize(
    ("version", "reason"),
    [(0, "the kernel has none"), (6, "the kernel has version 6 of it, and 7 is needed")],
)
def test_without_either_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int, reason: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "abi", lambda: version)
    assert not rung_here()
    assert rung_here().name == ""
    assert rung_here().why == f"bubblewrap: bwrap is not installed; landlock: {reason}"


@needs_bubblewrap
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("bwrap: No permissions to create new namespace", "user namespaces are refused: bwrap: No permissions"),
        ("bwrap: Unknown option --as-pid-1", "bwrap fails: bwrap: Unknown option --as-pid-1"),
    ],
)
def test_what_bubblewrap_refuses_is_told(says: Callable[[str], None], words: str, reason: str) -> None:
    says(f"echo '{words}' >&2\nexit 1")
    assert why("bubblewrap").startswith(reason)


@linux
def test_a_bubblewrap_that_does_nothing_is_none(says: Callable[[str], None]) -> None:
    says("exit 0")
    assert "did not start the program" in why("bubblewrap")


@needs_landlock
def test_what_landlock_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "ALL", 1 << 62)  # no kernel knows such a right
    assert why("landlock") == "[Errno 22] Landlock refuses a rule"


@needs_bubblewrap
def test_without_libseccomp_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "LIBRARY", "libseccomp.so.999")
    assert (why("bubblewrap"), why("landlock")) == ("libseccomp.so.999 is missing",) * 2


def test_elsewhere_than_on_linux_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert rung_here().why == "not Linux"
    assert (why("bubblewrap"), why("landlock")) == ("not Linux", "not Linux")


def test_every_rung_has_its_promises_and_what_it_cannot_hold_it_mostly_refuses() -> None:
    assert {each.name for each in fields(Promise)} == {"doing", *RUNGS, "how"}
    assert {promise.on("bubblewrap") for promise in PROMISES} == {"held", "refused"}
    assert [promise.doing for promise in PROMISES if promise.on("landlock") == "open"] == [
        "asking whether a file exists, and how large it is"
    ]
