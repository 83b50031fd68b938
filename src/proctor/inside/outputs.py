"""What a cell shows, collected in order and up to a cap: prints, displays, values, tracebacks."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

__all__ = ["Collector", "RawOutput", "Stream", "replace_streams"]

TEXT_CAP = 2**20  # characters of one cell; a longer text is not read, only stored
DATA_CAP = 8 * 2**20  # characters of images and tables of one cell
COUNT_CAP = 400  # outputs of one cell
ATOM = 10  # characters that a number or another single value is taken for

Output = dict[str, Any]


class Collector:
    """The outputs of the cell that runs now, in nbformat's form."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []  # a stream's text is a list of pieces until the cell has ended
        self._shown: dict[str, Output] = {}  # display id -> its output
        self._clear_next = False
        self._text = self._data = self._dropped = 0

    def restart(self) -> None:
        """Forget what was collected, for the next cell."""
        self.__init__()  # type: ignore[misc]  # the very same state as a new one

    def finished(self) -> list[Output]:
        """Return the outputs, with a line that says what was left out."""
        if self._dropped:
            note = f"\n… {self._dropped} more characters or outputs were left out\n"
            self._outputs.append({"output_type": "stream", "name": "stdout", "text": [note]})
        return [_joined(output) for output in self._outputs]

    def write(self, name: str, text: str) -> None:
        """Add text to a stream; pieces of one stream that follow one another become one output."""
        self._clear_if_due()
        last = self._outputs[-1] if self._outputs else {}
        continues = last.get("output_type") == "stream" and last["name"] == name
        room = TEXT_CAP - self._text if continues or len(self._outputs) < COUNT_CAP else 0
        kept = text[:room]
        self._text += len(kept)
        self._dropped += len(text) - len(kept)
        if kept and continues:
            last["text"].append(kept)
        elif kept:
            self._outputs.append({"output_type": "stream", "name": name, "text": [kept]})

    def show(self, output: Output, *, display_id: str = "", update: bool = False) -> None:
        """Add a display, a value or an error; an update replaces what was shown under the same id."""
        self._clear_if_due()
        shown = self._shown.get(display_id) if update else None
        size = self._data + _size(output) - (_size(shown) if shown else 0)
        if size > DATA_CAP or (shown is None and len(self._outputs) >= COUNT_CAP):
            self._dropped += 1
        elif shown is not None:
            self._data = size
            shown.update(output)
        elif not update:
            self._data = size
            self._outputs.append(output)
            if display_id:
                self._shown[display_id] = output

    def clear(self, *, wait: bool) -> None:
        """Take all outputs away, now or when the next one comes."""
        if wait:
            self._clear_next = True
        else:
            self.restart()

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self.restart()


def _joined(output: Output) -> Output:
    return output | {"text": "".join(output["text"])} if output["output_type"] == "stream" else output


def _size(value: object) -> int:
    """Return about how many characters a display takes, each value in it for at least one."""
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, dict):
        return 1 + sum(_size(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return 1 + sum(map(_size, value))
    return ATOM


class Stream(io.TextIOBase):
    """Takes the place of `sys.stdout` or `sys.stderr`."""

    def __init__(self, name: str, write: Callable[[str, str], None]) -> None:
        self.name = name
        self._write = write

    encoding = "utf-8"
    errors = "strict"

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False: progress bars then write plain text."""
        return False

    def fileno(self) -> int:
        """Return the descriptor that child processes inherit."""
        return {"stdout": 1, "stderr": 2}[self.name]

    def write(self, text: str) -> int:
        """Hand text to the collector."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._write(self.name, text)
        return len(text)


class RawOutput:
    """What C libraries and child processes write to descriptors 1 and 2, taken up after each cell."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        os.dup2(self._file.fileno(), 1)
        os.dup2(self._file.fileno(), 2)

    def take(self) -> str:
        """Return what came since the last time."""
        size = self._file.seek(0, os.SEEK_END)
        if not size:
            return ""
        self._file.seek(0)
        text = self._file.read(TEXT_CAP).decode("utf-8", "replace")
        self._file.seek(0)
        self._file.truncate()
        return text


def replace_streams(collector: Collector) -> None:
    """Let everything that Python prints go to the collector."""
    sys.stdout = Stream("stdout", collector.write)
    sys.stderr = Stream("stderr", collector.write)
