"""What may cross arrives exactly; what may not is refused by name, and nothing of the student's is called meanwhile."""

from __future__ import annotations

import io
import math
import pickle
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proctor.inside import wire

FOLDER = Path(wire.__file__).parent
QUICK = settings(max_examples=200, deadline=None)
TORCH_DTYPES = [name for name in wire.TORCH_SIZES if hasattr(torch, name)]

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends that give up after 10 s."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(10)
        there.settimeout(10)
        yield here, there


def crossed(value: object) -> Any:
    """Return the value after a real way through a socket; a thread writes, so that it may be large."""
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(10)
        frame = wire.pack({"do": "block"}, {"x": value})
        writer = threading.Thread(target=wire.write, args=(here, frame))
        writer.start()
        message, values = wire.read(there)
        writer.join()
    assert message == {"do": "block"}
    assert list(values) == ["x"]
    return values["x"]


def spelled(value: Any) -> object:
    """Return a form in which two values are equal only if type and every bit agree."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [spelled(item) for item in value]
    if kind is set:
        return kind, Counter(map(repr, map(spelled, value)))
    if kind is dict:
        return kind, [(spelled(key), spelled(item)) for key, item in value.items()]
    if kind is float:
        return kind, struct.pack("<d", value)
    if kind is complex:
        return kind, struct.pack("<dd", value.real, value.imag)
    if isinstance(value, np.ndarray | np.generic):
        return kind, value.dtype, value.shape, value.tobytes()
    if kind is torch.Tensor:
        return kind, value.dtype, value.shape, value.flatten().view(torch.uint8).tolist()
    return kind, value


# What crosses


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**53 + 1, 2**4096 - 1, 1 - 2**4096, 0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e22,
        math.inf, -math.inf, math.nan, -math.nan, 1 + 2j, complex(-0.0, math.nan), complex(math.inf, -0.0),
        "", "höhe 山 \x00\x1f\u2028", "\ud800", "\ud83d\ude00", "\U0001f600", "\ufeffx", "{}[],:\"\\", "a" * 5000,
        "\udfff\x00" * 700, b"", b"\x00\xff", bytes(3000), [], (), {}, set(), [[], [()], {}], (1, (2, [3.0])),
        {"b": 1, "a": 2, None: 3, 4.5: 4, (1, ("x", 2j)): 5, b"k": 6, True: 7}, {1, "a", (2, b"3"), None, math.inf},
        {"t": "list", "m": ["list"]}, ["list", "tensor"], {math.nan: 1}, [None] * 50_000, "\ud800" * 50_000,
    ],
    ids=lambda value: f"{type(value).__name__}-{ascii(value)[:20]}",
)  # fmt: skip
def test_plain_values_arrive_exactly(value: object) -> None:
    assert spelled(crossed(value)) == spelled(value)


@pytest.mark.parametrize("name", wire.NUMPY_SCALARS)
def test_numpy_of_every_type_arrives_exactly(name: str) -> None:
    kind = getattr(np, name)
    values = np.array([0, 1, 3.5, 100.25], dtype="f8").astype(kind)
    scalar = crossed(kind(1))
    assert scalar == kind(1)
    assert scalar.dtype == np.dtype(kind)
    assert spelled(crossed(values)) == spelled(values)
    for shape in [(), (0,), (3, 0, 2), (2, 1, 2), (1,) * 64]:
        array = np.resize(values, shape).astype(kind)
        assert spelled(crossed(array)) == spelled(array)


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128", "bool", "int64"])
def test_numpy_scalars_keep_their_type(name: str) -> None:
    assert type(crossed(getattr(np, name)(1))) is getattr(np, name)


def test_numpy_scalars_keep_every_bit() -> None:
    for value in [np.float32("nan"), np.float16(-0.0), np.float64(0.1), np.complex64(complex(math.nan, -0.0))]:
        assert spelled(crossed(value)) == spelled(value)


def test_numpy_scalars_may_be_keys() -> None:
    counts = {np.int64(3): np.int64(7), np.int64(5): np.int64(1), "other": 0}
    assert spelled(crossed(counts)) == spelled(counts)
    assert spelled(crossed({np.float32(1.5), np.bool(False)})) == spelled({np.float32(1.5), np.bool(False)})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3), np.array(1.5, dtype=">f8"), np.arange(24.0).reshape(2, 3, 4).T,
        np.arange(10)[::-3], np.asfortranarray(np.ones((3, 2))), np.broadcast_to(np.float32(2), (3, 4)),
        np.array([1, 2], dtype=">c16"),
    ],
    ids=["big-endian", "0-d", "transposed", "backwards", "fortran", "broadcast", "big-endian complex"],
)  # fmt: skip
def test_arrays_arrive_native_and_contiguous(array: np.ndarray[Any, Any]) -> None:
    arrived = crossed(array)
    assert arrived.tolist() == array.tolist()
    assert arrived.shape == array.shape
    assert arrived.dtype == array.dtype.newbyteorder("=")
    assert arrived.flags.c_contiguous
    assert arrived.flags.writeable


@pytest.mark.parametrize("name", TORCH_DTYPES)
def test_tensors_of_every_dtype_arrive_exactly(name: str) -> None:
    dtype = getattr(torch, name)
    raw = torch.arange(48, dtype=torch.uint8) % 2 if name == "bool" else torch.arange(48, dtype=torch.uint8)
    tensor = raw.view(dtype)
    for value in [tensor, tensor[:1].reshape(()), tensor[:0], tensor[:0].reshape(3, 0, 2), tensor.reshape(1, -1, 1)]:
        assert spelled(crossed(value)) == spelled(value)


def test_tensors_arrive_contiguous_detached_and_resolved() -> None:
    grid = torch.arange(12.0).reshape(3, 4)
    wave = torch.tensor([1 + 2j, 3 - 4j])
    learned = torch.nn.Parameter(grid.clone())
    strided = [grid.T, grid[::2, 1::2], torch.tensor(2.0).expand(3, 5), grid[:1, 1:3][:, 1], grid[1:2].T[2:3]]
    for value in [*strided, wave.conj(), wave.conj().imag, learned, learned * 2]:
        arrived = crossed(value)
        assert type(arrived) is torch.Tensor
        assert torch.equal(arrived, value)
        assert arrived.dtype == value.dtype
        assert arrived.is_contiguous()
        assert [arrived.requires_grad, arrived.is_conj(), arrived.is_neg()] == [False] * 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_of_a_gpu_arrive_on_the_cpu() -> None:
    value = torch.arange(6.0, device="cuda").reshape(2, 3).T
    arrived = crossed(value)
    assert arrived.device.type == "cpu"
    assert torch.equal(arrived, value.cpu())


def test_a_default_device_does_not_change_where_tensors_arrive() -> None:
    with torch.device("meta"):
        arrived = crossed(torch.ones(3, device="cpu"))
    assert arrived.device.type == "cpu"


def test_kin_of_plain_types_arrive_as_those() -> None:
    ordered = OrderedDict(a=1, b=torch.Size([2, 3]), c=3)
    ordered.move_to_end("a")
    arrived = crossed(ordered)
    assert spelled(arrived) == spelled({"b": (2, 3), "c": 3, "a": 1})
    assert spelled(crossed({torch.Size([2]): 1})) == spelled({(2,): 1})


def test_what_arrives_owns_its_memory() -> None:
    tensor, array = torch.zeros(4), np.zeros(4)
    frame = wire.pack({}, {"both": [tensor, tensor, array, array]})
    here, there = socket.socketpair()
    with here, there:
        wire.write(here, frame)
        _, values = wire.read(there)
    arrived: Any = values["both"]
    for item in arrived:
        item += 1
        item[0] = 5
    assert [item.tolist() for item in arrived] == [[5.0, 1.0, 1.0, 1.0]] * 4
    assert tensor.sum() == array.sum() == 0
    again: Any = wire.decode(*wire.encode(tensor))
    again += 1
    assert tensor.sum() == 0, "also without a socket"


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_a_bool_is_true_or_false_whatever_its_byte(kind: str) -> None:
    code = "b1" if kind == "array" else "bool"
    arrived: Any = wire.decode([kind, code, [3]], [b"\x00\x02\xff"])
    assert list(arrived.view("u1" if kind == "array" else torch.uint8)) == [0, 1, 1]
    assert np.asarray(wire.decode(["scalar", "b1", "ff"], [])).tobytes() == b"\x01"


def test_large_contents_arrive_between_small_ones() -> None:
    big = torch.arange(3 * wire.CHUNK, dtype=torch.int32)
    values = [b"x" * 10, big, np.arange(wire.CHUNK), "y" * (2 * wire.CHUNK), b"", torch.zeros(3)]
    for arrived, value in zip(crossed(values), values, strict=True):
        assert type(arrived) is type(value)
        assert np.array_equal(arrived, value)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.binary() | st.text(
    st.characters()
)  # fmt: skip
KEYS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | st.text()
ARRAYS = hnp.arrays(
    st.sampled_from(["?", "i1", "u2", "<i4", ">i8", "f2", ">f4", "f8", "c8", "c16"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
TENSORS = st.builds(
    lambda data, name: torch.tensor(list(data), dtype=torch.uint8).view(getattr(torch, name)),
    st.integers(0, 4).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n)),
    st.sampled_from([name for name in TORCH_DTYPES if name != "bool"]),
)
VALUES = st.recursive(
    PLAIN | ARRAYS.map(lambda array: array.astype(array.dtype.newbyteorder("="))) | TENSORS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS | st.tuples(KEYS, KEYS), inner)
        | st.sets(KEYS)
    ),
    max_leaves=12,
)


@QUICK
@given(VALUES)
def test_any_value_arrives_exactly(value: object) -> None:
    assert spelled(crossed(value)) == spelled(value)


@QUICK
@given(ARRAYS)
def test_any_array_arrives_with_its_values(array: np.ndarray[Any, Any]) -> None:
    native = array.astype(array.dtype.newbyteorder("="))
    assert spelled(crossed(array)) == spelled(native)


# What is refused


class Text(str):
    """A student's own."""

    __slots__ = ()


