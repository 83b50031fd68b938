"""Answers as a student's process sends them, packed by `wire`, and then spoiled: frames that lie anywhere in them."""

from __future__ import annotations

import builtins
import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from proctor.inside import wire

from .mutate import RAW, as_text, nest, odd_value, places, spoil_bytes, spoil_tree

__all__ = ["Reply", "arriving", "reply", "spoiled"]

LONGEST = 100_000  # bytes: a socket takes so many before anybody reads
KINDS = ("float", "complex", "text", "bytes", "list", "tuple", "set", "dict", "scalar", "array", "tensor")
DTYPES = (
    *(*wire.NUMPY_SIZES, *wire.TORCH_SIZES, "O8", "V8", "U4", "M8[s]", "f16", "object", "qint8", "f8,f8", ">f8", ""),
    *("Tensor", "_C", "__class__", "f8" * 200, "\ud800", "i4 ", "?", "O", "<O8", "classes", "Generator", "load"),
)  # fmt: skip
SIZES = (0, 1, 2, 3, 7, -1, 2**31, 2**32, 2**40, 2**48, 2**62, 2**63, 2**64, 10**300, True, None, 1.0, "2", [1])
ANNOUNCED = (0, 1, 2, 20, 2**20, wire.MAX_JSON, wire.MAX_JSON + 1, wire.MAX_BYTES, wire.MAX_BYTES + 1, 2**63, 2**64 - 1)
NAMES = (
    *(name for name in dir(builtins) if name[0].isupper()),
    "__doc__",
    "print",
    "type",
    "",
    "\ud800",
    "a\0b",
    "x" * 99,
)
Spoil = Callable[[random.Random, "Reply"], "Reply"]


@dataclass(frozen=True)
class Reply:
    """A frame in its parts; what the prefix says of their lengths is true unless it was changed."""

    header: bytes
    body: bytes
    behind: bytes = b""
    magic: bytes = wire.MAGIC
    words: int | None = None  # what is said of the header's length; None for the truth
    length: int | None = None  # and of the body's
    cut: int | None = None  # where it breaks off

    @property
    def data(self) -> bytes:
        """What goes through the socket."""
        words = len(self.header) if self.words is None else self.words
        length = len(self.body) if self.length is None else self.length
        whole = wire.PREFIX.pack(self.magic, words, length) + self.header + self.body + self.behind
        return whole[: LONGEST if self.cut is None else self.cut]

    def tree(self) -> Any:
        """Return the parsed header."""
        return json.loads(self.header.decode("utf-8", "surrogatepass"))

    def with_tree(self, rng: random.Random, tree: Any) -> Reply:
        """Return the reply with another header."""
        return replace(self, header=as_text(rng, tree).encode("utf-8", "surrogatepass"))


def reply(rng: random.Random) -> Reply:
    """Return an honest answer to a block, as `wire` writes it, with values of any kind under the name `answer`."""
    if rng.random() < 0.2:
        return _packed(_raised(rng), {})
    answer: dict[str, Any] = {
        "ended": "well",
        "device": rng.choice(("", "cpu", "cuda:0")),
        "printed": "text\n",
        "refused": {},
    }
    values = {name: _value(rng, 3) for name in rng.choice((["answer"], ["answer"], ["other", "answer"], []))}
    return _packed(answer, values)


def _raised(rng: random.Random) -> dict[str, Any]:
    name = rng.choice(NAMES)
    where = {"place": "forward", "line": 3, "frames": '  File "<cell forward>", line 3\n'}
    return {"ended": "raised", "type": name, "builtin": name, "says": "no", **where, "printed": ""}


def _packed(message: dict[str, Any], values: dict[str, Any]) -> Reply:
    here, there = socket.socketpair()
    with here, there:
        wire.send(here, message, values)
        data = there.recv(LONGEST)
    _, words, body = wire.PREFIX.unpack(data[: wire.PREFIX.size])
    start = wire.PREFIX.size + words
    assert len(data) == start + body
    return Reply(data[wire.PREFIX.size : start], data[start:])


