"""Seeded spoiling of bytes and of parsed JSON; the same generator makes the same spoiled thing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["as_text", "nest", "odd_value", "places", "spoil_bytes", "spoil_tree"]

Spoil = Callable[[random.Random, bytes], bytes]

MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"+/v8-")  # byte order marks
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp1252", "cp037", "utf-8-sig")
BITS_OF_JSON = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\n", b"null", b"NaN", b"-", b"\\ud83d", b"\\u0000")
ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x1b[2J",
    b"\r",
    b"\x7f",
    b"\xe2\x80\xa8",
)

# What `json.dumps` would not write is named here, and put in its place afterwards.
RAW = {
    "<<huge>>": "1e999999",
    "<<long>>": "7" * 5_000,
    "<<negative>>": "-" + "9" * 400,
    "<<minus zero>>": "-0.0",
    "<<nan>>": "NaN",
    "<<infinite>>": "-Infinity",
    "<<deep list>>": "[" * 20_000 + "]" * 20_000,
    "<<deep object>>": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "<<fairly deep>>": "[" * 400 + "]" * 400,
    "<<twins>>": '{"source": "first", "source": "second", "cell_type": "code", "cell_type": "raw"}',
    "<<half>>": '"\\ud83d"',
    "<<halves>>": '"\\ude00\\ud83d \\u0000"',
    "<<broken>>": "{,}",
}
SPECIAL: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 4, 5, 2**31, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308, "", " ", "\0", "\ud800"),
    *("code", "markdown", "raw", "heading", "4", "null", "x" * 300, "é" * 40, "\u202e\u2028\ufeff", "self", [], {}),
)  # fmt: skip


def spoil_bytes(rng: random.Random, data: bytes, *, most: int = 4) -> bytes:
    """Return the bytes after up to so many changes."""
    for _ in range(rng.randint(1, most)):
        data = rng.choice(BYTES)(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    spoiled = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        spoiled[rng.randrange(len(data))] ^= rng.randint(1, 255)
    return bytes(spoiled)


def _cut(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _insert(rng: random.Random, data: bytes) -> bytes:
    new = rng.choice((rng.choice(ODD_BYTES), rng.choice(BITS_OF_JSON), rng.randbytes(rng.randint(1, 9))))
    start = rng.randint(0, len(data))
    return data[:start] + new * rng.choice((1, 1, 2, 50)) + data[start:]


def _double(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    to = rng.randint(0, len(data))
    return data[:to] + data[start:end] + data[to:]


def _mark(rng: random.Random, data: bytes) -> bytes:
    return rng.choice(MARKS) + data


def _encode(rng: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def _space(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b" ", b"\n", b"\r\n", b"\t", b"\0")) * rng.randint(1, 30) + data


BYTES: tuple[Spoil, ...] = (_flip, _flip, _cut, _truncate, _insert, _insert, _double, _mark, _encode, _space)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    """Return a piece, mostly a short one."""
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 3, 20, 400, len(data))))


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place below a part of parsed JSON, as what holds it and its key there."""
    waiting = [part]
    while waiting:
        here = waiting.pop()
        for key in list(here) if type(here) is dict else range(len(here)):
            yield here, key
            if type(here[key]) in (dict, list):
                waiting.append(here[key])


def odd_value(rng: random.Random, others: Sequence[Any] = ()) -> Any:
    """Return a value that nobody expects, of JSON or of what only JSON's text can say."""
    pool = rng.choice((SPECIAL, SPECIAL, tuple(RAW), others or SPECIAL))
    value = json.loads(json.dumps(rng.choice(pool)))
    return rng.choice((value, value, [value], {"source": value}, [value, value], nest(value, rng.randint(2, 70))))


def nest(value: Any, depth: int) -> Any:
    """Return a value inside so many lists."""
    for _ in range(depth):
        value = [value]
    return value


def spoil_tree(rng: random.Random, tree: Any, *, others: Sequence[Any] = (), most: int = 4) -> None:
    """Change up to so many places of parsed JSON, anywhere in it.

    Args:
        rng: draws.
        tree: a list or an object; it is changed.
        others: values that fit into some of its places, among which to choose too.
        most: changes.
    """
    for _ in range(rng.randint(1, most)):
        everywhere = list(places(tree))
        if everywhere:
            _change(rng, *rng.choice(everywhere), others)


def _change(rng: random.Random, part: Any, key: Any, others: Sequence[Any]) -> None:
    verb = rng.choice(("replace", "replace", "delete", "repeat", "swap", "rename", "retype"))
    if verb == "replace":
        part[key] = odd_value(rng, others)
    elif verb == "delete":
        del part[key]
    elif verb == "retype":
        part[key] = _retyped(rng, part[key])
    elif type(part) is list:
        other = rng.randrange(len(part))
        if verb == "repeat":
            part.insert(other, json.loads(json.dumps(part[key])))
        part[key], part[other] = part[other], part[key]
    else:
        other_key = rng.choice((rng.choice(list(part)), str(key) + "s", "", "\ud800"))
        part[key], part[other_key] = part.get(other_key), part[key]


def _retyped(rng: random.Random, value: Any) -> Any:
    """Return the same thing as another type."""
    as_list = list(value) if type(value) in (str, dict) else [value]
    return rng.choice((str(value), as_list, {"0": value}, [[value]], bool(value), len(str(value))))


def as_text(rng: random.Random, tree: Any) -> str:
    """Return the text of parsed JSON, with what `json.dumps` does not write, and in one of its spellings."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.8, indent=rng.choice((None, None, 1)))
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text