class Number(int):
    """A student's own."""


class Layer(torch.Tensor):
    """A student's own."""


class Rows(np.ndarray):  # type: ignore[type-arg]
    """A student's own."""


class Words(dict[str, int]):
    """A student's own."""


Point = namedtuple("Point", "x y")

REFUSED: dict[str, Callable[[], object]] = {
    f"{__name__}.Text": lambda: Text("a"),
    f"{__name__}.Number": lambda: Number(1),
    f"{__name__}.Layer": lambda: torch.zeros(2).as_subclass(Layer),
    f"{__name__}.Rows": lambda: np.zeros(2).view(Rows),
    f"{__name__}.Words": lambda: Words(a=1),
    f"{__name__}.Point": lambda: Point(1, 2),
    "torch.nn.modules.linear.Linear": lambda: torch.nn.Linear(1, 1),
    "torch.Tensor in layout torch.sparse_coo": lambda: torch.eye(2).to_sparse(),
    "torch.Tensor in layout torch.sparse_csr": lambda: torch.eye(2).to_sparse_csr(),
    "torch.Tensor that is nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "torch.Tensor of dtype quint8": lambda: torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.quint8),
    "torch.Tensor on the meta device": lambda: torch.zeros(2, device="meta"),
    "torch.nn.parameter.Parameter on the meta device": lambda: torch.nn.Parameter(torch.zeros(2, device="meta")),
    "an array of more than 64 dimensions": lambda: torch.zeros((1,) * 65),
    "an array of more than 281,474,976,710,656 bytes": lambda: torch.zeros((0, 2**40, 2**7)),
    "numpy.matrix": lambda: np.zeros((2, 2)).view(np.matrix),
    "numpy.ma.MaskedArray": lambda: np.ma.zeros(2),
    "numpy.str_": lambda: np.str_("a"),
    "numpy.datetime64": lambda: np.datetime64("2020-01-01"),
    "numpy.longdouble": lambda: np.longdouble(1),
    "numpy.dtypes.Float64DType": lambda: np.dtype("f8"),
    "numpy.ndarray of dtype object": lambda: np.array([{}]),
    "numpy.ndarray of dtype str32": lambda: np.array(["a"]),
    "numpy.ndarray of dtype datetime64[D]": lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    "numpy.ndarray of dtype void64": lambda: np.zeros(2, dtype=[("a", "f8")]),
    f"numpy.ndarray of dtype {np.dtype('g').name}": lambda: np.zeros(2, dtype="g"),
    "collections.defaultdict": lambda: defaultdict(int),
    "collections.Counter": lambda: Counter("a"),
    "fractions.Fraction": lambda: Fraction(1, 2),
    "_io.BytesIO": io.BytesIO,
    "frozenset": frozenset,
    "bytearray": bytearray,
    "function": lambda: crossed,
    "builtin_function_or_method": lambda: len,
    "type": lambda: int,
    "module": lambda: math,
    "generator": lambda: (i for i in ()),
    "range": lambda: range(3),
    "object": object,
    "an int of more than 4096 bits": lambda: 2**4096,
    "torch.Tensor as a key or in a set": lambda: {torch.zeros(1)},
    "frozenset as a key or in a set": lambda: {(1, (frozenset(),)): 1},
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested", "ignore:Sparse CSR", "ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_cross_is_refused_by_name(reason: str) -> None:
    with pytest.raises(wire.CannotCross) as caught:
        wire.encode(REFUSED[reason]())
    assert caught.value.reason == reason
    assert str(caught.value) == f"{reason} cannot cross"


def test_a_refusal_says_where_inside_the_value() -> None:
    value = {"a": [1, 2, {3: object()}], (1,): 2}
    with pytest.raises(wire.CannotCross, match=r"^object at \['a'\]\[2\]\[3\] cannot cross$"):
        wire.encode(value)
    with pytest.raises(wire.CannotCross, match=r"^object at parts\[1\] cannot cross$"):
        wire.pack({}, {"parts": (1, object())})
    with pytest.raises(wire.CannotCross, match=r"^object at \[tuple\]\['k{36}\.\.\.\] cannot cross$"):
        wire.encode({(1, 2): {"k" * 100: object()}})


def test_a_value_inside_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(wire.CannotCross, match=r"^a value nested more than 50 deep at (\[0\])+\S*\.\.\. cannot cross$"):
        wire.encode(loop)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {0: v}], ids=["list", "tuple", "dict"])
