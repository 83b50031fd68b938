"""How a room lives: it starts or says why not, notices what is killed in it, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.errors import EngineError
from proctor.sandbox import Caps, Place, Rung, bubblewrap, room, tree

from .conftest import Open, needs_bubblewrap

pytestmark = needs_bubblewrap
Below = Callable[[], list[psutil.Process]]
MIB = 2**20
SMALL = Caps(memory=200 * MIB, processes=40)
HOG = "answer = os.waitstatus_to_exitcode(os.waitpid(child(lambda: bytearray(b'x') * (400 << 20)), 0)[1])"


def left() -> tuple[set[str], set[str], list[str]]:
    """Return what a room could leave behind: temporary files, control groups, open descriptors."""
    groups = Path("/sys/fs/cgroup").rglob(f"proctor-{os.getpid()}-*")
    temporary = map(str, Path(tempfile.gettempdir()).glob("proctor-room-*"))
    return set(temporary), set(map(str, groups)), sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.mark.usefixtures("form")
def test_a_program_answers_and_nothing_is_left(run: Any, enter: Open, below: Below) -> None:
    async def visit() -> None:
        before = left()
        async with enter() as opened:
            assert opened.room.alive
            assert await opened.ask("answer = 6 * 7") == 42
            assert below()
        assert not opened.room.alive
        assert below() == []
        assert left() == before
        assert opened.room.killed == ()
        assert opened.room.peak > MIB

    run(visit())


@pytest.mark.usefixtures("form")
def test_every_descendant_is_killed_at_the_end(run: Any, enter: Open, below: Below) -> None:
    stubborn = """
def stubborn():
    os.setsid()
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
for _ in range(3):
    child(stubborn)
