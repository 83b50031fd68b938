"""The command line of the second rung: Landlock in place of namespaces, for machines that refuse those.

Landlock says which files may be opened and which processes signalled; it hides nothing and has no sizes. So this rung
is narrower in what it allows: one folder to write in, no sockets, no shared memory, no /proc, no change of modes.
What honest notebooks lose by it is whatever needs a semaphore: workers of a data loader, pools of processes.

Two domains lie one in the other. Ours holds the whole tree and may read /proc, because the keeper looks after its
processes there. Each session enters the narrower one before it runs a line of the student's; from there neither the
keeper nor anything outside can be signalled.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from proctor.disk import own_folder
from proctor.sandbox.bubblewrap import ETC, FIRST_UID, GPU, SYSTEM, UIDS, is_open_to_all, shown
from proctor.sandbox.caps import Caps, Place
from proctor.sandbox.launch import Launch, entering, environment, limits, pack
from proctor.sandbox.seccomp import filter_file

__all__ = ["ABI", "abi", "launch"]

ABI = 7  # of Linux 6.15: since 6 it holds signals and abstract sockets, and with 7 threads may signal one another
CREATE_RULESET, ADD_RULE = 444, 445  # system calls, the same number on every machine that Python runs on
VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH

# LANDLOCK_ACCESS_FS_* of <linux/landlock.h>
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK, TRUNCATE, IOCTL_DEV = 1 << 6, 1 << 9, 1 << 11, 1 << 14, 1 << 15
ALL = (1 << 16) - 1
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # what may be said of something that is no folder
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = ALL & ~(MAKE_CHAR | MAKE_SOCK | MAKE_BLOCK | IOCTL_DEV)
TCP = 3  # LANDLOCK_ACCESS_NET_BIND_TCP and -CONNECT_TCP: none is allowed
SCOPES = 3  # LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and -SIGNAL

DEVICES = {
    "null": READ_FILE | WRITE_FILE,
    "zero": READ_FILE,
    "full": READ_FILE,
    "random": READ_FILE,
    "urandom": READ_FILE,
}
# What libraries read to learn of the machine: the processor, the memory, how memory is promised.
KERNEL = ("cpuinfo", "meminfo", "stat", "filesystems", "version", "sys/vm/overcommit_memory")


class _Attributes(ctypes.Structure):
    """What a domain rules at all: struct landlock_ruleset_attr."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    """What is allowed below a path: struct landlock_path_beneath_attr."""

    _pack_ = 1
    _layout_ = "ms"  # as Python 3.14 wants it said beside _pack_
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return which version of Landlock this kernel has; 0 if it has none or has it switched off."""
    if sys.platform != "linux":
        return 0
    return max(int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)), 0)


def launch(
    program: Sequence[str], place: Place, caps: Caps, *, ready: int, opening: ExitStack, keep: ExitStack
) -> Launch:
    """Return the command that runs a program in domains of its own.

    Args:
        program: the command; folders of the files in it can be read.
        place: what else can be read.
        caps: limits; the sizes of its folder are left to the watchdog.
        ready: descriptor on which it says that it got there.
        opening: closes the files that the command reads while it starts.
        keep: removes the folder.

    Raises:
        EngineError: the work is too large.
        OSError: the kernel or libseccomp refuses a rule.
    """
    folder = keep.enter_context(own_folder("room"))
    uid = _stranger(program, place, folder)
    own = [folder / name for name in ("home", "tmp", "work")]
    _make(folder, own, uid)
    site = folder / "site"
    site.mkdir()
    for path in place.packages:
        (site / path.name).symlink_to(path)
    readable = [*shown(program, place), *place.packages, site, "/usr", *SYSTEM, *(f"/etc/{name}" for name in ETC)]
    rules = [*((path, READ) for path in map(str, readable)), *((str(path), WRITE) for path in own), *_devices(place)]
    outer = _domain([*rules, ("/proc", READ | WRITE_FILE)], opening)
    inner = _domain([*rules, *((f"/proc/{name}", READ) for name in KERNEL)], opening)
    filtered = filter_file(alone=True)
    opening.callback(os.close, filtered)
    packed = pack(place.work, most=caps.scratch, keep=opening)
    last = entering(
        tuple(program),
        ready=ready,
        work=packed,
        uid=uid,
        caps=limits(caps, count_processes=uid is not None),
        domain=(outer, filtered),
    )
    clean = environment(home=str(own[0]), tmp=str(own[1]), site=str(site), more=place.environment)
    clean["PROCTOR_DOMAIN"] = str(inner)
    return Launch(last, clean, (ready, packed, outer, inner, filtered), str(own[2]), scratch=folder)


def _stranger(program: Sequence[str], place: Place, folder: Path) -> int | None:
    """Return a user who owns nothing, to be in root's place, if such a one can read what is needed; else None.

    Then the kernel counts the processes, and no file of anyone's is the student's own.
    """
    if os.geteuid() != 0:
        return None
    needed = [*map(Path, shown(program, place)), *place.packages, folder.parent]
    above = {parent for path in needed for parent in path.parents}
    with suppress(OSError):
        can_pass = all(parent.stat().st_mode & 0o1 for parent in above)
        if can_pass and all(is_open_to_all(path) for path in needed[:-1]):
            return FIRST_UID + secrets.randbelow(UIDS)
    return None


def _make(folder: Path, own: Iterable[Path], uid: int | None) -> None:
    for path in own:
        path.mkdir(mode=0o700)
        if uid is not None:
            os.chown(path, uid, uid)
    if uid is not None:
        folder.chmod(0o711)


def _devices(place: Place) -> Iterator[tuple[str, int]]:
    yield from ((f"/dev/{name}", allowed) for name, allowed in DEVICES.items())
    if place.gpu:
        yield from ((str(path), ALL) for name in GPU for path in Path("/dev").glob(name))
        yield "/sys", READ


def _domain(rules: Iterable[tuple[str, int]], keep: ExitStack) -> int:
    """Return a descriptor of a set of rules, which processes may be bound by."""
    attributes = _Attributes(ALL, TCP, SCOPES)
    ruleset = _call(CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    keep.callback(os.close, ruleset)
    for path, allowed in rules:
        with suppress(FileNotFoundError):
            _allow(ruleset, path, allowed)
    return ruleset


def _allow(ruleset: int, path: str, allowed: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        kinds = ALL if os.path.isdir(path) else OF_FILES  # noqa: PTH112 - some hundred at each start
        beneath = _Beneath(allowed & kinds, descriptor)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses a rule")
    return int(result)