def test_depth_has_one_limit_on_both_sides(wrap: Callable[[object], object]) -> None:
    value: object = complex(math.nan, 0)
    for _ in range(wire.MAX_DEPTH):
        value = wrap(value)
    tree, buffers = wire.encode(value)
    assert spelled(wire.decode(tree, buffers)) == spelled(value)
    with pytest.raises(wire.CannotCross, match="nested more than 50 deep"):
        wire.encode(wrap(value))
    with pytest.raises(wire.WireError, match="nested more than 50 deep"):
        wire.decode(["list", tree], buffers)
    key: object = 0
    for _ in range(wire.MAX_DEPTH):
        key = (key,)
    with pytest.raises(wire.CannotCross, match="nested more than 50 deep"):
        wire.encode({key})


def test_too_much_is_refused_before_it_is_copied() -> None:
    for value in [torch.zeros(1).expand(2**40), np.broadcast_to(np.float32(0), (2**20, 2**20))]:
        with pytest.raises(wire.CannotCross, match=r"^more than 268,435,456 bytes of contents"):
            wire.encode(value)
    for value in [b"12345678901", "\xe9" * 1001, [b"123456"] * 2, np.zeros(2), torch.zeros(3)]:
        with pytest.raises(wire.CannotCross, match=r"^more than 10 bytes of contents"):
            wire.encode(value, cap=10)
    same = [[None] * 1000] * 1000
    with pytest.raises(wire.CannotCross, match=r"^more than 1,000,000 values at \[999\] cannot"):
        wire.encode(same)
    with pytest.raises(wire.CannotCross, match=r"^more than 32 MiB of text and numbers"):
        wire.encode(["," * 1000] * 6000)


