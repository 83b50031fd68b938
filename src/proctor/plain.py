"""A notebook in one ordinary kernel, as Validate runs it: tests beside the student's code, nothing sealed.

Cells run in order in a process of their own, errors included, with the seed of the hidden tests in `DESCENT_SEED`.
The limits are kept here and not left to nbclient, which takes every cancellation for the death of the kernel.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from proctor.errors import EngineError
from proctor.model import CellState, Outcome

__all__ = ["LIMITS", "Limits", "run", "test_cells"]

QUIET = logging.getLogger("proctor.plain")  # what nbclient logs, callers learn from the outcomes
QUIET.addHandler(logging.NullHandler())
STARTUP = 60  # s until a new kernel must answer; a cold disk needs ten
GRACE = 5.0  # s for an interrupted cell to end by itself
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Limits:
    """How long a notebook may run, in seconds."""

    cell: float = 60.0  # the slowest reference cell may take 15, and a slower right answer is still right
    total: float = 300.0


@dataclass(frozen=True)
class Ending:
    """How the run of one cell came to its end; `passed` says only that nothing stopped it."""

    state: CellState = "not judged"
    message: str = "the kernel was gone before this cell could run"


LIMITS = Limits()


def test_cells(notebook: NotebookNode) -> Mapping[str, NotebookNode]:
    """Return the test cells of a notebook by name, in order: graded code that is no solution."""
    graded = (cell for cell in notebook.cells if cell.cell_type == "code" and _marks(cell).get("grade"))
    return {_marks(cell)["grade_id"]: cell for cell in graded if not _marks(cell).get("solution")}


async def run(notebook: NotebookNode, *, seed: int, limits: Limits = LIMITS) -> tuple[Outcome, ...]:
    """Run a notebook and return the outcome of each of its test cells, in order; the notebook itself is not changed.

    Raises:
        EngineError: no kernel could be started.
    """
    notebook = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True) as folder:
        endings = await _run_cells(notebook, folder=folder, seed=seed, limits=limits)
    ended = {id(cell): ending for cell, ending in zip(notebook.cells, endings, strict=True)}
    return tuple(_outcome(name, cell, ended[id(cell)]) for name, cell in test_cells(notebook).items())


async def _run_cells(notebook: NotebookNode, *, folder: str, seed: int, limits: Limits) -> list[Ending]:
    """Run all cells in order; outputs stay in the cells. Nothing runs after a kernel that died or does not let go."""
    deadline = time.monotonic() + limits.total
    endings = [Ending()] * len(notebook.cells)
    manager = AsyncKernelManager(kernel_name="python3", **_sockets(folder))
    client = NotebookClient(notebook, km=manager, timeout=None, startup_timeout=STARTUP, allow_errors=True, log=QUIET)
    client.reset_execution_trackers()
    try:
        await _start(client, folder=folder, seed=seed)
        for index in range(len(notebook.cells)):
            limit = min(limits.cell, deadline - time.monotonic())
            if limit <= 0:
                break
            endings[index], usable = await _run_cell(client, manager, index, limit=limit)
            if not usable:
                break
    finally:
        await _stop(client, manager)
    return endings


def _sockets(folder: str) -> dict[str, str]:
    """Return where kernel and client meet: in our folder, because another may take a port that was found free.

    Windows has no such sockets.
    """
    return {} if sys.platform == "win32" else {"transport": "ipc", "ip": f"{folder}/kernel"}


async def _start(client: NotebookClient, *, folder: str, seed: int) -> None:
    work = Path(folder, "work")
    work.mkdir()
    environment = {**os.environ, "DESCENT_SEED": str(seed), "OMP_NUM_THREADS": "1"}
    try:
        await client.async_start_new_kernel(cwd=str(work), env=environment, stdout=DEVNULL, stderr=DEVNULL)
        await client.async_start_new_kernel_client()
    except (OSError, RuntimeError, NoSuchKernel) as error:
        raise EngineError(
            "no kernel could be started",
            where=str(error) or type(error).__name__,
            todo="look at 'jupyter kernelspec list', then try again",
        ) from error


async def _run_cell(
    client: NotebookClient, manager: AsyncKernelManager, index: int, *, limit: float
) -> tuple[Ending, bool]:
    """Return how the cell ended, and whether the kernel can still be used.

    The cell runs as a task of its own, because nbclient turns a cancellation into a dead kernel.
    """
    task = asyncio.ensure_future(client.async_execute_cell(client.nb.cells[index], index))
    try:
        if not await _ends(task, limit):
            await manager.interrupt_kernel()
            return Ending("timed out", f"ran past {limit:.0f} s and was stopped"), await _ends(task, GRACE)
        await task
    except DeadKernelError:
        return Ending("crashed", "the kernel died while this cell ran"), False
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, DeadKernelError):
                await task
    return Ending("passed", ""), True


async def _ends(task: asyncio.Future[Any], limit: float) -> bool:
    return bool((await asyncio.wait({task}, timeout=limit))[0])


async def _stop(client: NotebookClient, manager: AsyncKernelManager) -> None:
    """Kill the kernel's process group, whatever state it is in, and take its files away."""
    if manager.has_kernel:
        await manager.shutdown_kernel(now=True)
    if client.kc is not None:
        client.kc.stop_channels()
    await manager.cleanup_resources()


def _outcome(name: str, cell: NotebookNode, ending: Ending) -> Outcome:
    points = float(_marks(cell)["points"])
    if ending.state != "passed":
        return Outcome(name, ending.state, 0.0, points, ending.message)
    if message := _failure(cell):
        return Outcome(name, "failed", 0.0, points, message)
    return Outcome(name, "passed", points, points)


def _failure(cell: NotebookNode) -> str:
    """Return what the student reads below the traceback: the last error, without colours; empty when there is none.

    A value as the cell's last line counts too, because nbgrader would take it for a part of the points.
    """
    errors = [output for output in cell.outputs if output.output_type == "error"]
    if errors:
        text = ANSI.sub("", errors[-1].evalue).strip()
        return text if text and errors[-1].ename == "AssertionError" else f"{errors[-1].ename}: {text}"
    if any(output.output_type == "execute_result" for output in cell.outputs):
        return "the test cell ends in a value, which nbgrader takes for points: assign it to a name"
    return ""


def _marks(cell: NotebookNode) -> Any:
    return cell.metadata.get("nbgrader", {})
