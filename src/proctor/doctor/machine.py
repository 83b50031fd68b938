"""The machine: room on its disks, memory for several sandboxes, a clock that agrees with its disks, data sets."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from proctor.course import Course
from proctor.doctor.look import Check, State
from proctor.sandbox.caps import GIB, Caps, amount

__all__ = ["clock", "data", "disk", "memory"]

LITTLE, TOO_LITTLE = 5 * GIB, GIB  # bytes; a class of 200 takes about one, pages and notebooks together
FEW, TOO_FEW = 50_000, 5_000  # files that may still be made; a submission takes about ten
DRIFT = 2.0  # s; old file systems count time in steps of two
CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
DATA = "DESCENT_DATA"
SETS = {"MNIST": "MNIST/raw", "CIFAR-10": "cifar-10-batches-py", "Tiny Shakespeare": "shakespeare"}  # documented


def disk(course: Course | None) -> list[Check]:
    """Say how much may still be written where temporary files and the course stand."""
    places = {"temporary files": Path(tempfile.gettempdir())} | ({"the course": course.root} if course else {})
    if len({path.stat().st_dev for path in places.values()}) == 1:
        places = {" and ".join(places): next(iter(places.values()))}
    return [_space(path, purpose) for purpose, path in places.items()]


def _space(path: Path, purpose: str) -> Check:
    free, counted = shutil.disk_usage(path).free, os.statvfs(path)
    files = counted.f_favail if counted.f_files else None  # some file systems have no fixed number
    found = f"free for {purpose}: {amount(free)}" + ("" if files is None else f", {files:,} files")
    if free < TOO_LITTLE or (files is not None and files < TOO_FEW):
        state: State = "bad"
    elif free < LITTLE or (files is not None and files < FEW):
        state = "weak"
    else:
        return Check("disk", "good", found)
    where = f"make room where '{path}' stands"
    return Check("disk", state, found, where if "course" in purpose else f"{where}, or let TMPDIR name another folder")


def memory(*, caps: Caps | None = None, limits: tuple[str, ...] = CONTAINER) -> list[Check]:
    """Say whether as many sandboxes as are opened at once fit into memory.

    Args:
        caps: of one sandbox.
        limits: files that hold the limit of a container.
    """
    cap, jobs = (caps or Caps()).memory, os.cpu_count() or 1  # `proctor grade` takes one job for each core
    there = min([psutil.virtual_memory().total, *_numbers(limits)])
    found = f"{amount(there)}, and {jobs} sandboxes side by side may take {amount(cap)} each"
    if there >= cap * jobs:
        return [Check("memory", "good", found)]
    fit = max(there // cap, 1)
    return [Check("memory", "weak", found, f"if a class's work is that large, run 'proctor grade NAME --jobs {fit}'")]


def _numbers(paths: tuple[str, ...]) -> list[int]:
    texts = [Path(path).read_text().strip() for path in paths if Path(path).is_file()]
    return [int(text) for text in texts if text.isdecimal()]


def clock(course: Course | None) -> list[Check]:
    """Say whether a file that is written now carries the time that this machine reads."""
    place = course.root if course else Path(tempfile.gettempdir())
    with tempfile.TemporaryFile(dir=place, prefix=".doctor-") as file:
        file.write(b"now")
        file.flush()
        before, written, after = time.time(), os.fstat(file.fileno()).st_mtime, time.time()
    apart = max(before - written, written - after, 0.0)
    if apart <= DRIFT:
        return [Check("clock", "good", "files written now carry the present time")]
    found = f"a file written now in '{place}' carries a time {apart:.0f} s away"
    todo = "set the clocks of this machine and of its file server by the network: 'timedatectl set-ntp true'"
    return [Check("clock", "weak", found, todo)]


def data(environment: Mapping[str, str] = os.environ) -> list[Check]:
    """Say which data sets notebooks would find; nothing where the package that looks for them is not installed."""
    if importlib.util.find_spec("descent") is None:
        return []
    named = environment.get(DATA, "")
    if named and not Path(named).is_dir():
        todo = f"let {DATA} name an existing folder, or unset it"
        return [Check("data sets", "bad", f"{DATA} names '{named}', which is no folder", todo)]
    found = _sets(Path(named)) if named else []
    missing = [title for title in SETS if title not in found]
    fallback = f"the embedded data, a fallback, for {', '.join(missing)}"
    if found:
        return [Check("data sets", "good", f"{', '.join(found)} in '{named}'" + f"; {fallback}" * bool(missing))]
    if named:
        todo = f"lay it out as torchvision does: {', '.join(SETS.values())}"
        return [Check("data sets", "weak", f"'{named}', which {DATA} names, holds none: {fallback}", todo)]
    return [Check("data sets", "good", f"{fallback}: {DATA} is not set" + _cached(environment))]


def _cached(environment: Mapping[str, str]) -> str:
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache", "descent")
    found = _sets(cache)
    return f", and no sandbox shows the cache '{cache}' with {', '.join(found)}" if found else ""


def _sets(folder: Path) -> list[str]:
    return [title for title, path in SETS.items() if (folder / path).is_dir() and any((folder / path).iterdir())]