def test_the_longest_header_that_is_sent_is_read() -> None:
    assert len(crossed([","] * 900_000)) == 900_000
    assert len(crossed(["," * 1000] * 5500)) == 5500


def test_some_values_cross_and_the_others_are_reported(pair: Pair) -> None:
    here, there = pair
    values = {"x": torch.ones(2), "net": torch.nn.Linear(1, 1), "half": [b"abc", {"f": len}], "y": np.float64(2)}
    frame, refused = wire.pack_some({"ended": "well"}, values)
    assert refused == {"net": "torch.nn.modules.linear.Linear", "half": "builtin_function_or_method at [1]['f']"}
    frame.message["lost"] = refused
    wire.write(here, frame)
    message, arrived = wire.read(there)
    assert message == {"ended": "well", "lost": refused}
    assert spelled(arrived) == spelled({"x": torch.ones(2), "y": np.float64(2)})


def test_what_does_not_fit_leaves_room_for_the_rest() -> None:
    frame, refused = wire.pack_some({}, {"a": b"1" * 8, "b": b"2" * 8, "c": b"33"}, cap=10)
    assert list(frame.trees) == ["a", "c"]
    assert refused == {"b": "more than 10 bytes of contents"}


def test_nothing_is_written_when_a_value_cannot_cross(pair: Pair) -> None:
    here, there = pair
    with pytest.raises(wire.CannotCross, match=r"object at x\[0\]"):
        wire.send(here, {}, {"big": torch.ones(9), "x": [object()]})
    for message in [{"a": object()}, {"a": math.nan}]:
        with pytest.raises(wire.CannotCross, match="a message that is not plain JSON"):
            wire.send(here, message, {})
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        there.recv(1)


