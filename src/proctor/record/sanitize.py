"""Outputs of a student's cells without active content, and of bounded size.

What comes in may be anything that JSON can hold. Nothing of it is passed on as it is: each output is built anew from
the fields that nbformat knows, and each field is cleaned by what it claims to be.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proctor.record.html import clean_html
from proctor.record.markdown import clean_markdown, without_tags
from proctor.record.text import clean_text, cut

__all__ = ["CELL_LIMIT", "clean_markdown", "clean_outputs", "size"]

CELL_LIMIT = 1 << 20  # bytes of one cell's outputs
COUNT = 200  # outputs of one cell
NAME_LIMIT = 200  # bytes of an exception's type
MESSAGE_LIMIT = 16 << 10  # bytes of an exception's message
TRACEBACK = 200  # lines
MAGIC = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}


def clean_outputs(outputs: Iterable[Any], *, cap: int = CELL_LIMIT) -> list[dict[str, Any]]:
    """Return valid nbformat outputs that can be shown to anyone.

    Args:
        outputs: what the student's process said that a cell put out.
        cap: the most that they may take, in bytes; the last line says how much was cut.
    """
    cleaned: list[dict[str, Any]] = []
    left, missing = cap, 0
    for index, raw in enumerate(outputs):
        output = _output(raw, left) if index < COUNT and left > 0 else None
        if output is None:
            missing += index >= COUNT or left <= 0
            continue
        cleaned.append(output)
        left -= size(output)
    if missing:
        cleaned.append(_stream(f"… cut: {missing} more outputs\n"))
    return cleaned


def size(output: Mapping[str, Any]) -> int:
    """Return how many bytes of text a clean output holds."""
    values = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", ()), *_data(output).values()]
    return sum(len(value.encode()) for value in values)


def _output(raw: Any, left: int) -> dict[str, Any] | None:
    """Return one output built anew, at most `left` bytes and a line long; None if there is nothing to show."""
    if not isinstance(raw, Mapping):
        return None
    kind = raw.get("output_type")
    if kind == "stream":
        return _stream(cut(clean_text(_text(raw.get("text"))), left), raw.get("name"))
    if kind == "error":
        return _error(raw, left)
    if kind not in ("display_data", "execute_result"):
        return None
    data = _bundle(_data(raw))
    output = {"output_type": kind, "data": data, "metadata": {}}
    if kind == "execute_result":
        output["execution_count"] = None
    too_much = size(output)
    return _stream(f"… cut: {too_much} more bytes\n") if too_much > left else output if data else None


def _stream(text: str, name: object = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr" if name == "stderr" else "stdout", "text": text}


def _error(raw: Mapping[Any, Any], left: int) -> dict[str, Any]:
    lines = raw.get("traceback")
    traceback = "\n".join(_text(line) for line in lines[:TRACEBACK]) if isinstance(lines, list | tuple) else ""
    return {
        "output_type": "error",
        "ename": cut(clean_text(_text(raw.get("ename"))), NAME_LIMIT) or "Error",
        "evalue": cut(clean_text(_text(raw.get("evalue"))), min(MESSAGE_LIMIT, left)),
        "traceback": cut(clean_text(traceback), left).split("\n"),
    }


def _data(output: Mapping[Any, Any]) -> Mapping[Any, Any]:
    data = output.get("data")
    return data if isinstance(data, Mapping) else {}


def _bundle(data: Mapping[Any, Any]) -> dict[str, str]:
    """Return the kinds that may be shown; a drawing in SVG only where nothing else shows it."""
    cleaned = {kind: clean(_text(data[kind])) for kind, clean in CLEANERS.items() if kind in data}
    cleaned |= {kind: _image(kind, _text(data[kind])) for kind in MAGIC if kind in data}
    shown = {kind: text for kind, text in cleaned.items() if text}
    if "image/svg+xml" in data and not shown.keys() - {"text/plain"}:
        shown["text/html"] = _still(_text(data["image/svg+xml"]))
    return shown


def _text(value: object) -> str:
    """Return text that nbformat allows as one string or as a list of lines; anything else is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "".join(line for line in value if isinstance(line, str))
    return ""


def _image(kind: str, text: str) -> str:
    """Return the image in Base64, encoded anew; empty if it is not what it claims to be."""
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.b64encode(content).decode("ascii") if content.startswith(MAGIC[kind]) else ""


def _still(drawing: str) -> str:
    """Return a page that shows the drawing as an image: there, no script of it runs and nothing is loaded."""
    content = base64.b64encode(clean_text(drawing).encode()).decode("ascii")
    return f'<img alt="a drawing" src="data:image/svg+xml;base64,{content}">'


CLEANERS: Mapping[str, Callable[[str], str]] = {
    "text/plain": clean_text,
    "text/html": clean_html,
    "text/markdown": clean_markdown,
    "text/latex": lambda text: without_tags(clean_text(text)),
}