def _value(rng: random.Random, depth: int) -> Any:
    """Return something that may cross."""
    if depth == 0 or rng.random() < 0.4:
        return rng.choice((_plain, _array, _tensor, _tensor))(rng)
    items = [_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    keys = [_plain(rng) for _ in items]
    return rng.choice((items, tuple(items), dict(zip(keys, items, strict=True)), set(keys), {(1, "k"): items}))


def _plain(rng: random.Random) -> Any:
    numbers = (
        True,
        -3,
        2**70,
        0.5,
        -0.0,
        float("inf"),
        1 - 2j,
        complex("inf"),
        rng.random(),
        np.int64(rng.getrandbits(40)),
    )
    texts = ("a", "\ud800", "höhe", b"bytes", "long" * 300)
    return rng.choice((*numbers, *texts, None, np.float32(1.5), np.bool(False)))


def _array(rng: random.Random) -> Any:
    code = rng.choice(list(wire.NUMPY_SIZES))
    shape = [rng.randint(0, 4) for _ in range(rng.randint(0, 3))]
    return np.frombuffer(rng.randbytes(int(np.prod(shape)) * wire.NUMPY_SIZES[code]), "<" + code).reshape(shape)


def _tensor(rng: random.Random) -> Any:
    name = rng.choice([name for name in wire.TORCH_SIZES if hasattr(torch, name)])
    raw = torch.tensor(list(rng.randbytes(rng.randint(0, 6) * 16)), dtype=torch.uint8)
    return (
        raw > 99 if name == "bool" else raw.view(getattr(torch, name)).reshape(*rng.choice(((-1,), (1, -1), (-1, 1))))
    )


def spoiled(rng: random.Random, honest: Reply) -> Reply:
    """Return the reply after one to three changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        honest = rng.choice(SPOILS)(rng, honest)
    return honest


def _bytes(rng: random.Random, one: Reply) -> Reply:
    """Spoil the bytes of the header, of the body or of both, with lengths that are right again."""
    header = spoil_bytes(rng, one.header) if rng.random() < 0.6 else one.header
    return replace(one, header=header, body=spoil_bytes(rng, one.body) if rng.random() < 0.2 else one.body)


def _tree(rng: random.Random, one: Reply) -> Reply:
    def change(tree: Any) -> None:
        others = (*KINDS, *DTYPES, *SIZES, ["list"], ["tensor", "float32", [2, 2]], *rng.sample(NAMES, 9))
        spoil_tree(rng, rng.choice((tree, tree, tree["m"], tree["v"])), others=others)

    return _with_changed(rng, one, change)


def _with_changed(rng: random.Random, one: Reply, change: Callable[[Any], None]) -> Reply:
    """Return the reply after a change of its parsed header; as it is if that was no header any more."""
    try:
        tree = one.tree()
        change(tree)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return one
    return one.with_tree(rng, tree)


def _node(rng: random.Random, one: Reply) -> Reply:
    """Change one part of one value: its kind, dtype, shape or depth, or how many parts it has."""

    def change(tree: Any) -> None:
        nodes = [part[key] for part, key in places(tree["v"]) if type(part[key]) is list and part[key]]
        node = rng.choice([node for node in nodes if type(node[0]) is str] or [tree["b"]])
        rng.choice((_rekind, _redtype, _reshape, _reshape, _resize, _deepen))(rng, node)

    return _with_changed(rng, one, change)


def _rekind(rng: random.Random, node: list[Any]) -> None:
    node[0] = rng.choice((*KINDS, "object", "pickle", "module", "Tensor", "", 3))


def _redtype(rng: random.Random, node: list[Any]) -> None:
    node[1:2] = [rng.choice(DTYPES)]


def _reshape(rng: random.Random, node: list[Any]) -> None:
    """Let a shape lie: one side, one more side, all anew, or with strides behind it."""
    shape = node[2] if len(node) > 2 and type(node[2]) is list else []
    lied = [*shape, rng.choice(SIZES)]
    rng.shuffle(lied)
    shapes: tuple[Any, ...] = (
        lied,
        [rng.choice(SIZES) for _ in range(rng.randint(0, 4))],
        [1] * 65,
        [0] * 64,
        [2**62, 0],
        [2] * 60,
        {},
        None,
    )
    node[2:3] = [rng.choice(shapes), *rng.choice(([], [[4, 1]], [0]))]


def _resize(rng: random.Random, node: list[Any]) -> None:
    if len(node) > 1 and rng.random() < 0.5:
        del node[rng.randrange(len(node))]
    else:
        node.insert(rng.randint(1, len(node)), odd_value(rng, DTYPES))


def _deepen(rng: random.Random, node: list[Any]) -> None:
    inner = list(node)
    for _ in range(rng.choice((1, 10, 49, 60, 300))):
        inner = [rng.choice(("list", "tuple", "set")), inner]
    node[:] = inner


def _lengths(rng: random.Random, one: Reply) -> Reply:
    def change(tree: Any) -> None:
        lengths = tree["b"]
        lengths.insert(rng.randint(0, len(lengths)), rng.choice((*SIZES, len(one.body), -len(one.body))))
        if rng.random() < 0.7:
            del lengths[rng.randrange(len(lengths))]
        rng.shuffle(lengths)

    return _with_changed(rng, one, change)


def _prefix(rng: random.Random, one: Reply) -> Reply:
    near = (len(one.header) + rng.choice((-1, 1)), len(one.body) + 1, *ANNOUNCED, *[wire.MAX_JSON, wire.MAX_BYTES] * 4)
    which = rng.choice(("words", "length", "magic"))
    if which == "magic":
        return replace(one, magic=rng.choice((b"GDW2", b"\0\0\0\0", b"PK\3\4", b"\x80\4\x95\0")))
    return replace(one, words=rng.choice(near)) if which == "words" else replace(one, length=rng.choice(near))


def _cut(rng: random.Random, one: Reply) -> Reply:
    return replace(one, cut=rng.randrange(max(len(one.data), 1)))


def _behind(rng: random.Random, one: Reply) -> Reply:
    return replace(one, behind=rng.choice((rng.randbytes(50), one.data[: LONGEST // 4], b"\0" * 500, one.data[:30])))


def _body(rng: random.Random, one: Reply) -> Reply:
    """Put other contents of the same length into the body: a bool of another byte, text that is no UTF-8."""
    return replace(one, body=rng.choice((rng.randbytes(len(one.body)), b"\xff" * len(one.body), bytes(len(one.body)))))


def _crowd(rng: random.Random, one: Reply) -> Reply:
    """Let a small header hold as many values as it can: each costs more than the bytes that name it."""
    size = rng.choice((300, 5_000, LONGEST // 3))  # bytes
    crowds = (
        ["list", *[["list"]] * (size // 8)],
        ["list", *[0] * size],
        nest([], size // 200),
        ["set", *range(size // 4)],
    )
    values = {"answer": rng.choice(crowds), **{str(number): None for number in range(rng.choice((0, 500)))}}
    tree = {
        "m": {"ended": "well", "x": rng.choice(([[]] * (size // 3), [{}] * (size // 3), [{"": 0}] * (size // 8)))},
        "v": values,
        "b": [],
    }
    return replace(one.with_tree(rng, tree), body=b"")


def _odd(rng: random.Random, one: Reply) -> Reply:
    """Put text that only JSON can say, such as a number without end, in the place of a part."""

    def change(tree: Any) -> None:
        part, key = rng.choice(list(places(tree)))
        part[key] = rng.choice(list(RAW))

    return _with_changed(rng, one, change)


SPOILS: tuple[Spoil, ...] = (
    *(
        _bytes,
        _bytes,
        _tree,
        _tree,
        _tree,
        _node,
        _node,
        _node,
        _node,
        _lengths,
        _prefix,
        _prefix,
        _cut,
        _behind,
        _body,
        _body,
    ),
    *(_crowd, _odd),
)


@contextmanager
def arriving(data: bytes) -> Iterator[socket.socket]:
    """Give the end of a socket at which these bytes arrive, after which the other side is closed for writing."""
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(20)  # s; nothing here waits for anything
        assert here.send(data, socket.MSG_DONTWAIT) == len(data) if data else True
        here.shutdown(socket.SHUT_WR)
        yield there
