"""One long English text to learn letter by letter, with a stand-in that needs no network."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from descent.data.files import Folder, locate, read, tell, verify
from descent.data.sets import Text

__all__ = ["shakespeare"]

_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
_LIMIT = 1 << 23  # bytes; the text has an eighth of that
_FILE = "input.txt"


def _fetch(root: Path) -> None:
    target = root / _SHAKESPEARE.path / _FILE
    target.parent.mkdir()
    with urllib.request.urlopen(_URL) as answer:
        target.write_bytes(answer.read(_LIMIT))


_SHAKESPEARE = Folder("Tiny Shakespeare", "shakespeare", {_FILE: "6fb458f1232090904fb40fe944165e91"}, _fetch)


def _python_reference() -> Text:
    """Return the language reference that CPython carries for `help()`, its topics in alphabetical order."""
    from pydoc_data.topics import topics  # half a megabyte, and only wanted here

    return Text("\n\n".join(topics[name] for name in sorted(topics)), "the Python language reference")


def shakespeare(*, root: str | Path | None = None, download: bool | None = None) -> Text:
    """Return Tiny Shakespeare, 1,115,394 characters from his plays; without it the Python language reference.

    The language reference has about half as many characters and differs between versions of Python.

    Args:
        root: where to look first: `root/shakespeare/input.txt`.
        download: whether to download what is not on disk; None asks `DESCENT_DOWNLOAD`.

    Raises:
        DataError: the file is damaged, or the download failed.
        SettingError: `root` or an environment variable cannot be used.

    Source: Karpathy, "The unreasonable effectiveness of recurrent neural networks" (2015).
    """
    folder = locate(_SHAKESPEARE, root=root, download=download)
    if folder is None:
        tell("Tiny Shakespeare is not on this disk, so the Python language reference stands in")
        return _python_reference()
    content = read(folder / _FILE)
    verify(content, md5=_SHAKESPEARE.md5[_FILE], path=folder / _FILE)
    tell(f"Tiny Shakespeare read from {folder}")
    return Text(content.decode("utf-8"), "Tiny Shakespeare")
