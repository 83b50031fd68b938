"""Sandboxes furnished for an assignment: its files, the packages that it imports, its device."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from proctor.channel import Channel
from proctor.errors import EngineError
from proctor.keeper import Keeper
from proctor.sandbox import Caps, Place, Room, room

__all__ = ["SEED", "VISIBLE", "Furniture", "Rooms", "furnished", "imports_of", "open_room"]

MAIN = Path(__file__).parent / "inside" / "main.py"
SEED = "DESCENT_SEED"  # the secret itself stays with the judge
VISIBLE = "CUDA_VISIBLE_DEVICES"
AHEAD = {"optim": "torch._dynamo"}  # the first optimizer imports it: a second, in each copy of a session once more
DATA = "DESCENT_DATA"  # names the folder of data sets that notebooks read, outside the sandbox and in it


@dataclass(frozen=True)
class Furniture:
    """What the sandbox of an assignment shows, apart from the student's work."""

    modules: tuple[str, ...] = ()  # imported before any session starts, so that none of the student's can hide one
    ahead: tuple[str, ...] = ()  # imported as well, if they are there: what those import only when they are used
    packages: tuple[Path, ...] = ()  # those of them that stand outside this Python, as when installed for development
    files: Path | None = None  # folder of the assignment's other files
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: bool = False


def furnished(
    sources: Sequence[str], *, tests: Sequence[str] = (), files: Path | None = None, device: str = "cpu"
) -> Furniture:
    """Return what notebooks with these code cells of the instructor's need.

    Args:
        sources: of the instructor's cells that are given to students; others may import what nobody has.
        tests: the instructor's cells that judge; what they use is loaded before any session starts.
        files: folder whose files, notebooks apart, stand in the working folder.
        device: "cpu", or "cuda" with or without a number.
    """
    modules = tuple(dict.fromkeys(name for source in sources for name in imports_of(source)))
    environment = {SEED: "0"}
    if device != "cuda":  # which stands for all that there are
        environment[VISIBLE] = device.partition(":")[2]
    if data := os.environ.get(DATA):
        environment[DATA] = str(Path(data).resolve())
    ahead = tuple(module for word, module in AHEAD.items() if any(word in source for source in (*sources, *tests)))
    return Furniture(modules, ahead, _packages(modules), files, environment, gpu=device != "cpu")


def imports_of(source: str) -> tuple[str, ...]:
    """Return the modules that a cell needs, dotted; none if it is no plain Python. What it only tries is left out."""
    with suppress(SyntaxError, ValueError):
        return tuple(name for node in _outside_try(ast.parse(source)) for name in _modules(node))
    return ()


def _outside_try(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is below it, but not what a `try` may do without."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.Try, ast.TryStar)):
            yield from _outside_try(child)


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def _packages(modules: Sequence[str]) -> tuple[Path, ...]:
    """Return where those modules stand that this Python finds outside its own folders."""
    own = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    found: dict[Path, None] = {}
    for name in dict.fromkeys(each.partition(".")[0] for each in modules):
        spec = None
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
        if spec is None or not spec.origin or not Path(spec.origin).is_absolute():
            continue  # built in, or not there: importing it says so
        origin = Path(spec.origin).resolve()
        if not any(origin.is_relative_to(folder) for folder in own):
            found[origin.parent if origin.name == "__init__.py" else origin] = None
    return tuple(found)


@asynccontextmanager
async def open_room(furniture: Furniture, *, caps: Caps, rung: str) -> AsyncIterator[tuple[Room, Keeper]]:
    """Open a sandbox and have its first process import what the notebooks will.

    Raises:
        EngineError: it does not start, or a module is missing in it.
    """
    data = furniture.environment.get(DATA)
    place = Place(
        work=furniture.files,
        packages=furniture.packages,
        readable=(Path(data),) if data else (),
        environment=furniture.environment,
        gpu=furniture.gpu,
    )
    async with room([sys.executable, "-I", "-B", str(MAIN)], place, caps, rung=rung) as opened:
        control = Channel(opened.control)
        keeper = Keeper(control)
        try:
            if missing := await keeper.prepare(furniture.modules, ahead=furniture.ahead):
                raise EngineError(
                    f"the assignment's own cells import what cannot be had here: {missing[0]}",
                    where="the sandbox",
                    todo="install it into this Python, then grade again",
                )
            yield opened, keeper
        finally:
            await control.close()


class Rooms:
    """Several open sandboxes, lent one at a time; for answers that we trust, since each serves many of them."""

    def __init__(self) -> None:
        self._free: asyncio.Queue[tuple[Room, Keeper]] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def open(cls, count: int, furniture: Furniture, **options: Any) -> AsyncIterator[Rooms]:
        """Open so many sandboxes; `options` as for `open_room`."""
        rooms = cls()
        async with AsyncExitStack() as stack:
            for _ in range(count):
                rooms._free.put_nowait(await stack.enter_async_context(open_room(furniture, **options)))
            yield rooms

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[tuple[Room, Keeper]]:
        """Lend a sandbox; waits until one is free."""
        lent = await self._free.get()
        try:
            yield lent
        finally:
            self._free.put_nowait(lent)
