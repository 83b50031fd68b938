"""The command line of bubblewrap: namespaces of its own, a bare and read-only system, three small places to write.

Two forms hold the same things. Root keeps the user namespace it has and lets the program become a user that owns
nothing, so that the kernel counts its processes and no file of anyone's is its own. Everybody else, and root where it
lacks the power or where that user could not read this Python, gets a user namespace.
"""

from __future__ import annotations

import functools
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proctor.sandbox.caps import MIB, Caps, Place
from proctor.sandbox.launch import ENTER, Launch, entering, environment, limits, pack
from proctor.sandbox.seccomp import filter_file

__all__ = ["Form", "Options", "is_open_to_all", "launch", "shown"]

Form = Literal["own user", "user namespace"]

# Between the ranges that systemd hands out and its last one; see "Users, Groups, UIDs and GIDs on systemd systems".
FIRST_UID, UIDS = 0x70000000, 2**28 - 2**17
INSIDE_UID = 1000  # in a user namespace; who that is outside, the kernel knows
COUNTS_BY_NAMESPACE = (5, 14)  # Linux from which NPROC counts a namespace's own processes, not all of the user's

SITE, HOME, TEMPORARY = "/site", "/tmp/home", "/tmp"
WORK, OTHER_WORK = "/work", "/workdir"  # the other where this Python or a data set stands below the first
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime")
GPU = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "dxg")


@dataclass(frozen=True)
class Options:
    """How bubblewrap itself is to be used."""

    bwrap: str  # its path
    form: Form
    ready: int  # descriptor on which the last step says that it got there
    info: int  # descriptor on which bubblewrap says which process the program is


def launch(program: Sequence[str], place: Place, caps: Caps, *, options: Options, keep: ExitStack) -> Launch:
    """Return the command that runs a program in a sandbox.

    Args:
        program: the command; folders of the files in it are shown.
        place: what else is shown.
        caps: sizes of the places to write, and limits.
        options: how it is made.
        keep: closes the files that the command reads while it starts.

    Raises:
        EngineError: the work is too large.
        OSError: the filter cannot be made.
    """
    uid = FIRST_UID + secrets.randbelow(UIDS) if options.form == "own user" else None
    bound = shown(program, place)
    work = OTHER_WORK if any(Path(path).is_relative_to(WORK) for path in bound) else WORK
    packed = pack(place.work, most=caps.scratch, keep=keep)
    texts = {name: _text_file(text, keep) for name, text in _etc(INSIDE_UID if uid is None else uid).items()}
    rules = filter_file()
    keep.callback(os.close, rules)
    steps = [
        *_namespaces(options),
        *_system(texts),
        *_devices(caps, gpu=place.gpu),
        *_tmpfs(TEMPORARY, caps.scratch, "1777"),
        *_tmpfs(work, caps.scratch, "0777"),
        *_bound(bound),
        *_packages(place.packages),
        *("--remount-ro", "/", "--chdir", work),
        *("--seccomp", str(rules), "--info-fd", str(options.info), "--"),
    ]
    counted = limits(caps, count_processes=uid is not None or _kernel() >= COUNTS_BY_NAMESPACE)
    last = entering(tuple(program), ready=options.ready, work=packed, uid=uid, caps=counted)
    clean = environment(home=HOME, tmp=TEMPORARY, site=SITE, more=place.environment)
    inherited = (options.ready, options.info, packed, rules, *texts.values())
    return Launch((options.bwrap, *steps, *last), clean, inherited, "/", own=1)


def shown(program: Sequence[str], place: Place) -> tuple[str, ...]:
    """Return the paths that are shown where they are, none of them below another or in the system."""
    pythons = [path for prefix in (sys.prefix, sys.base_prefix) for path in (prefix, os.path.realpath(prefix))]
    named = [str(Path(part).parent) for part in program if part.startswith("/") and Path(part).is_file()]
    wanted = dict.fromkeys([*pythons, str(ENTER), *named, *map(str, place.readable)])
    roots = ("/usr", *SYSTEM)
    outside = [Path(path) for path in wanted if not any(Path(path).is_relative_to(root) for root in roots)]
    return tuple(
        str(path) for path in outside if not any(path.is_relative_to(other) for other in outside if other != path)
    )


def is_open_to_all(path: Path) -> bool:
    """Return whether a user who owns nothing may read a file, or a folder and what lies directly in it."""
    try:
        below = [each for each in path.iterdir() if each.exists()] if path.is_dir() else []
        return all(_others_may(each) for each in (path, *below))
    except OSError:
        return False


def _others_may(path: Path) -> bool:
    needed = 0o5 if path.is_dir() else 0o4
    return path.stat().st_mode & needed == needed


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdecimal())


def _namespaces(options: Options) -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--new-session", "--as-pid-1", "--hostname", "student", "--cap-drop", "ALL")
    if options.form == "own user":
        yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")  # until enter.py has become that user
    else:
        yield from ("--unshare-user", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID))
        yield from ("--disable-userns",) if _can_disable(options.bwrap) else ()


@functools.cache
def _can_disable(bwrap: str) -> bool:
    """Return whether this bubblewrap, from 0.8 on, can forbid user namespaces inside; the filter does, too."""
    said = subprocess.run([bwrap, "--help"], capture_output=True, check=False)
    return b"--disable-userns" in said.stdout + said.stderr


def _system(texts: dict[str, int]) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in SYSTEM:
        if os.path.islink(path):  # noqa: PTH114 - beside readlink, which keeps the text of the link
            yield from ("--symlink", os.readlink(path), path)  # noqa: PTH115
        elif Path(path).is_dir():
            yield from ("--ro-bind", path, path)
    yield from ("--perms", "0755", "--dir", "/etc")
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name, descriptor in texts.items():
        yield from ("--perms", "0644", "--ro-bind-data", str(descriptor), f"/etc/{name}")
    yield from ("--proc", "/proc")


def _etc(uid: int) -> dict[str, str]:
    """Return the text of files that say nothing about this machine."""
    return {
        "passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\nstudent:x:{uid}:{uid}:student:{HOME}:/bin/sh\n",
        "group": f"root:x:0:\nstudent:x:{uid}:\n",
        "hosts": "127.0.0.1 localhost student\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }


def _text_file(text: str, keep: ExitStack) -> int:
    descriptor = os.memfd_create("text")
    keep.callback(os.close, descriptor)
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _devices(caps: Caps, *, gpu: bool) -> Iterator[str]:
    yield from ("--dev", "/dev")
    yield from _tmpfs("/dev/shm", caps.shared_memory, "1777")
    if gpu:
        for path in sorted(path for name in GPU for path in Path("/dev").glob(name)):
            yield from ("--dev-bind", str(path), str(path))
        yield from ("--ro-bind", "/sys", "/sys")
    yield from ("--remount-ro", "/dev")


def _tmpfs(path: str, size: int, mode: str) -> tuple[str, ...]:
    return ("--perms", mode, "--size", str(max(size, MIB // 16)), "--tmpfs", path)


def _bound(paths: Sequence[str]) -> Iterator[str]:
    folders = {str(parent) for path in paths for parent in Path(path).parents} - {"/", TEMPORARY}
    for folder in sorted(folders):
        yield from ("--perms", "0755", "--dir", folder)  # bubblewrap itself would make it for its own user only
    for path in paths:
        yield from ("--ro-bind", path, path)


def _packages(packages: Sequence[Path]) -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", SITE)
    for path in packages:
        yield from ("--ro-bind", str(path), f"{SITE}/{path.name}")
