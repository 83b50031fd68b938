"""One question there, one answer back; what has become of the other end is told in one clause."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from proctor.channel import Channel, Gone, channel_pair
from proctor.inside import wire

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Pair = tuple[Channel, socket.socket]


@pytest.fixture
def pair(run: Run) -> Iterator[Pair]:
    ours, theirs = channel_pair()
    yield ours, theirs
    theirs.close()
    run(ours.close())


def answering(sock: socket.socket, answers: list[bytes]) -> threading.Thread:
    """Answer each message with the next of these bytes, in a thread."""

    def serve() -> None:
        for answer in answers:
            wire.read(sock)
            sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def frame(message: dict[str, Any], **values: Any) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours, message, values)
        return theirs.recv(10_000)


def test_a_question_gets_its_answer(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    thread = answering(theirs, [frame({"a": 1}, x=(2, 3)), frame({"b": 2})])
    assert run(channel.ask({"do": "it"})) == ({"a": 1}, {"x": (2, 3)})
    assert run(channel.ask({"do": "it"}, {"y": 1})) == ({"b": 2}, {})
    thread.join()


def test_descriptors_follow_the_message(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    read_end, write_end = os.pipe()
    got: list[int] = []

    def serve() -> None:
        wire.read(theirs)
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 2)
        got.extend(descriptors)
        wire.send(theirs, {"ok": True}, {})

    thread = threading.Thread(target=serve)
    thread.start()
    assert run(channel.ask({"do": "it"}, descriptors=(read_end, write_end))) == ({"ok": True}, {})
    thread.join()
    os.write(got[1], b"x")
    assert os.read(got[0], 1) == b"x"
    for each in (read_end, write_end, *got):
        os.close(each)


def test_what_comes_unasked_can_be_heard(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    theirs.sendall(frame({"a": 1}, x=2))
    assert run(channel.hear()) == ({"a": 1}, {"x": 2})


def test_a_cancelled_question_stays_open_and_its_answer_can_be_waited_for(run: Run, pair: Pair) -> None:
    channel, theirs = pair

    async def ask_late() -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await channel.ask({"do": "it"})
        assert (await asyncio.to_thread(wire.read, theirs))[0] == {"do": "it"}
        theirs.sendall(frame({"late": True}))
        return await channel.answer()

    assert run(ask_late()) == ({"late": True}, {})


def test_without_a_question_there_is_no_answer(run: Run, pair: Pair) -> None:
    with pytest.raises(AssertionError, match="no question is open"):
        run(pair[0].answer())


def test_a_closed_end_is_told(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    theirs.close()
    with pytest.raises(Gone, match=r"^the process (has ended|cannot be reached \(Broken pipe\))$"):
        run(channel.ask({"do": "it"}))


def test_an_end_that_closes_instead_of_answering_is_told(run: Run, pair: Pair) -> None:
    channel, theirs = pair

    def serve() -> None:
        wire.read(theirs)
        theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(Gone, match=r"^the process has ended$"):
        run(channel.ask({"do": "it"}))
    thread.join()


@pytest.mark.parametrize("nonsense", [b"x" * 100, b"GDW1" + b"\xff" * 16, frame({"a": 1})[:20] + b"{" * 100])
def test_nonsense_is_told(run: Run, pair: Pair, nonsense: bytes) -> None:
    channel, theirs = pair
    theirs.sendall(nonsense)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Gone, match=r"^the process sent no valid message: "):
        run(channel.ask({"do": "it"}))


def test_half_a_message_is_an_end(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    theirs.sendall(frame({"a": 1})[:-1])
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Gone, match=r"^the process has ended$"):
        run(channel.hear())


def test_closing_ends_an_open_question_and_leaves_no_thread(run: Run) -> None:
    channel, theirs = channel_pair()

    async def leave_open() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await channel.hear()
        await channel.close()

    with theirs:
        run(leave_open())
        assert theirs.recv(1) == b""
    assert channel.socket.fileno() == -1


def test_what_cannot_cross_is_refused_before_anything_is_sent(run: Run, pair: Pair) -> None:
    channel, theirs = pair
    with pytest.raises(wire.CannotCross, match="object at x cannot cross"):
        run(channel.ask({"do": "it"}, {"x": object()}))
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_those_who_wait_in_vain_keep_nobody_waiting(run: Run, pair: Pair) -> None:
    """Hung code, however much of it, takes no thread from another."""
    channel, theirs = pair
    hung = [channel_pair() for _ in range(60)]
    thread = answering(theirs, [frame({"a": 1})])

    async def ask() -> dict[str, Any]:
        waiting = [asyncio.create_task(ours.ask({"do": "it"})) for ours, _ in hung]
        await asyncio.sleep(0)
        answer, _ = await channel.ask({"do": "it"})
        for task, (ours, _) in zip(waiting, hung, strict=True):
            await ours.close()
            with pytest.raises(Gone):
                await task
        return answer

    assert run(ask()) == {"a": 1}
    thread.join()
    for _, end in hung:
        end.close()
