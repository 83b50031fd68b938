"""Every error that `descent` raises on purpose.

    DescentError
    ├── DataError       a data set on disk is damaged, or could not be downloaded
    ├── DeviceError     the device that was asked for is unknown or absent
    └── SettingError    an environment variable or an argument holds something that cannot be used

Each message says what happened, where, and what to do.
Failed checks are no such error: they raise AssertionError, as test cells do.
"""

from __future__ import annotations

__all__ = ["DataError", "DescentError", "DeviceError", "SettingError"]


class DescentError(Exception):
    """An error with three parts, printed one to a line.

    Args:
        what: what happened, in a few words.
        where: file, environment variable or argument.
        todo: what the reader of the message can do about it.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)  # the one positional argument, so that the error can be pickled between processes

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.todo:
            lines.append(f"  to do:  {self.todo}")
        return "\n".join(lines)


class DataError(DescentError):
    """A data set on disk is damaged, or could not be downloaded."""


class DeviceError(DescentError):
    """The device that was asked for is unknown or absent."""


class SettingError(DescentError):
    """An environment variable or an argument holds something that cannot be used."""
