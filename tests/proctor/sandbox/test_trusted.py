"""The rung without a sandbox: the same program and the same answers, a folder of its own, and nothing left."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.sandbox import Caps, Place

from .conftest import Open

pytestmark = pytest.mark.skipif(os.name == "nt", reason="descriptors cannot be handed to a program there")


def test_it_works_in_a_folder_of_its_own_that_goes_away(run: Any, enter: Open, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("1,2\n")
    (tmp_path / "link").symlink_to("/etc/passwd")

    async def visit() -> str:
        async with enter(Place(work=tmp_path), rung="trusted") as opened:
            assert await opened.ask("answer = os.listdir('.')") == ["numbers.csv"]
            await opened.ask("open('numbers.csv', 'w').write('changed')")
            folders = await opened.ask("answer = os.getcwd(), os.environ['HOME'], os.environ['TMPDIR']")
            assert all(Path(folder).is_dir() for folder in folders)
        assert not any(Path(folder).exists() for folder in folders)
        return str(folders[0])

    assert run(visit()) != str(tmp_path)
    assert (tmp_path / "numbers.csv").read_text() == "1,2\n"


def test_the_environment_is_clean(run: Any, enter: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    async def visit() -> None:
        async with enter(Place(environment={"MPLBACKEND": "Agg"}), rung="trusted") as opened:
            seen = await opened.ask("answer = dict(os.environ)")
            assert "secret" not in seen.values()
            assert seen["MPLBACKEND"] == "Agg"
            assert seen["USER"] == "student"

    run(visit())


def test_packages_are_found_through_the_site(run: Any, enter: Open, tmp_path: Path) -> None:
    (tmp_path / "coursekit").mkdir()
    (tmp_path / "coursekit" / "__init__.py").write_text("answer = 42")
    source = "sys.path.insert(0, os.environ['PROCTOR_SITE']); import coursekit; answer = coursekit.answer"

    async def visit() -> None:
        async with enter(Place(packages=(tmp_path / "coursekit",)), rung="trusted") as opened:
            assert await opened.ask(source) == 42

    run(visit())


def test_its_files_are_limited(run: Any, enter: Open) -> None:
    async def visit() -> None:
        async with enter(caps=Caps(file_size=2**20, open_files=40), rung="trusted") as opened:
            assert await opened.ask("answer = fill('.', 2 << 20)") == [2**20, "EFBIG"]
            assert await opened.ask(
                "x = []; answer = refused(lambda: [x.append(open('/dev/null')) for _ in range(99)])"
            )

    run(visit())


def test_its_tree_is_killed(run: Any, enter: Open, below: Callable[[], list[psutil.Process]]) -> None:
    async def visit() -> list[psutil.Process]:
        async with enter(rung="trusted") as opened:
            await opened.ask("child(lambda: child(lambda: os.setsid())); os.setpgid(child(lambda: None), 0)")
            await opened.look_until(lambda: len(below()) == 4)
            return below()

    assert [process for process in run(visit()) if process.is_running() and process.status() != "zombie"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory is shared")
def test_a_memory_hog_is_killed_there_too(run: Any, enter: Open, uncounted: None) -> None:  # noqa: ARG001
    hog = "answer = os.waitstatus_to_exitcode(os.waitpid(child(lambda: bytearray(b'x') * (400 << 20)), 0)[1])"

    async def visit() -> None:
        async with enter(caps=Caps(memory=200 * 2**20), rung="trusted") as opened:
            assert await opened.ask(hog) == -9
            assert opened.room.killed == ("it used more than 200 MB of memory",)

    run(visit())
