"""Which sandboxes can be had on this machine: found out by trying, since settings of many kinds can refuse one."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from proctor.sandbox import landlock, seccomp
from proctor.sandbox.bubblewrap import Form, Options, is_open_to_all, launch, shown
from proctor.sandbox.caps import MIB, Caps, Place
from proctor.sandbox.launch import Launch

__all__ = ["Rung", "form_for", "rung_here", "rungs"]

LOOK = """\
import os, sys
own = tuple({sys.prefix, sys.base_prefix})
[os.listdir(path) for path in sys.path if path.startswith(own) and os.path.isdir(path)]
os.write(1, b'inside')
"""
LOOKING = [sys.executable, "-I", "-c", LOOK]
SMALL = Caps(scratch=MIB, shared_memory=MIB)
PATIENCE = 60  # s for a trial; from a cold disk Python takes some


@dataclass(frozen=True)
class Rung:
    """One way to hold student code, and whether this machine can."""

    name: str  # of `promises.RUNGS`; empty for none at all
    why: str = ""  # why it cannot be had here, as a clause; empty if it can
    bwrap: str = ""  # path of bubblewrap
    form: Form = "user namespace"

    def __bool__(self) -> bool:
        return bool(self.name) and not self.why


def rungs() -> tuple[Rung, ...]:
    """Return the rungs that hold student code, the strongest first, each with what this machine says of it."""
    return _rungs_with(shutil.which("bwrap") or "")


def rung_here() -> Rung:
    """Return the strongest rung that works here; if none does, one without a name that says why."""
    found = rungs()
    whys = "; ".join(f"{rung.name}: {rung.why}" for rung in found)
    return next((rung for rung in found if rung), Rung("", whys if sys.platform == "linux" else "not Linux"))


@functools.cache
def _rungs_with(bwrap: str) -> tuple[Rung, ...]:
    return (_bubblewrap(bwrap), Rung("landlock", _landlock_lacks()))


def _bubblewrap(bwrap: str) -> Rung:
    if sys.platform != "linux":
        return Rung("bubblewrap", "not Linux")
    if not bwrap:
        return Rung("bubblewrap", "bwrap is not installed")
    if why := seccomp.missing():
        return Rung("bubblewrap", why)
    forms: tuple[Form, ...] = ("own user", "user namespace") if os.geteuid() == 0 else ("user namespace",)
    for form in forms:
        why = _refusal(functools.partial(_with_bubblewrap, bwrap, form))
        if not why:
            return Rung("bubblewrap", bwrap=bwrap, form=form)
    return Rung("bubblewrap", f"user namespaces are refused: {why}" if "amespace" in why else f"bwrap fails: {why}")


def _landlock_lacks() -> str:
    if sys.platform != "linux":
        return "not Linux"
    if (found := landlock.abi()) < landlock.ABI:
        return f"the kernel has version {found} of it, and {landlock.ABI} is needed" if found else "the kernel has none"
    return seccomp.missing() or _refusal(_with_landlock)


def _with_bubblewrap(bwrap: str, form: Form, ready: int, info: int, keep: ExitStack) -> Launch:
    return launch(LOOKING, Place(), SMALL, options=Options(bwrap, form, ready=ready, info=info), keep=keep)


def _with_landlock(ready: int, _: int, keep: ExitStack) -> Launch:
    return landlock.launch(LOOKING, Place(), SMALL, ready=ready, opening=keep, keep=keep)


def _refusal(launched: Callable[[int, int, ExitStack], Launch]) -> str:
    """Return what a trial says when it fails; empty if it works."""
    try:
        with ExitStack() as keep:
            ends = [keep.enter_context(end).fileno() for _ in range(2) for end in socket.socketpair()]
            trial = launched(ends[0], ends[2], keep)
            done = subprocess.run(
                trial.command,
                env=trial.environment,
                pass_fds=trial.inherited,
                cwd=trial.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it did not start the program"]
    return "" if done.stdout == b"inside" else lines[-1]


def form_for(rung: Rung, program: Sequence[str], place: Place) -> Form:
    """Return the form in which everything that is to be shown can be read."""
    if rung.form == "own user":
        devices = Path("/dev").glob("nvidia*") if place.gpu else ()
        paths = [*map(Path, shown(program, place)), *place.packages, *devices]
        if not all(is_open_to_all(path) for path in paths):
            return "user namespace"
    return rung.form
