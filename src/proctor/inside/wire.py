"""How values cross between the sandbox and the judge: JSON for their form, raw bytes for their contents, no pickle.

Both sides use this one file: the judge as `proctor.inside.wire`, the sandbox as the top-level module `wire`.
So it imports the standard library only, and NumPy and torch when a value needs them; and it is longer than its
neighbours, because a second module could not be found from the sandbox.

A frame is a prefix (magic, length of the header, length of the body), a header in JSON, and the body:

    {"m": message, "v": {name: tree, ...}, "b": [length of each buffer, ...]}

In a tree, None, bool, int, finite float and short str stand for themselves; everything else is `[kind, ...]`.
Contents of arrays, tensors, bytes and long text are buffers, used once each, in the order of the tree.

The sender refuses by exact type and calls no method that a student's class could define.
The receiver believes nothing: it looks kinds and dtypes up in fixed tables and checks every length before it allocates.
After a `WireError` or a time-out the socket stands somewhere inside a frame and is of no further use.
"""

from __future__ import annotations

import importlib
import json
import math
import socket
import struct
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

__all__ = [
    "MAX_BYTES", "CannotCross", "Frame", "WireError", "decode", "encode", "pack", "pack_some", "read", "send", "write",
]  # fmt: skip

MAX_BYTES = 256 * 2**20  # bytes of contents in a frame: 64 million float32; rebuilding takes twice that for a moment
MAX_JSON = 32 * 2**20  # bytes of header: MAX_NODES numbers at NODE_TEXT, and some text
MAX_NODES = 1_000_000  # values in a frame, 1 to 5 s to rebuild; a longer list should have been an array
MAX_SIGNS = 6 * MAX_NODES  # commas and brackets in a header: parsed, each costs up to 100 bytes; what we send has fewer
MAX_DEPTH = 50  # containers inside one another: more than an honest answer has, far from the interpreter's 1000
MAX_BITS = 4096  # of an int: 1233 digits, so that reading it as decimal text stays quick
MAX_DIGITS = 1 + math.ceil(MAX_BITS * math.log10(2))  # characters of such an int, with its sign
MAX_REAL = 32  # characters of a float; Python writes at most 24
MAX_DIMS = 64  # dimensions: NumPy 2's own limit
MAX_EXTENT = 2**48  # bytes of an array were no side of it empty: far from where strides overflow 64 bits
MAX_SAME_HASH = 64  # keys of one dict or set with one hash; each costs a comparison with all before it
NODE_TEXT = 30  # bytes of header reserved for each value: the longest float with its kind, a comma, a bracket
CHAR_TEXT = 6  # bytes of header reserved for each character: a control character becomes six
INLINE = 1000  # characters; longer text travels as a buffer, where it needs no escapes
CHUNK = 2**20  # bytes asked of the socket at once: memory grows with what has come, never with what was announced

MAGIC = b"GDW1"
PREFIX = struct.Struct("<4sQQ")  # magic, bytes of header, bytes of body

