"""Run the tests that train on this machine's GPU, beside the same on its CPU, and write down what came out.

Run it by `make gpu-check`. It needs PyTorch, NumPy and matplotlib, which a cell of an assignment draws with, and no
Jupyter: nothing of this project need be installed. The same bounds hold on both devices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from machine import machine
from reference import ASSIGNMENTS, CodeCell, Reference

sys.path.insert(0, str(ASSIGNMENTS.parent / "src"))

RESULT = Path(__file__).resolve().parent / "results" / "gpu.json"
SEEDS = (1, 2, 3)
PICKS = "pick_device"  # a test without it trains with NumPy


def main() -> int:
    """Run, print one line for each test, write the result; return 1 if a test does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps; cpu compares the CPU with itself")
    parser.add_argument("--output", type=Path, default=RESULT, help="the file to write")
    options = parser.parse_args()
    if problem := missing(options.device):
        parser.error(problem)
    tests = [
        tried(reference, test, options.device)
        for reference in map(Reference, sorted(path.parent.name for path in ASSIGNMENTS.glob("*/answers.md")))
        for test in reference.tests
        if test.slow and PICKS in test.source
    ]
    result = {
        "what": f"the tests that train, for the reference solution and {len(SEEDS)} seeds, on the CPU and on a GPU",
        "command": "make gpu-check",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "device": name_of(options.device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "holds": all(not test["problems"] for test in tests),
        "tests": tests,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['device']}, torch {torch.__version__}: written to {options.output}")
    return int(not result["holds"])


def missing(device: str) -> str:
    """Return why a device cannot be used; nothing if it can."""
    try:
        torch.zeros(1, device=device)
    except (AssertionError, RuntimeError) as error:
        return f"'{device}' cannot be used here: {str(error).splitlines()[0]}"
    return ""


def name_of(device: str) -> str:
    """Return the device's name as its maker gives it."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def tried(reference: Reference, test: CodeCell, device: str) -> dict[str, Any]:
    """Return what one test said on both devices, how long it took on each, and whether it used the GPU."""
    seconds, problems = {}, []
    for place in ("cpu", device):
        os.environ["DESCENT_DEVICE"] = place
        times = []
        for number, seed in enumerate((SEEDS[0], *SEEDS)):  # the first warms the device up
            began = time.perf_counter()
            problems += said(reference, test, seed, place)
            if number:
                times.append(time.perf_counter() - began)
        seconds[place] = min(times)
    if device.startswith("cuda") and not torch.cuda.max_memory_allocated(device):
        problems.append(f"nothing was ever on {device}")
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    ratio = seconds["cpu"] / seconds[device]
    print(f"{reference.name} {test.name}: {'; '.join(problems) or 'holds'}; the CPU takes {ratio:.2f} times as long")
    shown = {place: round(value, 3) for place, value in seconds.items()}
    return {
        "assignment": reference.name,
        "test": test.name,
        "problems": problems,
        "seconds": shown,
        "ratio_of_cpu_to_device": round(ratio, 2),
    }


def said(reference: Reference, test: CodeCell, seed: int, place: str) -> list[str]:
    """Return what the test says against one run; nothing if it holds."""
    try:
        measured = reference.run(test, seed=seed)
    except Exception as error:  # whatever a test may raise is one line of the report
        return [f"on {place}, seed {seed}: {type(error).__name__}: {error}"]
    return [
        f"on {place}, seed {seed}: {each.name} is {each.value:.4g}, not {each.side} {each.bound:.4g}"
        for each in measured
        if not each.holds
    ]


if __name__ == "__main__":
    sys.exit(main())
