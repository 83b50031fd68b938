"""Whatever bytes come, `read` gives a value, or says that they are malformed or that the other side is gone."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.inside import wire

QUICK = settings(max_examples=200, deadline=None)
MIB = 2**20

SAMPLE: dict[str, object] = {
    "plain": [None, True, -3, 2**70, 0.5, float("nan"), 1 - 2j, complex("inf"), "a", b"bytes", "long" * 300],
    "kinds": {"tuple": (1, (2,)), "set": {1, "a", (2, b"k")}, 3.5: {}, (1, "k"): [[[]]]},
    "arrays": [np.arange(6.0).reshape(2, 3), np.array(True), np.zeros((0, 2), "c8"), np.float32(1.5), np.bool(False)],
    "tensors": (
        torch.arange(4).reshape(2, 2),
        torch.tensor([True, False]),
        torch.zeros(0),
        torch.tensor(1.0).bfloat16(),
    ),
}


def framed(header: object, body: bytes = b"") -> bytes:
    """Return the bytes of a frame with a header of one's own, and honest lengths in its prefix."""
    raw = (
        header if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
    return wire.PREFIX.pack(wire.MAGIC, len(raw), len(body)) + raw + body


def holding(tree: object, *buffers: bytes) -> bytes:
    """Return the bytes of a frame whose only value has this tree."""
    return framed({"m": {}, "v": {"x": tree}, "b": [len(buffer) for buffer in buffers]}, b"".join(buffers))


def reading(data: bytes, *, cap: int = wire.MAX_BYTES) -> Any:
    """Return what `read` makes of these bytes, after which the other side closes: values or the error it raised."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(10)
        there.settimeout(10)
        writer = threading.Thread(target=_pour, args=(here, data))
        writer.start()
        try:
            return wire.read(there, cap=cap)[1]
        except (wire.WireError, EOFError) as error:
            return error
        finally:
            there.close()
            writer.join()


def _pour(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the reader has seen enough


def valid() -> bytes:
    here, there = socket.socketpair()
    with here, there:
        wire.send(here, {"ended": "well", "lost": {"net": "Linear"}}, SAMPLE)
        return there.recv(MIB)


VALID = valid()
_, WORDS, BODY = wire.PREFIX.unpack(VALID[: wire.PREFIX.size])
HEADER = VALID[wire.PREFIX.size : -BODY]
CONTENTS = VALID[-BODY:]


def is_fair(outcome: Any) -> bool:
    """Say whether an outcome is one of the three that may be; the words of an error stay short."""
    if isinstance(outcome, wire.WireError):
        return len(str(outcome)) <= 120 and "\n" not in str(outcome)
    return isinstance(outcome, EOFError) or type(outcome) is dict


def test_the_frame_that_is_spoiled_below_is_valid() -> None:
    assert list(reading(VALID)) == list(SAMPLE)


# Bytes


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    assert isinstance(reading(data), wire.WireError | EOFError)


@QUICK
@given(st.binary(max_size=300), st.binary(max_size=100))
def test_random_headers(header: bytes, body: bytes) -> None:
    assert isinstance(reading(framed(header, body)), wire.WireError)


@QUICK
@given(st.data())
def test_flipped_bytes(data: st.DataObject) -> None:
    spoiled = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 8))):
        spoiled[data.draw(st.integers(0, len(VALID) - 1))] ^= data.draw(st.integers(1, 255))
    assert is_fair(reading(bytes(spoiled), cap=MIB))


@QUICK
@given(st.integers(0, len(VALID) - 1))
def test_cut_frames(length: int) -> None:
    assert isinstance(reading(VALID[:length]), EOFError)


@QUICK
@given(st.data())
def test_spliced_headers_and_bodies(data: st.DataObject) -> None:
    """With lengths in the prefix that are right again, so that what stands behind them is reached."""
    header, body = HEADER, CONTENTS
    for _ in range(data.draw(st.integers(1, 4))):
        start, end, to = (data.draw(st.integers(0, len(header))) for _ in range(3))
        header = header[:to] + header[start:end] + header[max(to, data.draw(st.integers(0, len(header)))) :]
    body = body[: data.draw(st.integers(0, len(body)))] + data.draw(st.binary(max_size=20))
    assert is_fair(reading(framed(header, body)))


# Headers that are JSON and lie

DTYPES = st.sampled_from(
    [*wire.NUMPY_SIZES, *wire.TORCH_SIZES, "O8", "V8", "U4", "M8", "f16", "object", "qint8", "f8,f8"]
)
KINDS = st.sampled_from(
    ["float", "complex", "text", "bytes", "list", "tuple", "set", "dict", "scalar", "array", "tensor"]
)
NUMBERS = st.integers(-2, 70) | st.sampled_from([2**31, 2**62, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308])
ATOMS = (
    st.none()
    | st.booleans()
    | NUMBERS
    | DTYPES
    | KINDS
    | st.text(max_size=3)
    | st.sampled_from(["0" * 16, "ff", "\ud800"])
)
NODES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.builds(lambda kind, parts: [kind, *parts], KINDS, st.lists(inner, max_size=4))
        | st.builds(lambda kind, dtype, shape: [kind, dtype, shape], KINDS, DTYPES, st.lists(NUMBERS, max_size=3))
    ),
    max_leaves=8,
)


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place below a part of a header, as what holds it and its key there."""
    for key in list(part) if type(part) is dict else range(len(part)):
        yield part, key
        if type(part[key]) in (dict, list):
            yield from places(part[key])


@QUICK
@given(st.data())
def test_changed_headers(data: st.DataObject) -> None:
    header = json.loads(HEADER.decode("utf-8", "surrogatepass"))
    for _ in range(data.draw(st.integers(1, 3))):
        everywhere = list(places(header))
        part, key = everywhere[data.draw(st.integers(0, len(everywhere) - 1))]
        change = data.draw(st.sampled_from(["replace", "replace", "delete", "copy"]))
        if change == "replace":
            part[key] = data.draw(NODES)
        elif change == "delete":
            del part[key]
        elif type(part) is list:
            part.insert(key, part[key])
    assert is_fair(reading(framed(header, CONTENTS)))


@QUICK
@given(NODES, st.lists(st.binary(max_size=40), max_size=4))
def test_invented_trees(tree: object, buffers: list[bytes]) -> None:
    assert is_fair(reading(holding(tree, *buffers)))


@QUICK
@given(
    st.sampled_from(["array", "tensor", "scalar"]),
    DTYPES,
    st.lists(st.integers(0, 4), max_size=4),
    st.binary(max_size=64),
)
def test_invented_arrays(kind: str, dtype: str, shape: list[int], contents: bytes) -> None:
    assert is_fair(reading(holding([kind, dtype, shape], contents)))


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, "a JSON object stands in the place of a value"),
        ([], "there is no kind of value ''"),
        ([["list"]], "there is no kind of value ''"),
        (["object" * 100], "there is no kind of value 'objectobjectobj"),
        (["list", ["tuple", ["\x1b\n"]]], r"there is no kind of value '\\x1b\\n'"),
        (9 * 10**1233, "an int has more than 4096 bits"),
        (10**1300, "a number has more than 1235 digits"),
        (["float"], "a value has not the parts that its kind needs"),
        (["float", 1], "a value has not the parts that its kind needs"),
        (["float", "zz"], "a number is not hexadecimal"),
        (["float", "00"], "a number has 1 bytes instead of 8"),
        (["complex", 1.0], "a value has not the parts that its kind needs"),
        (["complex", 1, 2], "a value has not the parts that its kind needs"),
        (["complex", 1.0, ["list"]], "a value has not the parts that its kind needs"),
        (["text"], "a text is not UTF-8"),
        (["text", 0], "a value has not the parts that its kind needs"),
        (["list", ["bytes"], ["bytes"]], "a buffer is missing"),
        (["list"], "a buffer is left over"),
        (["dict", 1], "a key has no value"),
        (["dict", ["list"], 1], "a key or a member of a set is of the wrong kind"),
        (["dict", {}, 1], "a JSON object stands in the place of a value"),
        (["dict", ["tuple", ["set"]], 1], "a key or a member of a set is of the wrong kind"),
        (["dict", 1, 1, True, 1], "a key stands in a value twice"),
        (["set", ["tensor", "uint8", [4]]], "a key or a member of a set is of the wrong kind"),
        (["set", 0, 0.0], "a key stands in a value twice"),
        (["scalar", "f8", "00"], "a number has 1 bytes instead of 8"),
        (["scalar", "O8", "00" * 8], "there is no dtype 'O8'"),
        (["array", "f4", [-1]], "a shape is not a list of at most 64 sizes"),
        (["array", "f4", [True]], "a shape is not a list of at most 64 sizes"),
        (["array", "f4", [1.0]], "a shape is not a list of at most 64 sizes"),
        (["tensor", "float32", [1] * 65], "a shape is not a list of at most 64 sizes"),
        (["tensor", "float32", [0, 2**62]], "a shape needs more than 281,474,976,710,656 bytes"),
        (["array", "f4", [2**32, 2**32]], "a shape needs more than 281,474,976,710,656 bytes"),
        (["array", "f4", [2**40]], "a buffer has 4 bytes where its shape needs 4398046511104"),
        (["tensor", "float64", [1]], "a buffer has 4 bytes where its shape needs 8"),
        (["tensor", "load", [1]], "there is no dtype 'load'"),
        (["array", "b1", {}], "a value has not the parts that its kind needs"),
    ],
    ids=lambda part: ascii(part)[:30],
)
def test_a_lie_is_named(tree: object, words: str) -> None:
    error = reading(holding(tree, b"\xff\xfe\xfd\xfc"))
    assert type(error) is wire.WireError
    assert str(error).startswith(words.replace(r"\\", "\\"))
    assert is_fair(error)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "the header is not JSON"),
        (b"\xff", "the header is not JSON"),
        (b"[" * 100_000, "the header is nested too deeply"),
        (b'{"m":' * 100_000, "the header is nested too deeply"),
        (b'{"m":NaN}', "NaN is not JSON"),
        (b'{"m":-Infinity}', "-Infinity is not JSON"),
        (b'{"m":{"a":1,"a":2},"v":{},"b":[]}', "a key of the header stands there twice"),
        (b'{"m":{},"m":{},"v":{},"b":[]}', "a key of the header stands there twice"),
        (b'{"m":{},"v":{},"b":[],"c":1}', "the header has not the three parts of a frame"),
        (b"[]", "the header has not the three parts of a frame"),
        (b'{"m":[],"v":{},"b":[]}', "a part of the header is of the wrong type"),
        (b'{"m":{},"v":[],"b":[]}', "a part of the header is of the wrong type"),
        (b'{"m":{},"v":{},"b":{}}', "a part of the header is of the wrong type"),
        (b'{"m":{},"v":{},"b":[1]}', "the lengths of the buffers do not add up to the body"),
        (b'{"m":{},"v":{},"b":[-1,1]}', "the lengths of the buffers do not add up to the body"),
        (b'{"m":{},"v":{},"b":[0.0]}', "the lengths of the buffers do not add up to the body"),
        (b'{"m":{},"v":{},"b":[false]}', "the lengths of the buffers do not add up to the body"),
        (b'{"m":{},"v":{},"b":[0]}', "a buffer is left over"),
        (b'{"m":{"a":' + b"[" * 60 + b"]" * 60 + b'},"v":{},"b":[]}', "the message is nested more than 50 deep"),
        (b'{"m":{"a":1' + b"0" * 2000 + b'},"v":{},"b":[]}', "a number has more than 1235 digits"),
        (b'{"m":{"a":1.' + b"0" * 2000 + b'},"v":{},"b":[]}', "a number has more than 32 characters"),
    ],
    ids=lambda part: ascii(part)[:30],
)
def test_a_header_that_is_none_is_named(header: bytes, words: str) -> None:
    error = reading(framed(header))
    assert type(error) is wire.WireError
    assert str(error) == words


