"""Measure what the reference solutions reach in the tests that train, and how far from it the bounds are.

Run it by `make bands` after a change of an assignment that trains. A bound is at least five standard deviations from
the mean, so that a right answer does not lose points by an unlucky seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import machine
from reference import ASSIGNMENTS, Measured, Reference, digest

__all__ = ["DEVIATIONS", "RESULT", "SEEDS", "margin"]

RESULT = Path(__file__).resolve().parent / "results" / "bands.json"
SEEDS = tuple(random.Random(number).getrandbits(62) for number in range(20))  # as large as secret seeds are
DEVIATIONS = 5  # between the mean and the bound, at least


def main() -> int:
    """Measure, print a table, write the result; return 1 if a bound is too near."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ASSIGNMENT", help="measure these again; all, if none is named")
    asked = parser.parse_args().names
    known = sorted(path.parent.name for path in ASSIGNMENTS.glob("*/answers.md"))
    if unknown := sorted(set(asked) - set(known)):
        parser.error(f"there is no assignment {unknown[0]!r}; there are {', '.join(known)}")
    before = json.loads(RESULT.read_text(encoding="utf-8"))["assignments"] if RESULT.is_file() else {}
    kept = {name: cells for name, cells in before.items() if name in known}
    bands = {name: measure(name) if name in (asked or known) else kept.get(name, {}) for name in known}
    result = {
        "what": f"what the reference reaches in the tests that train, over {len(SEEDS)} seeds",
        "command": "make bands",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "torch": torch.__version__,
        "assignments": bands,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return report(bands)


def measure(name: str) -> dict[str, Any]:
    """Return the bands of each cell of an assignment that trains."""
    reference = Reference(name)
    cells = {}
    for test in (each for each in reference.tests if each.slow):
        print(f"{name}: {test.name}", file=sys.stderr)
        runs = [reference.run(test, seed=seed) for seed in SEEDS]
        cells[test.name] = {"digest": digest(reference.cells, test), "measured": summed_up(runs)}
    return cells


def summed_up(runs: list[list[Measured]]) -> list[dict[str, Any]]:
    """Return mean, deviation and worst value of each number that the runs measured."""
    rows = []
    for same in zip(*runs, strict=True):
        one, values = same[0], [each.value for each in same]
        worst = min(values) if one.side == "at least" else max(values)
        spread = {"mean": statistics.fmean(values), "deviation": statistics.stdev(values), "worst": worst}
        rows.append({"name": one.name, "side": one.side, "bound": one.bound, "seeds": len(values), **spread})
    return rows


def margin(row: dict[str, Any]) -> float:
    """Return how many standard deviations lie between the mean and the bound."""
    room = row["mean"] - row["bound"] if row["side"] == "at least" else row["bound"] - row["mean"]
    return float(room / row["deviation"]) if row["deviation"] else math.copysign(math.inf, room)


def report(bands: dict[str, Any]) -> int:
    """Print one line for each number; return 1 if the bound of any is too near."""
    near = 0
    for name, cells in bands.items():
        for cell, found in cells.items():
            for row in found["measured"]:
                near += margin(row) < DEVIATIONS
                reached = f"{row['mean']:.4g} ± {row['deviation']:.2g}, worst {row['worst']:.4g}"
                bound = f"{row['side']} {row['bound']:.4g} is {margin(row):.1f} deviations away"
                print(f"{name} {cell}: {row['name']} {reached}; {bound}")
    return int(near > 0)


if __name__ == "__main__":
    sys.exit(main())
