"""Where students' code runs: one process tree for a submission, from which nothing gets out and nothing is left.

    async with room([sys.executable, "-I", main], Place(work=folder), Caps(), rung="bubblewrap") as opened:
        opened.control.sendall(...)

The only way out of a room is the socket `control`. `rung_here` says whether this machine can hold one.
"""

from __future__ import annotations

from proctor.sandbox.caps import Caps, Place
from proctor.sandbox.rungs import Rung, rung_here, rungs
from proctor.sandbox.tree import Room, room

__all__ = ["Caps", "Place", "Room", "Rung", "room", "rung_here", "rungs"]
