"""The processes in a sandbox from outside: cells end well, in an error, late or stuck, and nothing is left behind."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from proctor.channel import Channel, Gone
from proctor.errors import EngineError
from proctor.keeper import Keeper, Session

HasEnded = Callable[[int], bool]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
LONG = 60.0  # s that a cell may take where the limit is not what is tested
SHORT = 0.2  # s for one that takes for ever


def _rig() -> Any:
    spec = importlib.util.spec_from_file_location("rig", Path(__file__).parent / "inside" / "rig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rig = _rig()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Any]:
    """A keeper's process, and its socket."""
    with rig.room(tmp_path) as started:
        yield started


@pytest.fixture
def keeper(room: Any) -> Keeper:
    return Keeper(Channel(room.sock))


def test_missing_modules_are_told(run: Run, keeper: Keeper) -> None:
    assert run(keeper.prepare(["math"])) == ()
    (missing,) = run(keeper.prepare(["math", "no_such_module"]))
    assert missing == "no_such_module: ModuleNotFoundError: No module named 'no_such_module'"


def test_what_may_be_loaded_ahead_is_there_in_every_session_and_not_missed(run: Run, keeper: Keeper) -> None:
    async def loaded() -> None:
        assert await keeper.prepare(["math"], ahead=["colorsys", "no_such_module"]) == ()
        session = await keeper.session()
        _, outputs = await session.run_cell(keeper, "one", "import sys; print('colorsys' in sys.modules)", limit=LONG)
        assert outputs[0]["text"] == "True\n"
        await session.channel.close()

    run(loaded())


def test_cells_end_well_or_in_an_error_with_their_outputs(run: Run, keeper: Keeper) -> None:
    async def cells() -> None:
        session = await keeper.session()
        ended, outputs = await session.run_cell(keeper, "one", "print(6 * 7)", limit=LONG)
        assert (ended, outputs) == ("well", ({"output_type": "stream", "name": "stdout", "text": "42\n"},))
        ended, outputs = await session.run_cell(keeper, "two", "1 / 0", limit=LONG)
        assert (ended, outputs[0]["ename"]) == ("error", "ZeroDivisionError")
        await session.channel.close()

    run(cells())


def test_a_late_cell_is_interrupted_and_the_notebook_goes_on(run: Run, keeper: Keeper) -> None:
    async def cells() -> None:
        session = await keeper.session()
        ended, outputs = await session.run_cell(keeper, "one", "x = 1\nwhile True: pass", limit=SHORT)
        assert ended == "late"
        assert outputs[-1]["ename"] == "KeyboardInterrupt"
        ended, outputs = await session.run_cell(keeper, "two", "x", limit=LONG)
        assert (ended, outputs[0]["data"]["text/plain"]) == ("well", "1")
        await session.channel.close()

    run(cells())


def test_a_cell_that_ignores_the_interrupt_is_stuck_and_can_be_swept_away(
    run: Run, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, gone: HasEnded
) -> None:
    monkeypatch.setattr("proctor.keeper.GRACE", SHORT)
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"

    async def cells() -> None:
        session = await keeper.session()
        assert await session.run_cell(keeper, "one", deaf, limit=SHORT * 5) == ("stuck", ())
        await keeper.sweep()
        assert gone(session.pid)
        assert not session.is_alive()
        assert await keeper.ending(session.pid) == "by SIGKILL"
        await session.channel.close()

    run(cells())


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("import os\nos._exit(0)", ""),
        ("import os\nos._exit(3)", ""),
        ("import os\nos.kill(os.getpid(), 9)", "by SIGKILL"),
        ("import ctypes\nctypes.string_at(0)", "by SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGRTMIN + 3)", ""),
    ],
)
def test_a_cell_that_ends_the_process_is_gone(
    run: Run, keeper: Keeper, gone: HasEnded, source: str, ending: str
) -> None:
    async def cells() -> None:
        session = await keeper.session()
        with pytest.raises(Gone, match="the process has ended"):
            await session.run_cell(keeper, "one", source, limit=LONG)
        assert not session.is_alive()
        assert gone(session.pid)
        assert await keeper.ending(session.pid) == ending
        await session.channel.close()

    run(cells())


def test_how_a_session_ended_is_known_as_soon_as_it_has(run: Run, keeper: Keeper) -> None:
    async def asks_first() -> str:
        session = await keeper.session()
        asked = asyncio.create_task(keeper.ending(session.pid))
        await asyncio.sleep(0)
        await keeper.sweep([session.pid])  # answered, so the question before it was answered too: not yet
        os.kill(session.pid, signal.SIGKILL)
        await session.channel.close()
        return await asked

    assert run(asks_first()) == "by SIGKILL"


def test_a_session_that_waits_is_alive_and_one_that_talks_unasked_is_not(run: Run, keeper: Keeper) -> None:
    talks = """
import os, threading
pid = os.fork()
if pid == 0:
    for fd in range(3, 50):
        try: os.write(fd, b"GDW1")
        except OSError: pass
    os._exit(0)
os.waitpid(pid, 0)
"""

    async def cells() -> None:
        session = await keeper.session()
        assert session.is_alive()
        await session.run_cell(keeper, "one", "x = 1", limit=LONG)
        assert session.is_alive()
        with pytest.raises(Gone, match="no valid message"):
            await session.run_cell(keeper, "two", talks, limit=LONG)
        assert not session.is_alive()
        await session.channel.close()

    run(cells())


@pytest.mark.parametrize("value", [None, 7, "text", {"a": 1}, [], [1, "x", None]])
def test_outputs_that_are_none_are_left_out(run: Run, value: Any) -> None:
    """The student's process sends them."""
    ours, theirs = socket.socketpair()

    async def cells() -> Any:
        session = Session(Channel(ours), 1)
        rig.wire.send(theirs, {"ended": 7}, {"outputs": value})
        try:
            return await session.run_cell(Keeper(session.channel), "one", "x", limit=LONG)
        finally:
            await session.channel.close()

    with theirs:
        assert run(cells()) == ("error", ())


def test_sweeping_keeps_whom_it_is_told_to(run: Run, keeper: Keeper, gone: HasEnded) -> None:
    async def sweep() -> None:
        first, second = await keeper.session(), await keeper.session()
        await keeper.sweep([first.pid])
        assert gone(second.pid)
        assert first.is_alive()
        await keeper.sweep()
        assert gone(first.pid)
        for each in (first, second):
            await each.channel.close()

    run(sweep())


def test_a_keeper_that_is_gone_is_our_own_fault(run: Run, keeper: Keeper, room: Any, gone: HasEnded) -> None:
    os.kill(room.pid, signal.SIGKILL)
    assert gone(room.pid)
    with pytest.raises(EngineError, match="the sandbox does not answer") as caught:
        run(keeper.sweep())
    assert (caught.value.where, caught.value.todo) == ("sweep", "grade again")


def test_a_keeper_that_does_not_answer_is_our_own_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)

    async def prepare() -> None:
        monkeypatch.setattr("proctor.keeper.IMPORTS", SHORT)
        with pytest.raises(EngineError, match=r"the sandbox does not answer \(0 s\)"):
            await Keeper(channel).prepare(["math"])
        await channel.close()

    with theirs:
        run(prepare())