# What lies about itself


CALLED: list[str] = []


def _tell(name: str) -> Callable[..., Any]:
    def method(*_: object, **__: object) -> Any:
        CALLED.append(name)
        return 0

    return method


HOOKS = ["__reduce__", "__reduce_ex__", "__eq__", "__hash__", "__len__", "__iter__", "__getitem__", "__bool__",
         "__float__", "__int__", "__index__", "__str__", "__repr__", "__format__", "__array__", "__getattribute__",
         "__torch_function__", "__array_ufunc__", "__array_function__", "__buffer__", "__dlpack__", "items", "keys",
         "detach", "cpu", "tobytes", "__del__"]  # fmt: skip


class Liar(type):
    """A metaclass that answers for every class."""

    def __getattribute__(cls, name: str) -> Any:
        CALLED.append(f"type {name}")
        return int if name == "__class__" else super().__getattribute__(name)

    def __hash__(cls) -> int:
        CALLED.append("type hash")
        return hash(int)

    def __eq__(cls, other: object) -> bool:
        CALLED.append("type eq")
        return True

    def __instancecheck__(cls, instance: object) -> bool:
        CALLED.append("type instancecheck")
        return True


@pytest.mark.parametrize("base", [object, int, float, str, bytes, list, tuple, dict, set, OrderedDict])
def test_nothing_of_a_lying_object_is_called(base: type) -> None:
    hooks = {hook: _tell(hook) for hook in HOOKS} | {"__class__": property(_tell("__class__"))}
    evil = Liar("Evil", (base,), {**hooks, "__module__": "notebook"})
    value = object.__new__(evil) if base is object else base.__new__(evil)
    places: list[object] = [value, [value], {"a": value}, OrderedDict(a=value), (1, value)]
    CALLED.clear()
    for place in places:
        with pytest.raises(wire.CannotCross, match=r"^notebook\.Evil( at |\b)"):
            wire.encode(place)
    assert CALLED == []
    assert evil == value, "the liar does tell when it is asked"
    assert CALLED != []


def test_nothing_of_a_lying_key_is_called() -> None:
    evil = type("Evil", (), {"__module__": "notebook", "__eq__": _tell("eq"), "__hash__": _tell("hash")})
    plain: list[object] = [{evil()}, {evil(): 1}, {(1, evil()): 1}]
    places = [*plain, OrderedDict({evil(): 1}), OrderedDict({(evil(),): 1})]
    CALLED.clear()
    for place in places:
        with pytest.raises(wire.CannotCross, match=r"^notebook\.Evil as a key or in a set cannot cross$"):
            wire.encode(place)
    assert CALLED == []


def test_an_attribute_of_a_tensor_does_not_replace_a_method() -> None:
    tensor: Any = torch.ones(2)
    for name in ["detach", "cpu", "contiguous", "numpy"]:
        setattr(tensor, name, _tell(name))
    CALLED.clear()
    assert torch.equal(crossed(tensor), torch.ones(2))
    assert CALLED == []


