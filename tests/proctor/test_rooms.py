"""A sandbox shows what an assignment needs: its files, the packages that it imports, the data, and no secret."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proctor.errors import EngineError
from proctor.keeper import Keeper
from proctor.rooms import DATA, Furniture, Rooms, furnished, imports_of, open_room
from proctor.sandbox import Caps

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Look = Callable[[Furniture, str], str]


async def printed(keeper: Keeper, source: str) -> str:
    """Run a cell in a new session; return what it prints, or its error."""
    session = await keeper.session()
    try:
        _, outputs = await session.run_cell(keeper, "look", source, limit=30)
    finally:
        await session.channel.close()
    return "".join(str(each.get("text", each.get("evalue"))) for each in outputs).strip()


@pytest.fixture
def look(run: Run, rung: str) -> Look:
    """Run a cell in a sandbox with this furniture; return what it prints."""

    def look_inside(furniture: Furniture, source: str) -> str:
        async def go() -> str:
            async with open_room(furniture, caps=Caps(), rung=rung) as (_, keeper):
                return await printed(keeper, source)

        return str(run(go()))

    return look_inside


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import os, a.b as c\nfrom d.e import f", ("os", "a.b", "d.e")),
        ("if True:\n    import g", ("g",)),
        ("try:\n    import quick\nexcept ImportError:\n    quick = None\nimport slow", ("slow",)),
        ("def late():\n    import m", ("m",)),
        ("from . import h\nfrom .i import j", ()),
        ("%matplotlib inline\nimport k", ()),
        ("import (", ()),
        ("x = '\0'", ()),
        ("", ()),
    ],
)
def test_imports_are_read_and_not_run(source: str, modules: tuple[str, ...]) -> None:
    assert imports_of(source) == modules


def test_packages_outside_this_python_are_shown_and_others_need_not_be() -> None:
    kit, own = (find_spec(name) for name in ("coursekit", "descent"))
    assert kit is not None
    assert own is not None
    sources = ["import numpy.linalg, sys", "import coursekit\nimport coursekit, descent.checks, nobody_has_this"]
    furniture = furnished(sources)
    assert furniture.modules == ("numpy.linalg", "sys", "coursekit", "descent.checks", "nobody_has_this")
    assert furniture.packages == (Path(str(kit.origin)), Path(str(own.origin)).parent)


def test_what_an_optimizer_imports_is_loaded_once_for_all_sessions() -> None:
    assert furnished(["import torch"], tests=["y = x.sum()"]).ahead == ()
    assert furnished(["import torch"], tests=["torch.optim.SGD([p], lr=0.1)"]).ahead == ("torch._dynamo",)


def test_a_package_outside_is_found_inside(look: Look) -> None:
    source = "import coursekit, descent\nprint(coursekit.seed, descent.__name__)"
    assert look(furnished(["import coursekit, descent"]), source) == "0 descent"


def test_a_module_that_the_assignment_needs_and_nobody_has_is_a_fault_of_ours(look: Look) -> None:
    with pytest.raises(EngineError, match="nobody_has_this: ModuleNotFoundError: No module named") as caught:
        look(furnished(["import nobody_has_this"]), "print('not reached')")
    assert caught.value.todo == "install it into this Python, then grade again"


def test_the_seed_inside_is_never_the_secret(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENT_SEED", "4321")
    assert look(furnished([]), "import os; print(os.environ['DESCENT_SEED'], '4321' in str(os.environ))") == "0 False"


def test_files_of_the_assignment_stand_in_the_current_folder(look: Look, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "numbers.csv").write_text("1,2", encoding="utf-8")
    (tmp_path / "more" / "helper.py").write_text("x = 3", encoding="utf-8")
    (tmp_path / "beside.py").write_text("y = 4", encoding="utf-8")
    (tmp_path / "random.py").write_text("raise SystemExit", encoding="utf-8")
    source = """
import random, beside
print(open("numbers.csv").read(), open("more/helper.py").read(), beside.y, random.__file__ != "random.py")
_ = open("numbers.csv", "w").write("changed"), open("new.txt", "w").write("new")
"""
    assert look(furnished(["import random"], files=tmp_path), source) == "1,2 x = 3 4 True"
    assert (tmp_path / "numbers.csv").read_text(encoding="utf-8") == "1,2", "it was a copy"
    assert not (tmp_path / "new.txt").exists()


def test_data_is_read_where_it_lies(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits.bin").write_bytes(b"12345")
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv(DATA, tmp_path.name)
    furniture = furnished([])
    assert furniture.environment[DATA] == str(tmp_path.resolve()), "the sandbox has another current folder"
    source = f"import os, pathlib\nprint(pathlib.Path(os.environ[{DATA!r}], 'digits.bin').read_text())"
    assert look(furniture, source) == "12345"


def test_data_cannot_be_changed_from_inside(run: Run, sandboxed: str, tmp_path: Path) -> None:
    (tmp_path / "digits.bin").write_bytes(b"12345")

    async def go() -> str:
        furniture = Furniture(environment={DATA: str(tmp_path)})
        async with open_room(furniture, caps=Caps(), rung=sandboxed) as (_, keeper):
            return await printed(keeper, f"open({str(tmp_path / 'digits.bin')!r}, 'ab')")

    assert "ermission denied" in (said := run(go())) or "Read-only" in said


@pytest.mark.parametrize(("device", "visible"), [("cpu", ""), ("cuda:1", "1"), ("cuda", None)])
def test_only_the_gpu_asked_for_is_shown(device: str, visible: str | None) -> None:
    furniture = furnished([], device=device)
    assert furniture.environment.get("CUDA_VISIBLE_DEVICES") == visible
    assert furniture.gpu == (device != "cpu")


def test_modules_are_imported_before_any_session(look: Look) -> None:
    furniture = replace(furnished([]), modules=("colorsys",))
    assert look(furniture, "import sys\nprint('colorsys' in sys.modules, 'wave' in sys.modules)") == "True False"


def test_a_lent_sandbox_is_nobody_elses_until_it_is_given_back(run: Run) -> None:
    async def go() -> None:
        async with Rooms.open(2, Furniture(), caps=Caps(), rung="trusted") as rooms:
            async with rooms.lend() as first:
                async with rooms.lend() as second:
                    assert first[0] is not second[0]
                    waiting = asyncio.create_task(anext_lent(rooms))
                    for _ in range(5):
                        await asyncio.sleep(0)
                    assert not waiting.done()
                assert await waiting is second[1]
            async with rooms.lend() as (room, keeper):
                assert room.alive
                assert await printed(keeper, "print(1)") == "1"

    run(go())


async def anext_lent(rooms: Rooms) -> Keeper:
    async with rooms.lend() as (_, keeper):
        return keeper
