"""The reference solution of an assignment, run cell by cell in this process, with what its tests measure written down.

Needs PyTorch and what the assignment itself imports, and no Jupyter: a machine with a GPU often has none.
"""

from __future__ import annotations

import hashlib
import random
import re
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

__all__ = ["ASSIGNMENTS", "CodeCell", "Measured", "Reference", "digest", "read_code_cells"]

ASSIGNMENTS = Path(__file__).resolve().parent.parent / "assignments"
FENCE = re.compile(
    r"^```\{code-cell\} ipython3\n(?P<keys>(?::[^\n]*\n)*)(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL
)
BOUNDS = {"check_at_least": "at least", "check_at_most": "at most"}


@dataclass(frozen=True)
class CodeCell:
    """A code cell of an assignment."""

    name: str
    source: str
    tests: tuple[str, ...]  # the solution cells that it judges; none if it is no test
    slow: bool  # it trains


@dataclass(frozen=True)
class Measured:
    """A number that a test compared with a bound."""

    name: str
    side: Literal["at least", "at most"]
    bound: float
    value: float

    @property
    def holds(self) -> bool:
        """Whether the number is on the right side; NaN is not."""
        return self.value >= self.bound if self.side == "at least" else self.value <= self.bound


def read_code_cells(path: Path) -> tuple[CodeCell, ...]:
    """Return the code cells of an assignment's file, in order."""
    return tuple(_cells(path.read_text(encoding="utf-8")))


def digest(cells: Sequence[CodeCell], test: CodeCell) -> str:
    """Return what changes when a test does, or any cell that is no test."""
    text = "\n".join(cell.source for cell in cells if not cell.tests or cell == test)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cells(text: str) -> Iterator[CodeCell]:
    for found in FENCE.finditer(text):
        keys = dict(line[1:].split(": ", 1) for line in found["keys"].splitlines())
        tests = tuple(name.strip() for name in keys.get("tests", "").split(",") if name.strip())
        yield CodeCell(keys["name"], found["source"], tests, keys.get("slow") == "true")


class Reference:
    """The notebook of an assignment up to its tests: every given cell and every solution has run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cells = cells = read_code_cells(ASSIGNMENTS / name / f"{name}.md")
        self.tests = tuple(cell for cell in cells if cell.tests)
        self._module = types.ModuleType("__main__")
        for cell in (each for each in cells if not each.tests):
            exec(compile(cell.source, f"<{name}: {cell.name}>", "exec"), self._module.__dict__)

    def run(self, test: CodeCell, *, seed: int) -> list[Measured]:
        """Run a test cell; return what it measured, in order, whether or not it is within its bounds.

        The generators that students' code draws from are seeded, as they are in grading.

        Raises:
            Exception: whatever else the test does not like.
        """
        measured: list[Measured] = []
        names = {**self._module.__dict__, "seed": seed}
        for check, side in BOUNDS.items():
            names[check] = _recorder(side, measured)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        exec(compile(test.source, f"<{test.name}>", "exec"), names)
        return measured


def _recorder(side: Any, measured: list[Measured]) -> Callable[..., None]:
    def record(value: Any, bound: float, *, name: str, hint: str = "") -> None:  # noqa: ARG001  as the check takes it
        measured.append(Measured(name, side, float(bound), float(value)))

    return record
