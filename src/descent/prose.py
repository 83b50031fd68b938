"""How numbers that a page has computed get into its sentences.

A cell that readers do not see says `say(chain_slope=power(slope))`; the sentence has {glue:text}`chain_slope`.
The functions beside it write numbers as prose has them, with spaces at which no line breaks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from descent.errors import SettingError

__all__ = ["machine", "percent", "power", "say", "say_table"]

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _glue(name: str, value: object) -> None:
    """Keep a value for the sentences of this page; outside the book nobody reads them, and nothing happens."""
    try:
        from myst_nb import glue
    except ImportError:
        return
    glue(name, value, display=False)


def say(**texts: str) -> None:
    """Give the sentences of this page their texts, by name; outside the book nothing happens.

    Raises:
        SettingError: a text is empty or no text. A NumPy scalar, say, would print its type along with its value.
    """
    for name, text in texts.items():
        if type(text) is not str or not text.strip():
            raise SettingError(
                f"{text!r} is not a text that a sentence can hold",
                where=f"say({name}=…)",
                todo='format the number first, as in f"{float(number):.2f}"',
            )
    for name, text in texts.items():
        _glue(name, text)


def say_table(name: str, rows: Sequence[Sequence[str]]) -> None:
    """Give this page a table for its directive {glue:md} with `:format: myst`; outside the book nothing happens.

    Args:
        name: what the directive names.
        rows: the cells, with MyST in them; the first row is the head.

    Raises:
        SettingError: there is no row below the head, or the rows differ in length.
    """
    if len(rows) < 2 or len({len(row) for row in rows}) > 1:
        raise SettingError(
            f"{len(rows)} rows of {sorted({len(row) for row in rows})} cells are no table",
            where=f"say_table({name!r}, …)",
            todo="pass a head and at least one row, all of the same length",
        )
    try:
        from IPython.display import Markdown
    except ImportError:
        return
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join([head, "|---" * len(rows[0]) + "|", *body])
    _glue(name, Markdown(table))  # type: ignore[no-untyped-call]  # IPython leaves its types open


def percent(share: float, *, digits: int = 1) -> str:
    """Return a share of one in per cent: 97.3 %."""
    return f"{100 * float(share):z.{digits}f}\u00a0%".replace("-", "−")


def power(number: float, *, digits: int = 0) -> str:
    """Return a very large or very small number as a product with a power of ten: 3 × 10⁻⁵."""
    mantissa, exponent = f"{float(number):.{digits}e}".split("e")
    return f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_RAISED)}".replace("-", "−")


def machine(device: torch.device | None = None) -> str:
    """Return what the cells ran on: CPU and its threads, or the name of the GPU."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device is not None and device.type != "cpu":
        return "GPU"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread" + "s" * (threads > 1)
