"""Measure the gradient atlas: how large the gradients of deep networks are before training, and write it as JSON.

    python tools/gradient_atlas.py

The grid is depth × activation × initialization × arrangement, where the arrangement says what else a layer does:
nothing, a normalization before or after the activation, a residual connection.
Each cell holds the norms of the weight gradients of the first and of the last hidden layer, for several seeds.
Networks are drawn in float32, as PyTorch draws them, and then kept in float64: the squares of small gradients would
underflow in float32, and with them the norms.
Another processor may round its float32 draws differently; where gradients explode, that difference grows with depth,
and the deepest of those cells then agree with the file in order of magnitude only.

Source: `chapters/depth.md` derives what the atlas shows, and computes two of its cells with lines of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "chapters" / "gradient-atlas.json"
COMMAND = "make atlas"

EXAMPLES, WIDTH, CLASSES = 256, 64, 10
DIGITS = 4  # significant digits kept; seeds differ in the first
SEEDS = range(5)
DEPTHS = (2, 5, 10, 20, 30, 50, 100)
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu, "GELU": F.gelu}
INITIALIZATIONS = {
    "default": None,
    "Xavier": nn.init.xavier_normal_,
    "He": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
NORMS = {"BatchNorm": nn.BatchNorm1d, "LayerNorm": nn.LayerNorm}
ARRANGEMENTS = {
    "plain": "h = phi(linear(h))",
    "BatchNorm before": "h = phi(norm(linear(h)))",
    "BatchNorm after": "h = norm(phi(linear(h)))",
    "LayerNorm before": "h = phi(norm(linear(h)))",
    "LayerNorm after": "h = norm(phi(linear(h)))",
    "residual": "h = h + phi(linear(h))",
    "residual BatchNorm": "h = h + phi(linear(norm(h)))",
    "residual LayerNorm": "h = h + phi(linear(norm(h)))",
}


def draw(initialization: str, depth: int) -> tuple[list[nn.Linear], nn.Linear]:
    """Return the hidden layers and the output layer, in float64; the output layer is drawn in the default way."""
    layers = [nn.Linear(WIDTH, WIDTH) for _ in range(depth)]
    head = nn.Linear(WIDTH, CLASSES)
    fill = INITIALIZATIONS[initialization]
    for layer in layers if fill else ():
        fill(layer.weight)
        nn.init.zeros_(layer.bias)
    return [layer.double() for layer in layers], head.double()


def measure(depth: int, activation: str, initialization: str, arrangement: str, seed: int) -> tuple[float, float]:
    """Return the norms of the weight gradients of the first and the last hidden layer.

    Inputs are independent standard normal numbers, labels are random, and the loss is the mean cross-entropy: what is
    measured belongs to the network and not to a data set.
    """
    torch.manual_seed(seed)
    X, y = torch.randn(EXAMPLES, WIDTH).double(), torch.randint(CLASSES, (EXAMPLES,))
    layers, head = draw(initialization, depth)
    phi, (form, _, place) = ACTIVATIONS[activation], arrangement.partition(" ")
    kind = place if form == "residual" else form
    h = X
    for layer in layers:
        norm = NORMS[kind](WIDTH).double() if kind in NORMS else nn.Identity()
        if form == "residual":
            h = h + phi(layer(norm(h)))
        elif place == "after":
            h = norm(phi(layer(h)))
        else:
            h = phi(norm(layer(h)))
    ends = (layers[0].weight, layers[-1].weight)
    first, last = torch.autograd.grad(F.cross_entropy(head(h), y), ends)
    return float(first.norm()), float(last.norm())


def grid() -> Iterator[dict[str, Any]]:
    """Yield the cells without their values, in the order of the file."""
    for activation, initialization, arrangement, depth in product(ACTIVATIONS, INITIALIZATIONS, ARRANGEMENTS, DEPTHS):
        yield {
            "activation": activation,
            "initialization": initialization,
            "arrangement": arrangement,
            "depth": depth,
        }


def main() -> None:
    """Measure every cell and write the file, one cell a line."""
    torch.set_num_threads(1)  # networks are small
    cells = []
    for cell in grid():
        pairs = [measure(**cell, seed=seed) for seed in SEEDS]
        values = [[float(f"{value:.{DIGITS - 1}e}") for value in values] for values in zip(*pairs, strict=True)]
        cells.append({**cell, "first": values[0], "last": values[1]})
    about = {
        "what": "norms of the weight gradients of the first and the last hidden layer, before training",
        "command": COMMAND,
        "torch": torch.__version__,
        "seeds": list(SEEDS),
        "digits": DIGITS,
        "network": {"examples": EXAMPLES, "width": WIDTH, "classes": CLASSES, "dtype": "float64"},
        "inputs": "standard normal, with random labels; mean cross-entropy",
        "arrangements": ARRANGEMENTS,
    }
    head = json.dumps(about, indent=1, ensure_ascii=False)[:-2]
    lines = ",\n".join(f"  {json.dumps(cell)}" for cell in cells)
    RESULT.write_text(f'{head},\n "cells": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    print(f"{len(cells)} cells, {len(SEEDS)} seeds each -> {RESULT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
