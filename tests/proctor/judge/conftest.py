"""Tests tried against real copies of a notebook."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proctor.judge.split import import_statements
from proctor.judge.trial import Said, Trial, try_test

Try = Callable[..., Said]


def _rig() -> Any:
    spec = importlib.util.spec_from_file_location("rig", Path(__file__).parents[1] / "inside" / "rig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rig = _rig()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A keeper that has imported what notebooks import."""
    with rig.room(tmp_path_factory.mktemp("room"), "numpy", "torch") as started:
        yield started


@pytest.fixture
def notebook(room: Any) -> Iterator[Any]:
    """A fresh notebook."""
    started = room.notebook()
    yield started
    started.sock.close()
    room.sweep()


@pytest.fixture
def attempt(notebook: Any) -> Iterator[Try]:
    """Run cells of a student's, and try a test against a copy of their notebook; all in the order of the calls."""
    open_sockets: list[socket.socket] = []

    def try_it(
        test: str, cells: str | Sequence[str] = (), *, opening: str = "", limit: float = 20.0, **options: Any
    ) -> Said:
        sources = [opening, *([cells] if isinstance(cells, str) else cells)]
        named = {f"cell-{number}": source for number, source in enumerate(sources)}
        for name, source in named.items():
            ended, outputs = notebook.cell(source, name)
            assert ended == "well", outputs
        copy = notebook.copy()
        open_sockets.append(copy.sock)
        copy.sock.settimeout(limit)
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(opening, "<opening>", "exec", dont_inherit=True), space)
        trial = Trial(test, "one", **{"chance": "secret", "cells": named} | options)
        return try_test(trial, copy.sock, space=space, opening=import_statements(opening)[0])

    yield try_it
    for each in open_sockets:
        each.close()
