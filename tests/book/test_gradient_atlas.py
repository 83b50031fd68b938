"""The gradient atlas is complete, small, says how it was made, and holds what its tool measures."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from .conftest import load_tool

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "chapters" / "gradient-atlas.json"
LARGEST = 300_000  # bytes; a page loads it whole
KEYS = ("activation", "initialization", "arrangement", "depth")
AGAIN = [  # the smallest norm, every activation and initialization, every arrangement, shallow and deep
    ("sigmoid", "default", "plain", 100),
    ("sigmoid", "Xavier", "LayerNorm before", 30),
    ("tanh", "He", "BatchNorm after", 10),
    ("tanh", "Xavier", "LayerNorm after", 20),
    ("ReLU", "He", "BatchNorm before", 10),
    ("ReLU", "default", "residual LayerNorm", 30),
    ("GELU", "default", "residual BatchNorm", 5),
    ("GELU", "He", "residual", 2),
]


@pytest.fixture(scope="module")
def atlas() -> dict[str, Any]:
    """The file."""
    read: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The script that wrote the file."""
    return load_tool("gradient_atlas")


def by_key(atlas: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the cells by what they are about."""
    return {tuple(cell[key] for key in KEYS): cell for cell in atlas["cells"]}


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < LARGEST


def test_the_file_says_how_it_was_made(atlas: dict[str, Any], tool: ModuleType) -> None:
    assert atlas["command"] == tool.COMMAND
    assert f"{atlas['command'].removeprefix('make ')}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert atlas["torch"]
    assert atlas["seeds"] == list(tool.SEEDS)
    assert atlas["network"] == {
        "examples": tool.EXAMPLES,
        "width": tool.WIDTH,
        "classes": tool.CLASSES,
        "dtype": "float64",
    }


def test_every_cell_of_the_grid_is_there_once(atlas: dict[str, Any], tool: ModuleType) -> None:
    wanted = set(product(tool.ACTIVATIONS, tool.INITIALIZATIONS, tool.ARRANGEMENTS, tool.DEPTHS))
    assert set(by_key(atlas)) == wanted
    assert len(atlas["cells"]) == len(wanted)


def test_every_cell_holds_a_positive_norm_for_each_seed(atlas: dict[str, Any]) -> None:
    for cell in atlas["cells"]:
        for part in ("first", "last"):
            assert len(cell[part]) == len(atlas["seeds"])
            assert all(math.isfinite(norm) and norm > 0 for norm in cell[part])


@pytest.mark.parametrize("key", AGAIN, ids=lambda key: " ".join(map(str, key)))
def test_measuring_again_gives_the_same(atlas: dict[str, Any], tool: ModuleType, key: tuple[Any, ...]) -> None:
    """A norm may differ by one unit of the last digit that the file keeps.

    Processors may round float32 draws differently, by 1e-7. Weights moved by that much at random change the norms of
    these cells by less than 1e-5. Where gradients explode, such a change explodes too (0.1 after 50 layers of ReLU with
    BatchNorm), so those cells are measured again at 10 layers only.
    """
    activation, initialization, arrangement, depth = key
    seed = atlas["seeds"][-1]
    found = tool.measure(depth, activation, initialization, arrangement, seed)
    cell = by_key(atlas)[key]
    kept = (cell["first"][-1], cell["last"][-1])
    tolerance = 10.0 ** (1 - atlas["digits"])  # one unit of the last digit kept, relative to a leading 1
    assert torch.allclose(
        torch.tensor(found, dtype=torch.float64), torch.tensor(kept, dtype=torch.float64), rtol=tolerance, atol=0
    )