def test_a_value_nested_too_deeply_is_no_danger() -> None:
    for kind in ["list", "tuple", "set", "complex", "dict"]:
        tree: object = ["list"]
        for _ in range(300):
            tree = [kind, tree, 1] if kind == "dict" else [kind, tree]
        assert type(reading(holding(tree))) is wire.WireError
    tree = 0
    for _ in range(300):
        tree = ["tuple", tree]
    assert str(reading(holding(["set", tree]))) == "a value is nested more than 50 deep"


def test_keys_that_were_chosen_to_collide_are_refused() -> None:
    prime = 2**61 - 1  # Python's hash of an int is its remainder
    keys = [5 + prime * factor for factor in range(65)]
    assert len(reading(holding(["set", *keys[:64]]))["x"]) == 64
    for tree in [["set", *keys], ["dict", *(part for key in keys for part in (key, 0))]]:
        assert str(reading(holding(tree))) == "more than 64 keys have the same hash"


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_keys_whose_comparison_fails_are_refused() -> None:
    prime = 2**61 - 1
    infinite, huge = ["scalar", "f8", np.float64("inf").tobytes().hex()], hash(float("inf")) + prime * 10**400
    assert str(reading(holding(["set", infinite, huge]))) == "two keys cannot be told apart"


# Announcements