"""

    async def visit() -> list[psutil.Process]:
        async with enter() as opened:
            await opened.ask(stubborn)
            found = below()
            assert len(found) >= 5, "bwrap, the program, three that have left their sessions"
        return found

    assert [process for process in run(visit()) if process.is_running()] == []


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_a_cancelled_start_leaves_nothing(run: Any, enter: Open, below: Below, steps: int) -> None:
    async def cancelled() -> None:
        before = left()

        async def forever() -> None:
            async with enter():
                await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert below() == []
        assert left() == before

    run(cancelled())


def test_an_error_of_the_caller_s_leaves_nothing(run: Any, enter: Open, below: Below) -> None:
    async def fails() -> None:
        before = left()
        with pytest.raises(ZeroDivisionError):
            async with enter():
                raise ZeroDivisionError
        assert below() == []
        assert left() == before

    run(fails())


@pytest.mark.usefixtures("form")
def test_when_somebody_kills_bubblewrap_the_others_still_go(
    run: Any, enter: Open, below: Below, gone: Callable[[int], bool]
) -> None:
    async def visit() -> None:
        async with enter() as opened:
            await opened.ask("child(lambda: None)")
            found = below()
            [bwrap] = psutil.Process().children()
            bwrap.send_signal(signal.SIGKILL)
            assert gone(bwrap.pid)
        assert all(gone(process.pid) for process in found)

    run(visit())


@pytest.mark.usefixtures("form")
def test_a_program_that_ends_is_noticed(run: Any, enter: Open) -> None:
    async def visit() -> None:
        async with enter() as opened:
            with pytest.raises(AssertionError, match="a last word"):
                await opened.ask("print('a last word', file=sys.stderr, flush=True); os._exit(3)")
            await opened.look_until(lambda: not opened.room.alive)

    run(visit())


def test_stderr_is_capped_and_its_end_kept(run: Any, enter: Open) -> None:
    async def visit() -> None:
        async with enter() as opened:
            written = await opened.ask("answer = refused(lambda: [os.write(2, b'x' * 1000) for _ in range(100)])")
            assert written == "EPERM"
            assert opened.room.last_words == "x" * 2000

    run(visit())


@pytest.mark.parametrize("counted", [True, False])
def test_a_memory_hog_is_killed_and_the_program_lives(
    run: Any, enter: Open, counted: bool, request: pytest.FixtureRequest
) -> None:
    if not counted:
        request.getfixturevalue("uncounted")

    async def visit() -> None:
        async with enter(caps=SMALL) as opened:
            assert await opened.ask(HOG) == -signal.SIGKILL
            assert opened.room.killed == ("it used more than 200 MB of memory",)
            assert await opened.ask("answer = 1 + 1") == 2
        assert opened.room.killed == ("it used more than 200 MB of memory",), "known after the end, too"
        assert opened.room.peak > 100 * MIB

    run(visit())


def test_memory_shared_by_snapshots_counts_once(run: Any, enter: Open, uncounted: None) -> None:  # noqa: ARG001
    async def visit() -> None:
        async with enter(caps=SMALL) as opened:
            pids = await opened.ask("big = b'x' * (120 << 20); answer = [child(lambda: None) for _ in range(6)]")
            for _ in range(3):
                opened.room._watchdog.look()  # type: ignore[union-attr]
            alive = await opened.ask(f"answer = [os.waitpid(pid, os.WNOHANG)[0] for pid in {pids}]")
            assert alive == [0] * 6
            assert opened.room.killed == ()

    run(visit())


def test_a_refusal_of_bubblewrap_is_told_in_its_own_words(run: Any, enter: Open, below: Below) -> None:
    async def visit() -> None:
        before = left()
        with pytest.raises(EngineError, match="the sandbox does not start") as caught:
            async with enter(Place(readable=(Path("/no/such/data"),))):
                pass
        assert "Can't find source path /no/such/data" in caught.value.where
        assert below() == []
        assert left() == before

    run(visit())


def test_a_program_that_is_not_there_is_named(run: Any) -> None:
    async def visit() -> None:
        with pytest.raises(EngineError, match="the sandbox does not start") as caught:
            async with room(["/usr/bin/no-such-program"], Place(), Caps(), rung="bubblewrap"):
                pass
        assert "No such file or directory" in caught.value.where

    run(visit())


def test_work_that_is_too_large_is_refused(run: Any, enter: Open, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2 * MIB))

    async def visit() -> None:
        with pytest.raises(EngineError, match="larger than the 1 MB that fit into the sandbox"):
            async with enter(Place(work=tmp_path), Caps(scratch=MIB)):
                pass

    run(visit())


def test_without_a_sandbox_there_is_no_room(run: Any, enter: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "rungs", lambda: (Rung("bubblewrap", "bwrap is not installed"),))

    async def visit() -> None:
        with pytest.raises(EngineError, match="there is no sandbox 'bubblewrap' here") as caught:
            async with enter():
                pass
        assert caught.value.where == "bwrap is not installed"

    run(visit())


def test_files_that_only_their_owner_may_read_are_read_all_the_same(run: Any, enter: Open, tmp_path: Path) -> None:
    """Root gives up being root only where the user it becomes can read what it needs."""
    package = tmp_path / "coursekit"
    package.mkdir(mode=0o700)
    (package / "__init__.py").write_text("answer = 42")
    (package / "__init__.py").chmod(0o600)

    async def visit() -> None:
        async with enter(Place(packages=(package,))) as opened:
            assert await opened.ask("sys.path.insert(0, '/site'); import coursekit; answer = coursekit.answer") == 42
            assert await opened.ask("answer = os.getuid()") == 1000

    run(visit())


def test_several_rooms_stand_side_by_side(run: Any, enter: Open) -> None:
    async def visit() -> None:
        async with enter() as first, enter() as second:
            await first.ask("open('/tmp/mine', 'w').write('1')")
            assert await second.ask("answer = os.path.exists('/tmp/mine')") is False
            assert (
                await second.ask("child(lambda: None); answer = len([n for n in os.listdir('/proc') if n.isdecimal()])")
                == 2
            )

    run(visit())


def test_the_program_s_own_words_are_in_the_error_when_it_dies_at_once(run: Any) -> None:
    async def visit() -> None:
        command = [sys.executable, "-I", "-c", "raise SystemExit('no such luck')"]
        async with room(command, Place(), Caps(), rung="bubblewrap") as opened, asyncio.timeout(30):
            while opened.alive:
                await asyncio.sleep(0)
            assert opened.last_words == "no such luck"

    run(visit())


def test_a_filter_that_cannot_be_made_is_a_fault_of_ours(
    run: Any, enter: Open, monkeypatch: pytest.MonkeyPatch, below: Below
) -> None:
    def refuse() -> int:
        raise OSError("libseccomp refuses ptrace")

    monkeypatch.setattr(bubblewrap, "filter_file", refuse)

    async def visit() -> None:
        before = left()
        with pytest.raises(EngineError, match="the sandbox does not start") as caught:
            async with enter():
                pass
        assert caught.value.where == "libseccomp refuses ptrace"
        assert below() == []
        assert left() == before

    run(visit())
