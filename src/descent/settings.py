"""Environment variables that switch something on or off."""

from __future__ import annotations

import os

from descent.errors import SettingError

__all__ = ["switch"]


def switch(name: str) -> bool:
    """Return whether the environment switches this on.

    Raises:
        SettingError: the variable holds something else than 1, 0 or nothing.
    """
    value = os.environ.get(name, "").strip()
    if value not in ("", "0", "1"):
        raise SettingError(
            f"{name} is {value[:40]!r}, which means nothing", where="environment", todo="write 1 for yes or 0 for no"
        )
    return value == "1"
