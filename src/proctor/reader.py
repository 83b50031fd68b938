"""Read one notebook from standard input, and write down what may be used of it; a child process of its own.

Started as `python -I -S reader.py`, so it imports the standard library only. A notebook that is made to cost memory or
time costs this process, and nothing else. The answer is one line of JSON: `{"digest", "cells", "notes"}` with each cell
as `[kind, source, name]`, or `{"refused": [reason, todo]}`, where the reason is a clause that follows the file's name.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["LARGEST", "main", "read"]

LARGEST = 100 * 2**20  # bytes of a notebook with its outputs; plots of a long course stay below a tenth of it
MOST_TEXT = 5 * 2**20  # bytes of all cells' text; the longest chapter here has 0.05 of it
LONGEST_CELL = 2**20  # bytes
MOST_CELLS = 5_000
MOST_NOTES = 10
LONGEST_NAME = 200  # characters; nbgrader's own names have 20
MEMORY = 1_500 * 2**20  # bytes; 100 MiB of honest notebook need half of it
PROCESSOR = 20  # s; 100 MiB of honest notebook take 2
SAVE_AGAIN = "open it in JupyterLab, save it and hand it in again"
OLDEST = 4  # version of nbformat: since then the cells of a notebook stand in one list
KINDS = ("code", "markdown", "raw")
SURROGATES = re.compile("[\ud800-\udfff]")


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """The bytes are no notebook that can be used."""

    def __init__(self, reason: str, todo: str = SAVE_AGAIN) -> None:
        self.reason, self.todo = reason, todo
        super().__init__(reason)


def read(data: bytes) -> dict[str, Any]:
    """Return the digest, the cells and the notes of a notebook, or why it is refused; never raises."""
    try:
        cells, notes = _cells(_notebook(_parse(_text(data))))
        return {"digest": hashlib.sha256(data).hexdigest(), "cells": cells, "notes": notes}
    except Refused as refused:
        return {"refused": [refused.reason, refused.todo]}
    except RecursionError:
        return {"refused": ["is nested too deep for a notebook", SAVE_AGAIN]}
    except MemoryError:
        return {"refused": ["takes too much memory to read", "clear its outputs, save it and hand it in again"]}


def _text(data: bytes) -> str:
    if len(data) > LARGEST:
        reason = f"is larger than {LARGEST // 2**20} MB"
        raise Refused(reason, "clear its outputs, save it and hand it in again")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise Refused("is saved as UTF-16 or UTF-32, not as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(f"is not saved as UTF-8: line {line} holds other bytes") from None
    if not text.strip():
        raise Refused("is empty")
    return text


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_int=float)  # no number but the version is of use, and int() stops at 4,300 digits
    except json.JSONDecodeError as error:
        if not text.lstrip().startswith("{"):
            raise Refused("is not a notebook: it does not hold JSON") from None
        if error.msg.startswith("Unterminated") or error.pos >= len(text.rstrip()):
            raise Refused(f"is not complete: it breaks off in line {error.lineno}") from None
        raise Refused(f"is damaged: line {error.lineno} is not valid JSON") from None


def _notebook(content: Any) -> list[Any]:
    """Return the raw cells of what should be a notebook."""
    if not isinstance(content, dict):
        raise Refused("is not a notebook: it holds other JSON")
    version = content.get("nbformat")
    if isinstance(version, float) and version < OLDEST:
        raise Refused(f"is saved in an old format (nbformat {version:g})", "open and save it in JupyterLab")
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise Refused("is not a notebook: it holds no list of cells")
    if len(cells) > MOST_CELLS:
        raise Refused(f"holds more than {MOST_CELLS:,} cells", "delete cells that are not needed")
    return cells


def _cells(raw: list[Any]) -> tuple[list[list[str]], list[str]]:
    """Return the cells as [kind, source, name], and a note for each that is none."""
    cells: list[list[str]] = []
    notes: list[str] = []
    total = 0
    for number, cell in enumerate(raw, start=1):
        if why := _oddity(cell):
            notes.append(f"cell {number} was left out: {why}")
            continue
        source = _joined(cell.get("source"))
        size = len(source.encode())
        total += size
        if size > LONGEST_CELL:
            raise Refused(f"holds a cell of more than {LONGEST_CELL // 2**20} MB, cell {number}", "shorten that cell")
        if total > MOST_TEXT:
            raise Refused(f"holds more than {MOST_TEXT // 2**20} MB of text", "delete cells that are not needed")
        cells.append([cell["cell_type"], source, _name(cell)])
    return cells, list(_shortened(notes))


def _oddity(cell: Any) -> str:
    """Return why something is no cell; empty if it is one."""
    if not isinstance(cell, dict):
        return "it is not an object"
    if cell.get("cell_type") not in KINDS:
        return "it is neither code nor Markdown nor raw"
    source = cell.get("source")
    parts = source if isinstance(source, list) else [source or ""]
    return "" if all(isinstance(part, str) for part in parts) else "its source is not text"


def _joined(source: Any) -> str:
    return _encodable("".join(source) if isinstance(source, list) else source or "")


def _name(cell: Mapping[str, Any]) -> str:
    """Return the nbgrader id that the cell claims; empty if it claims none that could be one."""
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = marks.get("grade_id") if isinstance(marks, dict) else None
    return _encodable(name) if isinstance(name, str) and len(name) <= LONGEST_NAME else ""


def _encodable(text: str) -> str:
    """Return the text with U+FFFD for halves of characters, which JSON can hold and UTF-8 cannot."""
    return SURROGATES.sub("\ufffd", text)


def _shortened(notes: list[str]) -> Iterator[str]:
    yield from notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        yield f"more cells were left out: {len(notes) - MOST_NOTES}"


def main() -> None:
    """Read standard input under limits, as far as the system has them, and answer on standard output."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has none, macOS not each
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    gc.disable()  # JSON makes no cycles, and looking for them takes longer than all the rest
    answer = read(sys.stdin.buffer.read(LARGEST + 1))
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()
