"""The last step into a sandbox: limits itself, unpacks the work, becomes the student's program.

Started as a file, already inside, by `sandbox.launch`:

    enter.py READY WORK UID LIMITS PROGRAM...

READY is a descriptor that closes when the program runs, and on which "ready" was written just before. WORK is a
descriptor of packed files (see `launch.pack`). UID is a user to become for good, or "-". LIMITS are NAME=NUMBER, joined
by commas, of `setrlimit`. Imports as little as it can: every start of a sandbox waits for it.
"""

from __future__ import annotations

import marshal
import os
import sys

CAPABILITY_VERSION_3 = 0x20080522  # of <linux/capability.h>


def become(uid: int) -> None:
    """Give up root for a user that owns nothing, and with it every capability."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)  # clears the effective, permitted and ambient capabilities
    import ctypes  # only here: it takes 5 ms

    libc = ctypes.CDLL(None, use_errno=True)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none):  # the inheritable ones, too
        raise OSError(ctypes.get_errno(), "cannot give up capabilities")


def unpack(descriptor: int) -> None:
    """Write packed files into the current folder: pairs of a path and its bytes, None for a folder."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        while True:
            try:
                path, content = marshal.load(file)
            except EOFError:
                return
            os.makedirs(path if content is None else os.path.dirname(path) or b".", exist_ok=True)  # noqa: PTH103, PTH120
            if content is not None:
                with open(path, "wb") as target:  # noqa: PTH123 - pathlib takes 10 ms to import
                    target.write(content)


def limit(text: str) -> None:
    """Set limits, where the system knows them, and never above those in force."""
    import resource

    for name, _, number in (part.partition("=") for part in text.split(",") if part):
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None:
            _, hard = resource.getrlimit(kind)
            most = int(number) if hard == resource.RLIM_INFINITY else min(int(number), hard)
            resource.setrlimit(kind, (most, most))


def main(arguments: list[str]) -> None:
    """Do all that, in this order: files are the student's own, and limits hold for the program only."""
    ready, work, uid, limits, *program = arguments
    if uid != "-":
        become(int(uid))
    os.umask(0o022)
    os.makedirs(os.environ["HOME"], exist_ok=True)  # noqa: PTH103
    unpack(int(work))
    limit(limits)
    os.set_inheritable(int(ready), False)
    os.write(int(ready), b"ready")
    try:
        os.execv(program[0], program)
    except OSError:
        os.write(int(ready), b", failed")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