def test_a_name_that_is_no_text_or_no_line_is_shown_harmlessly() -> None:
    unnamed = type("A\x1b[31m\nB", (), {"__module__": 5})
    with pytest.raises(wire.CannotCross, match=r"^A\?\[31m\?B cannot cross$"):
        wire.encode(unnamed())
    with pytest.raises(wire.CannotCross) as caught:
        wire.encode(type("A" * 1000, (), {})())
    assert len(caught.value.what) == 120


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_stays_bytes(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    bomb = pickle.dumps(Bomb(marker), protocol=0)
    with pytest.raises(wire.CannotCross, match=r"\.Bomb cannot cross$"):
        wire.encode(Bomb(marker))
    text = bomb.decode("ascii")
    for value in [bomb, text, text * 50, {bomb: text}, np.frombuffer(bomb, "u1"), torch.tensor(list(bomb))]:
        assert spelled(crossed(value)) == spelled(value)
    objects = [["array", "O8", [1]], ["array", "|O", [1]], ["scalar", text, text]]
    for tree in [["pickle"], ["object", text], [text], *objects]:
        with pytest.raises(wire.WireError):
            wire.decode(tree, [bomb])
    assert not marker.exists()
    pickle.loads(bomb)
    assert marker.exists(), "the pickle does make the file when it is loaded"


# The socket


def test_frames_follow_one_another_and_nothing_more_is_read(pair: Pair) -> None:
    here, there = pair
    wire.send(here, {"n": 1}, {"x": np.arange(3)})
    wire.send(here, {"n": 2, "text": "\ud83d\ude00", "deep": [[{}]]}, {})
    here.sendall(b"+")
    assert wire.read(there)[0] == {"n": 1}
    assert wire.read(there) == ({"n": 2, "text": "\ud83d\ude00", "deep": [[{}]]}, {})
    assert there.recv(10) == b"+", "descriptors may follow a frame"


@pytest.mark.parametrize("sent", [0, 1, 19, 20, 25, -1])
def test_a_peer_that_is_gone_ends_the_reading(pair: Pair, sent: int) -> None:
    here, there = pair
    here.sendall(as_bytes({"a": 1}, {"x": b"123"})[:sent])
    here.close()
    with pytest.raises(EOFError, match="the other side is gone"):
        wire.read(there)


def test_a_peer_that_died_with_our_words_unread_is_gone(pair: Pair) -> None:
    here, there = pair
    there.sendall(b"unread")
    here.close()
    with pytest.raises(EOFError, match="the other side is gone"):
        wire.read(there)


def test_a_silent_peer_times_out(pair: Pair) -> None:
    here, there = pair
    here.sendall(as_bytes({}, {})[:-1])
    there.settimeout(0.01)
    with pytest.raises(TimeoutError):
        wire.read(there)


def as_bytes(message: dict[str, object], values: dict[str, object]) -> bytes:
    here, there = socket.socketpair()
    with here, there:
        wire.send(here, message, values)
        return there.recv(100_000)


# What is installed


def python(code: str) -> str:
    """Run code in a fresh interpreter that sees the folder of `wire` and nothing else of ours."""
    return subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", f"import sys\nsys.path.insert(0, {str(FOLDER)!r})\n{code}"],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip


def test_it_is_a_module_of_its_own_that_imports_neither_numpy_nor_torch() -> None:
    code = "import wire\nassert wire.decode(*wire.encode([1, 'a', {2.5: b'x'}])) == [1, 'a', {2.5: b'x'}]\n"
    assert python(f"{code}print(sorted({{'numpy', 'torch', 'proctor', 'pickle'}} & set(sys.modules)))") == "[]\n"


def test_without_torch_arrays_still_cross_and_without_numpy_plain_data() -> None:
    code = """
sys.modules["torch"] = None
import wire
try:
    wire.decode(["tensor", "float32", [1]], [bytes(4)])
except wire.WireError as error:
    print(error)
print(wire.decode(["array", "f4", [1]], [bytes(4)]))
"""
    assert python(code) == "a value needs torch, which this side does not have\n[0.]\n"
    code = """
sys.modules["numpy"] = None
import wire
print(wire.decode(*wire.encode([1, b"a"])))
try:
    wire.decode(["array", "f4", [1]], [bytes(4)])
except wire.WireError as error:
    print(error)
"""
    assert python(code) == "[1, b'a']\na value needs numpy, which this side does not have\n"


def test_a_side_that_imported_nothing_receives_tensors_without_a_warning() -> None:
    code = "import wire\nprint(wire.decode(['tensor', 'complex32', [2]], [bytes(8)]).dtype)"
    assert python(code) == "torch.complex32\n"
