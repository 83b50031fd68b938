"""The last step into a sandbox: limits itself, unpacks the work, becomes the student's program.

Started as a file, already inside, by `sandbox.launch`:

    enter.py READY WORK UID LIMITS DOMAIN PROGRAM...

READY is a descriptor that closes when the program runs, and on which "ready" was written just before. WORK is a
descriptor of packed files (see `launch.pack`). UID is a user to become for good, or "-". LIMITS are NAME=NUMBER, joined
by commas, of `setrlimit`. DOMAIN is "-", or descriptors of Landlock's rules and of a filter, joined by a comma.
Imports as little as it can: every start of a sandbox waits for it.
"""

from __future__ import annotations

import marshal
import os
import sys

CAPABILITY_VERSION_3 = 0x20080522  # of <linux/capability.h>
NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER of prctl
RESTRICT_SELF = 446  # the system call landlock_restrict_self
INSTRUCTION = 8  # bytes of one of a filter's


def become(uid: int) -> None:
    """Give up root for a user that owns nothing, and with it every capability."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)  # clears the effective, permitted and ambient capabilities
    drop_capabilities()


def drop_capabilities() -> None:
    """Give up what sets root apart; in a sandbox without namespaces, root itself may be the student's user."""
    import ctypes  # only where it is needed: it takes 5 ms

    libc = ctypes.CDLL(None, use_errno=True)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none):  # the inheritable ones, too
        raise OSError(ctypes.get_errno(), "cannot give up capabilities")


def bind(domain: int, filtered: int) -> None:
    """Be bound by rules of Landlock's and by a filter, with all that is started from here, for good."""
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    code = os.pread(filtered, 1 << 20, 0)
    program = Program(len(code) // INSTRUCTION, code)
    libc = ctypes.CDLL(None, use_errno=True)
    # The first keeps what was dropped from coming back by a file that gives powers; the others ask for it.
    if (
        libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
        or libc.syscall(RESTRICT_SELF, domain, 0)
        or libc.prctl(SECCOMP, FILTER, ctypes.byref(program), 0, 0)
    ):
        raise OSError(ctypes.get_errno(), "cannot enter the sandbox")
    os.close(domain)
    os.close(filtered)


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
    ready, work, uid, limits, domain, *program = arguments
    if uid != "-":
        become(int(uid))
    elif domain != "-":
        drop_capabilities()
    os.umask(0o022)
    os.makedirs(os.environ["HOME"], exist_ok=True)  # noqa: PTH103
    unpack(int(work))
    limit(limits)
    if domain != "-":
        bind(*map(int, domain.split(",")))
    os.set_inheritable(int(ready), False)
    os.write(int(ready), b"ready")
    try:
        os.execv(program[0], program)
    except OSError:
        os.write(int(ready), b", failed")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
