"""The system calls that no student's program needs, as a filter for the kernel.

Everything is allowed but what is named here: calls that look into other processes, that make namespaces or mounts,
that reach the network or old and rarely used parts of the kernel, and memory that no limit of ours would count.
The filter is made by libseccomp, for the machine at hand; a name that it does not know there is left out.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
from collections.abc import Iterator

__all__ = ["filter_file", "missing"]

LIBRARY = "libseccomp.so.2"
ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW
ERRNO = 0x00050000  # SCMP_ACT_ERRNO, to which the error's number is added
NOT_EQUAL, MASKED_EQUAL = 1, 7  # of enum scmp_compare

OTHERS = "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd"
KEYS = "add_key request_key keyctl"
KERNEL = (
    "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register lookup_dcookie nfsservctl "
    "kexec_load kexec_file_load create_module init_module finit_module delete_module query_module get_kernel_syms "
    "fanotify_init modify_ldt vm86 vm86old uselib _sysctl sysfs syslog iopl ioperm"
)
MOUNTS = (
    "mount umount umount2 pivot_root chroot unshare setns fsopen fsconfig fsmount fspick move_mount open_tree "
    "open_tree_attr mount_setattr open_by_handle_at name_to_handle_at quotactl quotactl_fd"
)
MACHINE = (
    "acct reboot swapon swapoff vhangup sethostname setdomainname settimeofday stime adjtimex clock_settime "
    "clock_settime64 clock_adjtime clock_adjtime64"
)
UNCOUNTED = "shmget msgget"  # memory that stays when nobody has mapped it
DENIED = " ".join((OTHERS, KEYS, KERNEL, MOUNTS, MACHINE, UNCOUNTED)).split()
# Said not to exist, so that libraries take another way: glibc forks by clone, whose flags a filter can read.
ABSENT = ("clone3", "memfd_create", "memfd_secret")

# Without namespaces more is within reach: other programs' sockets and memory, and files of the same user's.
REACHING = (
    "connect bind listen accept accept4 socketcall ipc shmat shmctl semget semop semctl semtimedop semtimedop_time64 "
    "msgsnd msgrcv msgctl mq_open mq_unlink inotify_init inotify_init1 inotify_add_watch ioprio_set move_pages "
    "migrate_pages process_mrelease file_setattr"
)
# Landlock does not rule these. They do nothing and say that all went well, since copying a file calls them.
NEUTRAL = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat utimensat_time64 "
    "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat"
)
ITSELF = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")  # process 0
CONNECTED = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)  # a pair of these reaches nobody else
KINDS = 0xF  # of sockets, without flags
FLAGS = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR, marks of a file

# Numbers, the same on every machine, of calls that are younger than some releases of libseccomp.
YOUNG = {
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_setattr": 469,
}

# CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET of <linux/sched.h>
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
TERMINAL = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX, which type into the terminal outside
LOW = 0xFFFFFFFF  # the kernel looks at the lower 32 bits of these arguments


class _Comparison(ctypes.Structure):
    """What one argument of a call is compared with: struct scmp_arg_cmp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _rules(*, alone: bool) -> Iterator[tuple[str, int, _Comparison | None]]:
    """Return what is refused: the call, the error, and what an argument must be like."""
    yield from _rules_without_namespaces() if alone else [("socket", errno.EPERM, NOT_UNIX)]
    for name in DENIED:
        yield name, errno.EPERM, None
    for name in ABSENT:
        yield name, errno.ENOSYS, None
    for flag in NAMESPACES:
        yield "clone", errno.EPERM, _Comparison(0, MASKED_EQUAL, flag, flag)
    for request in TERMINAL:
        yield "ioctl", errno.EPERM, _Comparison(1, MASKED_EQUAL, LOW, request)
    yield "personality", errno.EPERM, _Comparison(0, NOT_EQUAL, 0)


def _rules_without_namespaces() -> Iterator[tuple[str, int, _Comparison | None]]:
    """Return what must be refused beside, where nothing but files and signals is held by other means."""
    for name in ("socket", *REACHING.split()):
        yield name, errno.EPERM, None
    for name in NEUTRAL.split():
        yield name, 0, None
    for name in ITSELF:
        yield name, errno.EPERM, _Comparison(0, NOT_EQUAL, 0)
    for argument in (0, 1):  # which: a process; who: this one
        yield "setpriority", errno.EPERM, _Comparison(argument, NOT_EQUAL, 0)
    yield "socketpair", errno.EPERM, NOT_UNIX
    for kind in set(range(KINDS + 1)) - set(CONNECTED):
        yield "socketpair", errno.EPERM, _Comparison(1, MASKED_EQUAL, KINDS, kind)
    for request in FLAGS:
        yield "ioctl", errno.EPERM, _Comparison(1, MASKED_EQUAL, LOW, request)


NOT_UNIX = _Comparison(0, NOT_EQUAL, socket.AF_UNIX)


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def missing() -> str:
    """Return why no filter can be made here; empty if one can."""
    try:
        _library()
    except OSError:
        return f"{LIBRARY} is missing"
    return ""


def filter_file(*, alone: bool = False) -> int:
    """Return a descriptor of the filter, at its beginning; the caller closes it.

    Args:
        alone: there are no namespaces beside it.

    Raises:
        OSError: libseccomp is missing or refuses a rule.
    """
    library = _library()
    context = library.seccomp_init(ALLOW)
    descriptor = os.memfd_create("filter")
    try:
        for name, error, comparison in _rules(alone=alone):
            _add(context, name, error, comparison)
        _check(library.seccomp_export_bpf(context, descriptor), "the filter as a whole")
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        library.seccomp_release(context)
    return descriptor


def _add(context: int, name: str, error: int, comparison: _Comparison | None) -> None:
    number = _library().seccomp_syscall_resolve_name(name.encode())
    if number < 0:  # another machine's
        number = YOUNG.get(name, -1)
    if number >= 0:
        count, compared = (0, None) if comparison is None else (1, ctypes.byref(comparison))
        _check(_library().seccomp_rule_add_array(context, ERRNO + error, number, count, compared), name)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, f"libseccomp refuses {what}")