def peak(data: bytes) -> tuple[int, Any]:
    """Return the most memory that reading these bytes took, and what came of it."""
    tracemalloc.start()
    try:
        outcome = reading(data)
        return tracemalloc.get_traced_memory()[1], outcome
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("words", "body"), [(wire.MAX_JSON, 0), (2, wire.MAX_BYTES), (wire.MAX_JSON, wire.MAX_BYTES)], ids=str
)
def test_what_is_announced_and_does_not_come_takes_no_memory(words: int, body: int) -> None:
    taken, outcome = peak(wire.PREFIX.pack(wire.MAGIC, words, body) + b"{}        ")
    assert isinstance(outcome, EOFError | wire.WireError)
    assert taken < 4 * MIB
    header = framed({"m": {}, "v": {"x": ["bytes"]}, "b": [wire.MAX_BYTES]})[wire.PREFIX.size :]
    taken, outcome = peak(wire.PREFIX.pack(wire.MAGIC, len(header), wire.MAX_BYTES) + header + b"ten bytes!")
    assert type(outcome) is EOFError
    assert taken < 4 * MIB


@pytest.mark.parametrize(
    ("words", "body"), [(wire.MAX_JSON + 1, 0), (2, wire.MAX_BYTES + 1), (2**64 - 1, 2**64 - 1)], ids=str
)
def test_what_is_over_a_cap_is_refused_by_its_announcement(words: int, body: int) -> None:
    taken, outcome = peak(wire.PREFIX.pack(wire.MAGIC, words, body))
    assert (
        str(outcome) == f"a frame of {words} and {body} bytes is over the caps of {wire.MAX_JSON} and {wire.MAX_BYTES}"
    )
    assert taken < MIB


def test_a_shape_without_its_contents_takes_no_memory() -> None:
    for tree in [["array", "f8", [2**30]], ["tensor", "float64", [2**10, 2**20]], ["array", "f8", [2**27, 0]]]:
        taken, outcome = peak(holding(tree, b"12345678"))
        assert type(outcome) is wire.WireError
        assert taken < 2 * MIB


def test_a_bomb_of_empty_lists_is_refused_before_it_is_parsed() -> None:
    bomb = b"[" + b"[]," * 8_000_000 + b"[]]"
    taken, outcome = peak(framed(bomb))
    assert str(outcome) == "the header holds too many values"
    assert taken < 4 * len(bomb)


def test_more_values_than_the_cap_are_refused() -> None:
    assert str(reading(framed(b'{"m":{},"v":{"x":["list"' + b",0" * 1_000_000 + b']},"b":[]}'))) == (
        "there are more than 1,000,000 values"
    )
