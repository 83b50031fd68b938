"""Whatever a student's process sends, the judge reads plain values of its own or says that it cannot be read."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from proctor.channel import Channel, Gone
from proctor.inside import wire
from proctor.judge.trial import Said, Trial, try_test

from .cases import Case, Cases
from .replies import Reply, arriving, reply, spoiled

TESTS = Path(__file__).resolve().parents[1]
PLAIN = (type(None), bool, int, float, complex, str, bytes)
NUMPY = {np.dtype("<" + code) for code in wire.NUMPY_SIZES}
TORCH = {getattr(torch, name) for name in wire.TORCH_SIZES if hasattr(torch, name)}
PER_BYTE = 40  # bytes of memory for one byte received: what the longest row of `{},` needs as objects, times 1.7
LEAST = 5 * 2**18  # bytes: the buffer of 1 MiB through which everything is read, and some

EXPECTED = 7_306_114_593  # what no reply here holds
SEALED = {
    "compares": "assert answer == EXPECTED, f'it is {answer!r}'",
    "computes": "assert abs(answer - EXPECTED) < 1, 'too far away'",
    "converts": "assert float(answer) == EXPECTED and int(answer) and str(answer)",
    "looks inside": "assert len(answer) == 7 and sum(answer) == EXPECTED and [each for each in answer]",
    "looks up": "assert answer['a'][0].item() == EXPECTED",
    "takes it for a tensor": "assert answer.shape == (7,) and answer.sum() == EXPECTED and (answer == EXPECTED).all()",
    "forgives": "try:\n    answer += 1\nexcept Exception:\n    answer = None\nassert answer == EXPECTED",
}


def reading(data: bytes) -> Any:
    """Return the values of a frame, or the error that reading it may raise."""
    with arriving(data) as sock:
        try:
            return wire.read(sock)
        except (wire.WireError, EOFError) as error:
            return error


def parts(value: Any) -> Iterator[Any]:
    """Yield a value and all values inside it."""
    yield value
    inside = [*value, *value.values()] if type(value) is dict else value if type(value) in (list, tuple, set) else ()
    for each in inside:
        yield from parts(each)


def contents(value: Any) -> int:
    """Return the bytes of contents of one part; fail if it is of no documented kind."""
    kind = type(value)
    if kind in (list, tuple, set, dict) or kind in PLAIN:
        return len(value) if kind is bytes else len(value.encode("utf-8", "surrogatepass")) if kind is str else 0
    if kind is torch.Tensor:
        assert value.dtype in TORCH
        assert (value.device.type, value.layout, value.requires_grad) == ("cpu", torch.strided, False)
        assert value.is_contiguous()
        return int(value.nbytes)
    assert kind is np.ndarray or isinstance(value, np.generic), f"{kind} came over the wire"
    assert value.dtype in NUMPY
    assert kind is not np.ndarray or (value.flags.c_contiguous and value.flags.writeable)
    return int(value.nbytes)


def check_read(outcome: Any, data: bytes) -> str:
    """Check what came of reading these bytes, and return a word for it."""
    if isinstance(outcome, Exception):
        assert str(outcome).isprintable()
        assert 0 < len(str(outcome)) <= 200
        return "refused"
    message, values = outcome
    assert type(message) is type(values) is dict
    json.dumps(message, allow_nan=True)
    assert all(type(part) in (dict, list, *PLAIN[:4], str) for part in parts(message))
    assert sum(contents(part) for part in parts(values)) <= len(data)
    return "judged"


def test_any_spoiled_reply_gives_plain_values_or_is_refused(cases: Cases) -> None:
    for case in cases.each():
        with cases.running(case):
            data = spoiled(case.rng, reply(case.rng)).data
            outcome = reading(data)
            case.count(check_read(outcome, data), str(outcome) if isinstance(outcome, Exception) else "")


def test_a_reply_takes_no_more_memory_than_its_bytes_account_for(cases: Cases) -> None:
    """What Python and NumPy allocate is counted here; what torch does is measured by the test below."""
    tracemalloc.start()
    try:
        for case in cases.each(one_in=4):
            with cases.running(case):
                check_memory(case)
    finally:
        tracemalloc.stop()


def check_memory(case: Case) -> None:
    one = spoiled(case.rng, reply(case.rng))
    data = one.data
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    outcome = reading(data)
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before <= max(LEAST, PER_BYTE * len(data)), f"{peak - before:,} bytes for {len(data):,}"
    case.count("refused" if isinstance(outcome, Exception) else "judged")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its memory")
def test_a_process_without_memory_to_spare_reads_every_reply_and_runs_nothing(cases: Cases) -> None:
    seed, count, only = cases.settings.seed, cases.settings.count, cases.settings.only
    numbers = [str(count)] if only is None else [str(count), str(only)]
    command = [sys.executable, "-m", "fuzz.starved", str(seed), *numbers]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not said["wrong"], f"{said['wrong']}\n{done.stderr}\n{cases.again(said['case'])}"
    cases.tally.outcomes.update(said["outcomes"])


def test_what_follows_a_reply_does_not_change_it(cases: Cases) -> None:
    for case in cases.each(one_in=10):
        with cases.running(case):
            one = reply(case.rng)
            junk = case.rng.choice((case.rng.randbytes(60), one.data[:30], b"\0" * 99))
            with arriving(one.data + junk) as sock:
                message, values = wire.read(sock)
                assert (message, spelled(values)) == (reading(one.data)[0], spelled(reading(one.data)[1]))
                with pytest.raises((wire.WireError, EOFError)):
                    wire.read(sock)
            case.count("judged")


def spelled(value: Any) -> object:
    """Return a form in which two values are equal only if type and every bit agree."""
    if type(value) in (list, tuple):
        return type(value), [spelled(each) for each in value]
    if type(value) is dict:
        return dict, [(spelled(key), spelled(each)) for key, each in value.items()]
    if type(value) is set:
        return set, sorted(map(repr, map(spelled, value)))
    if type(value) is torch.Tensor:
        return value.dtype, value.shape, value.flatten().view(torch.uint8).tolist()
    if isinstance(value, np.ndarray | np.generic):
        return type(value), value.dtype, value.shape, value.tobytes()
    return type(value), struct.pack("<d", value) if type(value) is float else repr(value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")  # of overflows
def test_no_spoiled_reply_passes_a_test_or_escapes_the_judge(cases: Cases) -> None:
    for case in cases.each():
        with cases.running(case):
            kind = case.rng.choice(list(SEALED))
            source = sealed(kind)
            data = spoiled(case.rng, reply(case.rng)).data
            with arriving(data) as sock:
                said = try_test(Trial(source, "solve-test", chance="secret"), sock, space={}, opening=())
            check_said(said)
            assert (said.state == "crashed") == isinstance(reading(data), Exception)
            case.count(said.state, said.message.partition(": ")[0] if said.state == "crashed" else "")


def test_the_tests_that_no_spoiled_reply_passes_are_passed_by_the_right_answer() -> None:
    for kind, value in {"compares": EXPECTED, "looks up": {"a": torch.tensor([EXPECTED])}}.items():
        header, buffers = wire.encode(value)
        tree = {"m": {"ended": "well"}, "v": {"answer": header}, "b": [len(each) for each in buffers]}
        with arriving(Reply(json.dumps(tree).encode(), b"".join(buffers)).data) as sock:
            source = sealed(kind)
            assert try_test(Trial(source, "solve-test", chance="secret"), sock, space={}, opening=()).state == "passed"


def sealed(kind: str) -> str:
    return f"with student:\n    answer = solve(3)\n{SEALED[kind]}".replace("EXPECTED", str(EXPECTED))


def check_said(said: Said) -> None:
    assert said.state in ("failed", "crashed")
    assert said.message.strip()
    for text in (said.message, said.device, said.printed):
        text.encode()
        assert len(text) <= 4_000
    assert said.share is None


def test_the_channel_gives_a_message_or_says_that_the_other_end_is_gone(cases: Cases) -> None:
    with asyncio.Runner() as runner:
        for case in cases.each(one_in=10):
            with cases.running(case), arriving(spoiled(case.rng, reply(case.rng)).data) as sock:
                outcome, why = runner.run(hearing(Channel(sock)))
                assert why.isprintable()
                case.count(outcome, why)


async def hearing(channel: Channel) -> tuple[str, str]:
    try:
        await channel.hear()
        return "judged", ""
    except Gone as gone:
        return "refused", str(gone)
    finally:
        await channel.close()


def test_an_honest_reply_is_read_whole(cases: Cases) -> None:
    """What is spoiled above is valid before."""
    for case in cases.each(one_in=10):
        with cases.running(case):
            one = reply(case.rng)
            assert check_read(reading(one.data), one.data) == "judged"
            assert isinstance(reading(one.data[: case.rng.randrange(len(one.data))]), EOFError)


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_every_lying_shape_is_refused_before_anything_is_made(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents of eight bytes under shapes that need more: `empty` is never called."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was allocated")

    monkeypatch.setattr(np, "empty", never)
    monkeypatch.setattr(torch, "empty", never)
    for shape in ([2], [2**30], [2**20, 2**20], [3, 0, 2**50], [2**62, 4], [-1], [math.inf], [1] * 65):
        header = {"m": {}, "v": {"x": [kind, "f8" if kind == "array" else "float64", shape]}, "b": [8]}
        outcome = reading(Reply(json.dumps(header).encode(), bytes(8)).data)
        assert type(outcome) is wire.WireError, shape
