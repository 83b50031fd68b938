"""A GPU is shown when it is asked for, and only then; run with `pytest -m gpu` on a machine that has one."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from proctor.sandbox import Caps, Place, room, rung_here

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="no NVIDIA GPU here"),
    pytest.mark.skipif(not rung_here(), reason=f"no sandbox here: {rung_here().why}"),
]

PROGRAM = """
import socket, sys
control = socket.socket(fileno=int(sys.argv[-1]))
try:
    import torch
    x = torch.arange(1000.0, device="cuda")
    control.sendall(f"{torch.cuda.is_available()} {float((x * x).sum()):.0f}".encode())
except Exception as error:
    control.sendall(f"{type(error).__name__}: {error}".encode())
"""


def said(tmp_path: Path, *, gpu: bool) -> str:
    """Return what a program says that computes on the GPU."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")

    async def ask() -> str:
        async with room([sys.executable, str(script)], Place(gpu=gpu), Caps(), rung="bubblewrap") as opened:
            opened.control.settimeout(120)  # s; CUDA's first start is slow
            return (await asyncio.to_thread(opened.control.recv, 1000)).decode()

    return asyncio.run(ask())


def test_a_kernel_runs_on_a_gpu_that_was_asked_for(tmp_path: Path) -> None:
    assert said(tmp_path, gpu=True) == f"True {sum(n * n for n in range(1000))}"


def test_a_gpu_that_was_not_asked_for_is_not_there(tmp_path: Path) -> None:
    assert said(tmp_path, gpu=False).startswith(("RuntimeError", "AssertionError"))