NUMPY_SIZES = {
    "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f2": 2, "f4": 4, "f8": 8,
    "c8": 8, "c16": 16,
}  # fmt: skip
NUMPY_SCALARS = (
    "bool", "int8", "int16", "int32", "int64", "longlong", "uint8", "uint16", "uint32", "uint64", "ulonglong",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
TORCH_SIZES = {
    "bool": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex32": 4, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
KEY_KINDS = frozenset({"float", "complex", "text", "bytes", "scalar"})

Handler = Callable[[Any, int], object]  # of a value or a node, and its depth
Handlers = dict[int, Handler]


class WireError(Exception):
    """What came over the wire is malformed or over a cap."""


class CannotCross(Exception):  # noqa: N818 - said of a value, and no fault of the program
    """A value cannot be sent.

    Args:
        what: the full name of its type, such as `torch.nn.modules.linear.Linear`, or what there is too much of.
        where: where inside the value, as it would be written: `['a'][2]`.
    """

    def __init__(self, what: str, where: str = "") -> None:
        self.what, self.where = what, where
        super().__init__(what)

    @property
    def reason(self) -> str:
        """What cannot cross and where, without the verb."""
        where = self.where if len(self.where) <= 80 else self.where[:80] + "..."
        return f"{self.what} at {where}" if where else self.what

    def __str__(self) -> str:
        return f"{self.reason} cannot cross"


@dataclass(frozen=True)
class Frame:
    """A message with values, ready to be written.

    Args:
        message: plain JSON, to which more may be added until the frame is written.
        trees: the form of each value, by name.
        buffers: their contents, in order; those of arrays still share the memory of the arrays.
    """

    message: dict[str, Any]
    trees: dict[str, object]
    buffers: list[memoryview]


def encode(value: object, *, cap: int = MAX_BYTES) -> tuple[object, list[memoryview]]:
    """Return the tree and the buffers of one value.

    Raises:
        CannotCross: the value, or one inside it, is of a type that stays where it is, or there is too much of it.
    """
    encoder = _Encoder(cap)
    return encoder.tree(value, 0), encoder.buffers


def decode(tree: object, buffers: Iterable[bytes | bytearray | memoryview]) -> object:
    """Return the value of a tree and its buffers, in memory of its own; safe for any tree and any bytes.

    Raises:
        WireError: they do not fit together.
    """
    decoder = _Decoder(buffers)
    value = decoder.tree(tree, 0)
    decoder.close()
    return value


def pack(message: Mapping[str, object], values: Mapping[str, object], *, cap: int = MAX_BYTES) -> Frame:
    """Return the frame of a message with all these values.

    Raises:
        CannotCross: one of the values cannot cross; `where` begins with its name.
    """
    encoder = _Encoder(cap)
    trees = {}
    for name, value in values.items():
        try:
            trees[name] = encoder.tree(value, 0)
        except CannotCross as error:
            error.where = name + error.where
            raise
    return Frame(dict(message), trees, encoder.buffers)


def pack_some(
    message: Mapping[str, object], values: Mapping[str, object], *, cap: int = MAX_BYTES
) -> tuple[Frame, dict[str, str]]:
    """Return the frame of a message with those values that can cross, and for each other name the reason.

    A reason is the full name of the type, and where inside the value it stands; or what there is too much of.
    """
    encoder = _Encoder(cap)
    trees: dict[str, object] = {}
    refused: dict[str, str] = {}
    for name, value in values.items():
        mark = encoder.mark()
        try:
            trees[name] = encoder.tree(value, 0)
        except CannotCross as error:
            refused[name] = error.reason
            encoder.rewind(mark)
    return Frame(dict(message), trees, encoder.buffers), refused


def write(sock: socket.socket, frame: Frame) -> None:
    """Write a frame; small buffers are gathered, large ones go out from where they lie.

    Raises:
        CannotCross: the message is not plain JSON, or too long; nothing was written.
        OSError: the socket's own; a time-out leaves a part of the frame written.
    """
    header = _dump(frame)
    body = sum(buffer.nbytes for buffer in frame.buffers)
    pending = bytearray(PREFIX.pack(MAGIC, len(header), body))
    for buffer in (memoryview(header), *frame.buffers):
        if len(pending) + buffer.nbytes > CHUNK:
            sock.sendall(pending)
            pending.clear()
        if buffer.nbytes > CHUNK:
            sock.sendall(buffer)
        else:
            pending += buffer
    sock.sendall(pending)


def _dump(frame: Frame) -> bytes:
    header = {"m": frame.message, "v": frame.trees, "b": [buffer.nbytes for buffer in frame.buffers]}
    try:
        text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CannotCross("a message that is not plain JSON") from error
    raw = text.encode("utf-8", "surrogatepass")  # escapes would join two lone surrogates into one character
    if len(raw) > MAX_JSON or _signs(raw) > MAX_SIGNS:
        raise CannotCross(f"more than {MAX_JSON >> 20} MiB of text and numbers")
    return raw


def send(
    sock: socket.socket, message: Mapping[str, object], values: Mapping[str, object], *, cap: int = MAX_BYTES
) -> None:
    """Pack and write; when a value cannot cross, nothing is written.

    Raises:
        CannotCross: as `pack` does.
    """
    write(sock, pack(message, values, cap=cap))


def read(sock: socket.socket, *, cap: int = MAX_BYTES) -> tuple[dict[str, object], dict[str, object]]:
    """Read one frame and return its message and its values; the caller has set the socket's time-out.

    Raises:
        EOFError: the other side is gone.
        WireError: the frame is malformed or over a cap.
        TimeoutError: the socket's own.
    """
    magic, words, body = PREFIX.unpack(_exactly(sock, PREFIX.size))
    if magic != MAGIC:
        raise WireError("this is not the beginning of a frame")
    if words > MAX_JSON or body > cap:
        raise WireError(f"a frame of {words} and {body} bytes is over the caps of {MAX_JSON} and {cap}")
    message, trees, lengths = _header(_exactly(sock, words), body)
    data = memoryview(_exactly(sock, body))
    decoder = _Decoder(_cut(data, lengths))
    values = {name: decoder.tree(tree, 0) for name, tree in trees.items()}
    decoder.close()
    return message, values


def _exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray()
    scratch = memoryview(bytearray(min(size, CHUNK)))
    while len(data) < size:
        try:
            got = sock.recv_into(scratch[: size - len(data)])
        except ConnectionError:  # it died with something of ours unread
            got = 0
        if not got:
            raise EOFError("the other side is gone")
        data += scratch[:got]
    return data


def _cut(data: memoryview, lengths: list[int]) -> Iterable[memoryview]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


def _header(raw: bytearray, body: int) -> tuple[dict[str, object], dict[str, object], list[int]]:
    header = _parse(raw)
    if type(header) is not dict or list(header) != ["m", "v", "b"]:
        raise WireError("the header has not the three parts of a frame")
    message, trees, lengths = header["m"], header["v"], header["b"]
    if (type(message), type(trees), type(lengths)) != (dict, dict, list):
        raise WireError("a part of the header is of the wrong type")
    _check_depth(message, 0)
    if not all(type(length) is int and 0 <= length <= body for length in lengths) or sum(lengths) != body:
        raise WireError("the lengths of the buffers do not add up to the body")
    return message, trees, lengths


def _parse(raw: bytearray) -> Any:
    if _signs(raw) > MAX_SIGNS:
        raise WireError("the header holds too many values")
    try:
        return json.loads(
            raw.decode("utf-8", "surrogatepass"),
            object_pairs_hook=_no_twins,
            parse_int=_whole,
            parse_float=_real,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise WireError("the header is nested too deeply") from None
    except ValueError:  # malformed UTF-8 as well as malformed JSON
        raise WireError("the header is not JSON") from None


def _signs(raw: bytes | bytearray) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(pairs)) != len(pairs):
        raise WireError("a key of the header stands there twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise WireError(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _real(text: str) -> float:
    if len(text) > MAX_REAL:
        raise WireError(f"a number has more than {MAX_REAL} characters")
    return float(text)


def _no_constant(name: str) -> NoReturn:
    raise WireError(f"{name} is not JSON")


def _check_depth(part: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise WireError(f"the message is nested more than {MAX_DEPTH} deep")
    if type(part) is dict:
        part = list(part.values())
    if type(part) is list:
        for item in part:
            _check_depth(item, depth + 1)


def _by_type(handlers: dict[Any, Any]) -> Handlers:
    """Look types up by identity: a metaclass can lie in `__hash__` and `__eq__`."""
    return {id(kind): handler for kind, handler in handlers.items()}


class _Encoder:
    """Takes values apart, and counts what that costs."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.buffers: list[memoryview] = []
        self.nodes = self.text = self.body = 0
        self.torch: Any = sys.modules.get("torch")  # what was never imported has no values
        self.numpy: Any = sys.modules.get("numpy")
        self.keys = self._plain() | self._found(self.numpy, NUMPY_SCALARS, self._scalar)
        self.handlers = (
            self.keys
            | _by_type({list: self._list, tuple: self._tuple, set: self._set})
            | _by_type({dict: self._dict, OrderedDict: self._ordered})
            | self._found(self.numpy, ("ndarray",), self._array)
            | self._found(self.torch, ("Tensor",), self._tensor)
            | self._found(getattr(self.torch, "nn", None), ("Parameter",), self._tensor)
            | self._found(self.torch, ("Size",), self._tuple)
        )

    def _plain(self) -> Handlers:
        exact = {type(None): _same, bool: _same, int: self._int, float: _float, complex: self._complex}
        return _by_type(exact | {str: self._str, bytes: self._bytes})

    @staticmethod
    def _found(module: Any, names: Iterable[str], handler: Handler) -> Handlers:
        return {id(kind): handler for name in names if (kind := getattr(module, name, None)) is not None}

    def mark(self) -> tuple[int, int, int, int]:
        return len(self.buffers), self.nodes, self.text, self.body

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        kept, self.nodes, self.text, self.body = mark
        del self.buffers[kept:]

    def tree(self, value: object, depth: int) -> object:
        handler = self.handlers.get(id(type(value)))
        if handler is None:
            raise CannotCross(_name(type(value)))
        self._count(depth)
        return handler(value, depth)

    def _count(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise CannotCross(f"a value nested more than {MAX_DEPTH} deep")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise CannotCross(f"more than {MAX_NODES:,} values")
        self._write(NODE_TEXT)

    def _write(self, size: int) -> None:
        self.text += size
        if self.text > MAX_JSON:
            raise CannotCross(f"more than {MAX_JSON >> 20} MiB of text and numbers")

    def _reserve(self, size: int) -> None:
        self.body += size
        if self.body > self.cap:
            raise CannotCross(f"more than {self.cap:,} bytes of contents")

    def _int(self, value: int, _: int) -> object:
        if value.bit_length() > MAX_BITS:
            raise CannotCross(f"an int of more than {MAX_BITS} bits")
        self._write(value.bit_length() // 3)
        return value

    def _complex(self, value: complex, _: int) -> object:
        self._write(2 * NODE_TEXT)
        return ["complex", _float(value.real, 0), _float(value.imag, 0)]

    def _str(self, value: str, _: int) -> object:
        if len(value) <= INLINE:
            self._write(CHAR_TEXT * len(value))
            return value
        self._reserve(len(value))  # the least that it can be; refused before a copy is made
        raw = value.encode("utf-8", "surrogatepass")
        self._reserve(len(raw) - len(value))
        self.buffers.append(memoryview(raw))
        return ["text"]

    def _bytes(self, value: bytes, _: int) -> object:
        self._reserve(len(value))
        self.buffers.append(memoryview(value))
        return ["bytes"]

    def _scalar(self, value: Any, _: int) -> object:
        code = f"{value.dtype.kind}{value.dtype.itemsize}"
        self._write(2 * NUMPY_SIZES[code])
        return ["scalar", code, self.numpy.array(value, dtype="<" + code).tobytes().hex()]

    def _list(self, value: list[object], depth: int) -> object:
        return ["list", *self._items(tuple(value), depth)]

    def _tuple(self, value: tuple[object, ...], depth: int) -> object:
        return ["tuple", *self._items(value, depth)]

    def _items(self, items: tuple[object, ...], depth: int) -> Iterable[object]:
        return (self._at(index, item, depth + 1) for index, item in enumerate(items))

    def _at(self, place: object, value: object, depth: int) -> object:
        try:
            return self.tree(value, depth)
        except CannotCross as error:
            error.where = f"[{_brief(place)}]{error.where}"
            raise

    def _set(self, value: set[object], depth: int) -> object:
        return ["set", *(self._key(item, depth + 1) for item in tuple(value))]

    def _dict(self, value: dict[object, object], depth: int) -> object:
        return self._pairs(tuple(dict.items(value)), depth)

    def _ordered(self, value: OrderedDict[object, object], depth: int) -> object:
        scratch = _Encoder(self.cap)  # to walk in order is to hash: look at the keys first, in the order of the dict
        for key in tuple(dict.keys(value)):
            scratch._key(key, depth + 1)
        return self._pairs(tuple(OrderedDict.items(value)), depth)

    def _pairs(self, pairs: tuple[tuple[object, object], ...], depth: int) -> object:
        node: list[object] = ["dict"]
        for key, value in pairs:
            node.append(self._key(key, depth + 1))
            node.append(self._at(key, value, depth + 1))
        return node

    def _key(self, value: object, depth: int) -> object:
        if self.handlers.get(id(type(value))) == self._tuple:
            self._count(depth)
            return ["tuple", *(self._key(item, depth + 1) for item in cast(tuple[object, ...], value))]
        if id(type(value)) not in self.keys:
            raise CannotCross(f"{_name(type(value))} as a key or in a set")
        return self.tree(value, depth)

    def _array(self, value: Any, _: int) -> object:
        code = f"{value.dtype.kind}{value.dtype.itemsize}"
        if code not in NUMPY_SIZES:
            raise CannotCross(f"numpy.ndarray of dtype {value.dtype.name[:40]}")
        shape = self._shape(value.shape, NUMPY_SIZES[code])
        flat = self.numpy.asarray(value, dtype="<" + code, order="C").ravel()
        self.buffers.append(memoryview(flat.view("u1")))
        return ["array", code, shape]

    def _tensor(self, value: Any, _: int) -> object:
        dtype = str(value.dtype).removeprefix("torch.")
        if oddity := _oddity(value, dtype):
            raise CannotCross(f"{_name(type(value))} {oddity}")
        shape = self._shape(value.shape, TORCH_SIZES[dtype])
        try:
            whole = self.torch.Tensor.detach(value).cpu().resolve_conj().resolve_neg().contiguous()
            flat = whole.as_strided((whole.numel(),), (1,))  # `flatten` leaves one entry the stride that it had
            self.buffers.append(memoryview(flat.view(self.torch.uint8).numpy()))
        except Exception as error:  # a dead device, storage that was freed, no memory left for a contiguous copy
            raise CannotCross(f"{_name(type(value))} whose contents cannot be read") from error
        return ["tensor", dtype, shape]

    def _shape(self, shape: Sequence[int], itemsize: int) -> list[int]:
        if len(shape) > MAX_DIMS:
            raise CannotCross(f"an array of more than {MAX_DIMS} dimensions")
        sizes = [int(size) for size in shape]
        if _extent(sizes, itemsize) > MAX_EXTENT:
            raise CannotCross(f"an array of more than {MAX_EXTENT:,} bytes")
        self._write(NODE_TEXT * (1 + len(sizes)))
        self._reserve(math.prod(sizes) * itemsize)  # before an expanded tensor is copied and becomes large
        return sizes


def _same(value: object, _: int) -> object:
    return value


def _float(value: float, _: int) -> object:
    return value if math.isfinite(value) else ["float", struct.pack("<d", value).hex()]


def _extent(sizes: Sequence[int], itemsize: int) -> int:
    """Return the bytes of an array as if no side were empty, for shapes such as (0, 2**62)."""
    return math.prod(max(size, 1) for size in sizes) * itemsize


def _oddity(tensor: Any, dtype: str) -> str:
    """Say what keeps a tensor of exact type here; empty if nothing does. Only attributes that no instance can hide."""
    if tensor.is_nested:
        return "that is nested"
    if str(tensor.layout) != "torch.strided":
        return f"in layout {tensor.layout}"
    if dtype not in TORCH_SIZES:
        return f"of dtype {dtype}"
    return "on the meta device" if tensor.is_meta else ""


def _name(kind: type) -> str:
    """Return the full name of a type; read through `type` itself, because a metaclass can define both parts."""
    parts: list[object] = []
    for part in ("__module__", "__qualname__"):
        with suppress(AttributeError):  # a class can be without a module
            parts.append(type.__dict__[part].__get__(kind))
    shown = ".".join(part for part in parts if type(part) is str and part != "builtins")
    return "".join(sign if sign.isprintable() else "?" for sign in shown[:120])


def _brief(place: object) -> str:
    if type(place) in (str, int, bool, float, type(None)):
        text = repr(place)
        return text if len(text) <= 40 else text[:37] + "..."
    return _name(type(place))


class _Decoder:
    """Puts values together again, and trusts nothing that it is given."""

    def __init__(self, buffers: Iterable[bytes | bytearray | memoryview]) -> None:
        self.buffers = iter(buffers)
        self.nodes = 0
        self.kinds: dict[str, Handler] = {
            "float": self._float, "complex": self._complex, "text": self._text, "bytes": self._bytes,
            "list": self._list, "tuple": self._tuple, "set": self._set, "dict": self._dict,
            "scalar": self._scalar, "array": self._array, "tensor": self._tensor,
        }  # fmt: skip

    def close(self) -> None:
        if next(self.buffers, None) is not None:
            raise WireError("a buffer is left over")

    def tree(self, node: object, depth: int) -> object:
        self._count(depth)
        if type(node) is list:
            return self._tagged(node, depth)
        if type(node) is int and node.bit_length() > MAX_BITS:
            raise WireError(f"an int has more than {MAX_BITS} bits")
        if node is None or type(node) in (bool, int, float, str):
            return node
        raise WireError("a JSON object stands in the place of a value")

    def _count(self, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise WireError(f"there are more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise WireError(f"a value is nested more than {MAX_DEPTH} deep")

    def _tagged(self, node: list[Any], depth: int) -> object:
        kind = node[0] if node and type(node[0]) is str else ""
        if kind not in self.kinds:
            raise WireError(f"there is no kind of value {ascii(kind[:40])[:40]}")
        return self.kinds[kind](node[1:], depth)

    def _buffer(self, size: int | None = None) -> bytes | bytearray | memoryview:
        buffer = next(self.buffers, None)
        if buffer is None:
            raise WireError("a buffer is missing")
        if size is not None and len(buffer) != size:
            raise WireError(f"a buffer has {len(buffer)} bytes where its shape needs {size}")
        return buffer

    def _float(self, parts: list[Any], _: int) -> object:
        (digits,) = _fields(parts, str)
        return struct.unpack("<d", _unhex(digits, 8))[0]

    def _complex(self, parts: list[Any], depth: int) -> object:
        sides = [self._float(part[1:], depth) if type(part) is list else part for part in parts]
        return complex(*_fields(sides, float, float))

    def _text(self, parts: list[Any], _: int) -> object:
        _fields(parts)
        try:
            return bytes(self._buffer()).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise WireError("a text is not UTF-8") from None

    def _bytes(self, parts: list[Any], _: int) -> object:
        _fields(parts)
        return bytes(self._buffer())

    def _list(self, parts: list[Any], depth: int) -> list[object]:
        return [self.tree(part, depth + 1) for part in parts]

    def _tuple(self, parts: list[Any], depth: int) -> object:
        return tuple(self._list(parts, depth))

    def _set(self, parts: list[Any], depth: int) -> object:
        keys = [self._key(part, depth + 1) for part in parts]
        return set(_distinct(dict.fromkeys, keys))

    def _dict(self, parts: list[Any], depth: int) -> object:
        if len(parts) % 2:
            raise WireError("a key has no value")
        keys, values = [], []
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            keys.append(self._key(key, depth + 1))
            values.append(self.tree(value, depth + 1))
        return _distinct(lambda found: dict(zip(found, values, strict=True)), keys)

    def _key(self, node: object, depth: int) -> object:
        if type(node) is list and node[:1] == ["tuple"]:
            self._count(depth)
            return tuple(self._key(part, depth + 1) for part in node[1:])
        if type(node) is list and not (node and type(node[0]) is str and node[0] in KEY_KINDS):
            raise WireError("a key or a member of a set is of the wrong kind")
        return self.tree(node, depth)

    def _scalar(self, parts: list[Any], _: int) -> object:
        code, digits = _fields(parts, str, str)
        raw = _unhex(digits, _size(NUMPY_SIZES, code))
        return self._numbers(code, raw)[0]

    def _array(self, parts: list[Any], _: int) -> object:
        code, shape = _fields(parts, str, list)
        raw = self._contents(shape, _size(NUMPY_SIZES, code))
        array = _module("numpy").empty(shape, code)
        array.reshape(-1)[...] = self._numbers(code, raw)
        return array

    def _numbers(self, code: str, raw: bytes | bytearray | memoryview) -> Any:
        numpy = _module("numpy")
        if code == "b1":
            return numpy.frombuffer(raw, "u1") != 0  # a bool of any other byte breaks what is computed with it
        return numpy.frombuffer(raw, "<" + code)

    def _tensor(self, parts: list[Any], _: int) -> object:
        name, shape = _fields(parts, str, list)
        raw = self._contents(shape, _size(TORCH_SIZES, name))
        torch, numpy = _module("torch"), _module("numpy")
        dtype = getattr(torch, name, None)
        if dtype is None:
            raise WireError(f"the torch of this side has no {name}")
        flat = torch.empty(len(raw), dtype=torch.uint8, device="cpu")  # its own memory, aligned as its kernels like it
        flat.numpy()[...] = numpy.frombuffer(raw, "u1")
        typed = flat != 0 if name == "bool" else flat.view(dtype)
        return typed.reshape(shape)

    def _contents(self, shape: list[Any], itemsize: int) -> bytes | bytearray | memoryview:
        if len(shape) > MAX_DIMS or not all(type(size) is int and size >= 0 for size in shape):
            raise WireError(f"a shape is not a list of at most {MAX_DIMS} sizes")
        if _extent(shape, itemsize) > MAX_EXTENT:
            raise WireError(f"a shape needs more than {MAX_EXTENT:,} bytes")
        return self._buffer(math.prod(shape) * itemsize)


def _fields(parts: list[Any], *kinds: type) -> list[Any]:
    if tuple(map(type, parts)) != kinds:
        raise WireError("a value has not the parts that its kind needs")
    return parts


def _size(table: Mapping[str, int], name: str) -> int:
    if name not in table:
        raise WireError(f"there is no dtype {ascii(name[:40])[:40]}")
    return table[name]


def _unhex(digits: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise WireError("a number is not hexadecimal") from None
    if len(raw) != size:
        raise WireError(f"a number has {len(raw)} bytes instead of {size}")
    return raw


def _distinct(build: Callable[[list[object]], dict[object, object]], keys: list[object]) -> dict[object, object]:
    """Build a dict from decoded keys, unless they are equal or were chosen to collide."""
    if max(Counter(map(hash, keys)).values(), default=0) > MAX_SAME_HASH:
        raise WireError(f"more than {MAX_SAME_HASH} keys have the same hash")
    try:
        found = build(keys)
    except (TypeError, ValueError, ArithmeticError, Warning):  # a NumPy scalar against a tuple of the same hash
        raise WireError("two keys cannot be told apart") from None
    if len(found) != len(keys):
        raise WireError("a key stands in a value twice")
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise WireError(f"a value needs {name}, which this side does not have") from None
