"""The sandbox: which rung students' code would run on, why no stronger one, and who can change that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proctor.doctor.look import Check
from proctor.sandbox.caps import MIB
from proctor.sandbox.cgroup import make
from proctor.sandbox.promises import PROMISES
from proctor.sandbox.rungs import Rung

__all__ = ["PROMISES", "best", "counting", "holding", "remedy"]

SMALL = 64 * MIB  # bytes; the trial of a control group runs a shell in it
SETTINGS = Path("/proc/sys")
WRITE, LOAD = "as root write '", "' into '/etc/sysctl.d/60-sandbox.conf' and run 'sysctl --system'"

# Settings of the kernel that refuse user namespaces: its name, the value that refuses, and the way out.
# Ubuntu has the third since 23.10: a program without a profile of AppArmor gets a namespace with no rights in it.
REFUSING = (
    ("kernel.unprivileged_userns_clone", "0", f"{WRITE}kernel.unprivileged_userns_clone = 1{LOAD}"),
    ("user.max_user_namespaces", "0", f"{WRITE}user.max_user_namespaces = 15000{LOAD}"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "give bubblewrap a profile of AppArmor: as root run \"printf 'abi <abi/4.0>,\\nprofile bwrap /usr/bin/bwrap "
        "flags=(unconfined) { userns, }\\n' >/etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap\"",
    ),
)


def best(tried: Sequence[Rung]) -> str:
    """Return the name of the strongest rung that works; empty if none does."""
    return next((rung.name for rung in tried if rung), "")


def holding(tried: Sequence[Rung]) -> list[Check]:
    """Say on which rung students' code would run.

    Args:
        tried: every rung, the strongest first.
    """
    strongest, name = tried[0], best(tried)
    if name == strongest.name:
        return [Check("sandbox", "good", f"{name}, the strongest there is")]
    todo = remedy(strongest.why)
    if name:
        return [Check("sandbox", "weak", f"{name}, since {strongest.name} cannot be had: {strongest.why}", todo)]
    refusals = "; ".join(f"no {rung.name}: {rung.why}" for rung in tried)
    otherwise = "until then 'proctor grade --trusted' runs without one, for submissions that you trust"
    return [Check("sandbox", "bad", refusals, f"{todo}; {otherwise}")]


def remedy(why: str, *, settings: Path = SETTINGS) -> str:
    """Return what to do about a refusal of bubblewrap.

    Args:
        why: as a rung says it.
        settings: folder in which the kernel shows its settings.
    """
    if why == "not Linux":
        return "grade on Linux, in a virtual machine for example"
    if "not installed" in why:
        return "install it: 'apt install bubblewrap' (Debian, Ubuntu) or 'dnf install bubblewrap' (Fedora)"
    if "libseccomp" in why:
        return "install it: 'apt install libseccomp2' (Debian, Ubuntu) or 'dnf install libseccomp' (Fedora)"
    if "Unknown option" in why:
        return "install a later bubblewrap: this one is too old"
    found = [f"{name} is {value}: {cure}" for name, value, cure in REFUSING if _setting(settings, name) == value]
    return "; ".join(found) or (
        "no setting of the kernel's refuses it: in a container, ask for one that may make user namespaces "
        "(Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined), or grade outside it"
    )


def _setting(settings: Path, name: str) -> str:
    try:
        return (settings / name.replace(".", "/")).read_text().strip()
    except OSError:  # not every kernel has every one
        return ""


def counting() -> list[Check]:
    """Say who counts the memory of students' code."""
    group = make(memory=SMALL, processes=16)
    if group is not None:
        group.close()
        return [Check("memory cap", "good", "a control group: the kernel counts")]
    return [
        Check(
            "memory cap",
            "weak",
            "a watchdog alone, which looks a few times a second: no control group can be made",
            "grade from 'systemd-run --user --scope'; in a container, ask for a writable '/sys/fs/cgroup'",
        )
    ]
