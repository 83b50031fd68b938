"""The command line without a sandbox, for code that is trusted: a folder and a session of its own, some limits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

import psutil

from proctor.disk import own_folder
from proctor.sandbox.caps import Caps, Place
from proctor.sandbox.launch import Launch, entering, environment, limits, pack

__all__ = ["kill_below", "launch"]

PATIENCE = 30.0  # s for killed processes to be gone


def launch(
    program: Sequence[str], place: Place, caps: Caps, *, ready: int, opening: ExitStack, keep: ExitStack
) -> Launch:
    """Return the command that runs a program in a temporary folder.

    Args:
        program: the command.
        place: its work is copied; its other files are used where they are.
        caps: limits of each process; memory and number are left to the watchdog.
        ready: descriptor on which it says that it got there.
        opening: closes the files that the command reads while it starts.
        keep: removes the folder.

    Raises:
        EngineError: the work is too large.
    """
    folder = keep.enter_context(own_folder("room"))
    home, tmp, site, work = (folder / name for name in ("home", "tmp", "site", "work"))
    for each in (tmp, site, work):
        each.mkdir()
    for path in place.packages:
        (site / path.name).symlink_to(path)
    packed = pack(place.work, most=caps.scratch, keep=opening)
    # The user's other processes would count as well, so their number cannot be limited by user.
    last = entering(tuple(program), ready=ready, work=packed, uid=None, caps=limits(caps, count_processes=False))
    clean = environment(home=str(home), tmp=str(tmp), site=str(site), more=place.environment)
    return Launch(last, clean, (ready, packed), str(work))


def kill_below(pid: int) -> None:
    """Kill a process and all below it, and wait; all are stopped before, so that none starts another meanwhile.

    Its process group is stopped at once, which no fork slips through; those that left the group one by one. If the
    process itself was killed by somebody else, and not yet collected, the group is what is left to be found.
    """
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGSTOP)
        known: set[psutil.Process] = set()
        while new := {top, *top.children(recursive=True)} - known:
            known |= new
            _each(new, psutil.Process.suspend)
        _each(known, psutil.Process.kill)
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while any(_runs(process) for process in known) and time.monotonic() < deadline:
            time.sleep(0.002)


def _each(processes: set[psutil.Process], do: Callable[[psutil.Process], object]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            do(process)


def _runs(process: psutil.Process) -> bool:
    """Return whether a process is still there; one that only nobody has collected yet is not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
