"""Questions to another Python: what it finds comes back as JSON, however far it gets.

The program runs with this Python, and with its environment, so it finds what a notebook outside a sandbox would find.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Told", "ask"]

PATIENCE = 100.0  # s; from a cold disk, on a busy machine, torch takes 40

BEGINNING = '''
import json, sys

def said(error):
    """Return the first line of an error; what follows is advice to programmers."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"

def tell(name, find):
    """Print what is found out, at once: what comes next may end the process."""
    try:
        found = find()
    except BaseException as error:
        found = {"error": said(error)}
    print("\\n" + json.dumps({name: found}), flush=True)
'''


@dataclass(frozen=True)
class Told:
    """What a program told, part by part."""

    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ending: str = ""  # why parts may be missing, as a clause; empty if it ended well

    def of(self, part: str) -> Mapping[str, Any]:
        """Return a part; where it is missing, an error that says why."""
        return self.parts.get(part) or {"error": self.ending or "nothing was told of it"}


def ask(program: str, *arguments: str, limit: float = PATIENCE) -> Told:
    """Run a program that calls `tell(name, find)` for each of its parts; what `find` raises is told as an error.

    Args:
        program: source text.
        arguments: of the program.
        limit: seconds until it is killed.
    """
    command = [sys.executable, "-P", "-c", BEGINNING + program, *arguments]  # -P: no module of the current folder's
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        return Told(_parts(error.stdout or b""), f"the import did not end within {limit:g} s")
    return Told(_parts(done.stdout), _ending(done))


def _parts(output: bytes) -> dict[str, Mapping[str, Any]]:
    """Return what stands in the lines that are ours; what is imported may print others."""
    parts: dict[str, Mapping[str, Any]] = {}
    for line in output.decode(errors="replace").splitlines():
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                parts.update(told)
    return parts


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"the import was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return f"the import ended with {done.returncode}: {lines[-1] if lines else ''}" if done.returncode else ""
