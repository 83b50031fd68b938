"""The device on which notebooks train: a GPU when there is one."""

from __future__ import annotations

import os
import re

import torch

from descent.errors import DeviceError

__all__ = ["pick_device"]

_NAME = re.compile(r"cpu|mps|cuda(:(?P<index>\d{1,3}))?")
_WHERE = "environment variable DESCENT_DEVICE"
_UNSET = "or unset DESCENT_DEVICE to take the best device that is there"


def _missing(name: str, *, index: int) -> str:
    """Return why the device cannot be used here, or "" if it can."""
    if name == "cpu":
        return ""
    if name == "mps":
        return "" if torch.backends.mps.is_available() else "this PyTorch sees no Apple GPU"
    if not torch.cuda.is_available():
        return "this PyTorch sees no CUDA GPU" if torch.version.cuda else "this PyTorch was built without CUDA"
    count = torch.cuda.device_count()
    return "" if index < count else f"the CUDA devices here are numbered 0 to {count - 1}"


def _asked_for(name: str) -> torch.device:
    """Return the device of this name; raise DeviceError if it is unknown or absent."""
    match = _NAME.fullmatch(name.lower())
    if match is None:
        raise DeviceError(
            f"there is no device called {name[:40]!r}",
            where=_WHERE,
            todo=f"write cpu, mps, cuda, or cuda:0 and so on for one of several GPUs, {_UNSET}",
        )
    device = torch.device(match.group())
    reason = _missing(device.type, index=device.index or 0)
    if reason:
        raise DeviceError(
            f"device '{device}' is not available: {reason}", where=_WHERE, todo=f"set DESCENT_DEVICE=cpu, {_UNSET}"
        )
    return device


def pick_device() -> torch.device:
    """Return the device to train on: CUDA, else Apple's MPS, else the CPU.

    The environment variable `DESCENT_DEVICE` overrides the choice: `cpu`, `mps`, `cuda` or `cuda:1`.

    Raises:
        DeviceError: `DESCENT_DEVICE` names a device that is unknown or absent.
    """
    asked = os.environ.get("DESCENT_DEVICE", "").strip()
    if asked:
        return _asked_for(asked)
    best = next(name for name in ("cuda", "mps", "cpu") if not _missing(name, index=0))
    return torch.device(best)
