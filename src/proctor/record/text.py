"""Text from a student's process, made safe to write and to show."""

from __future__ import annotations

import re

__all__ = ["clean_text", "cut", "plain_text"]

ITEM = r"(?:[34]8;5;\d{1,3}|[34]8;2(?:;\d{1,3}){3}|(?!0*[34]8[;m])\d{1,3})"
COLOUR = rf"\x1b\[(?:{ITEM}(?:;{ITEM}){{0,15}})?m"  # nbconvert 7 fails on `38` or `48` with nothing behind it
OTHER = (
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links of terminals
    r"|\x1b\[[0-9:;<=>?]*[ -/]*[@-~]?"  # moving the cursor, clearing the screen
    r"|\x1b[ -~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
    r"|[\u202a-\u202e\u2066-\u2069]"  # that show text in another order than it stands
)
ESCAPES = re.compile(f"({COLOUR})|{OTHER}")
COLOURS = 2000  # colour codes kept in one text: nbconvert copies the whole rest of the text at each
SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""Return the text without control characters and terminal codes; colours, `\n`, `\t` and `\r` stay.

    Half characters (lone surrogates), which no file can hold, become U+FFFD.
    """
    text = SURROGATES.sub("\ufffd", text)
    kept = 0

    def keep_colours(match: re.Match[str]) -> str:
        nonlocal kept
        kept += match[1] is not None
        return match[1] or "" if kept <= COLOURS else ""

    return ESCAPES.sub(keep_colours, text)


def plain_text(text: str) -> str:
    """Return the text as `clean_text` does, without colours too."""
    return re.sub(COLOUR, "", clean_text(text))


def cut(text: str, limit: int) -> str:
    """Return the text, or its first `limit` bytes in UTF-8 and a line that says how many are missing."""
    content = text.encode("utf-8", errors="replace")
    if len(content) <= limit:
        return text
    start = content[:limit].decode("utf-8", errors="ignore")
    return f"{start}\n… cut: {len(content) - len(start.encode())} more bytes\n"
