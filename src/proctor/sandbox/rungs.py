"""Which sandbox can be had on this machine: found out by trying, since settings of many kinds can refuse one."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from proctor.sandbox import seccomp
from proctor.sandbox.bubblewrap import Form, Options, is_open_to_all, launch, shown
from proctor.sandbox.caps import MIB, Caps, Place

__all__ = ["Rung", "form_for", "rung_here"]

LOOK = "import os, sys; [os.listdir(path) for path in sys.path if os.path.isdir(path)]; os.write(1, b'inside')"
SMALL = Caps(scratch=MIB, shared_memory=MIB)
PATIENCE = 60  # s for a trial; from a cold disk Python takes some


@dataclass(frozen=True)
class Rung:
    """How well student code can be held here."""

    name: str  # "bubblewrap", or empty if there is none
    why: str = ""  # why there is none, as a clause
    bwrap: str = ""  # path of bubblewrap
    form: Form = "user namespace"

    def __bool__(self) -> bool:
        return bool(self.name)


def rung_here() -> Rung:
    """Return the strongest rung that works here; tried once for each bubblewrap on the path."""
    return _rung_with(shutil.which("bwrap") or "")


@functools.cache
def _rung_with(bwrap: str) -> Rung:
    if sys.platform != "linux":
        return Rung("", "not Linux")
    if not bwrap:
        return Rung("", "bwrap is not installed")
    if why := seccomp.missing():
        return Rung("", why)
    forms: tuple[Form, ...] = ("own user", "user namespace") if os.geteuid() == 0 else ("user namespace",)
    for form in forms:
        why = _refusal(bwrap, form)
        if not why:
            return Rung("bubblewrap", bwrap=bwrap, form=form)
    return Rung("", f"user namespaces are refused: {why}" if "amespace" in why else f"bwrap fails: {why}")


def _refusal(bwrap: str, form: Form) -> str:
    """Return what a trial says when it fails; empty if it works."""
    try:
        with ExitStack() as keep:
            ends = [keep.enter_context(end).fileno() for _ in range(2) for end in socket.socketpair()]
            options = Options(bwrap, form, ready=ends[0], info=ends[2])
            trial = launch([sys.executable, "-I", "-c", LOOK], Place(), SMALL, options=options, keep=keep)
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
