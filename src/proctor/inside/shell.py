"""IPython without a server: a notebook's cells run as in a kernel, with no port, no history and no files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from .outputs import Collector, RawOutput, replace_streams

__all__ = ["CELL", "Shell", "new_shell"]

CELL = "<cell {}>"  # the file name of a cell's code: tracebacks name the cell as the assignment does
ERROR_CAP = 20_000  # characters of an error's message, and of each piece of its traceback
LINES = 100  # pieces of a traceback: a frame each, and IPython leaves frames out that repeat
PLOTS = "module://matplotlib_inline.backend_inline"

collector = Collector()  # of this process; forks have their own


class _NamedCells(CachingCompiler):
    """Names code after the cell that it stands in."""

    label = ""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return CELL.format(self.label) if self.label else super().get_code_name(raw_code, transformed_code, number)

    def format_code_name(self, name: str) -> tuple[str, str] | None:
        return ("Cell", name[6:-1]) if name.startswith("<cell ") else super().format_code_name(name)


class _Publisher(DisplayPublisher):
    """Collects what `display` shows."""

    def publish(self, data: dict[str, Any], metadata: Any = None, *_: Any, **options: Any) -> None:
        transient, update = options.get("transient") or {}, bool(options.get("update"))
        output = {"output_type": "display_data", "data": data, "metadata": metadata or {}}
        collector.show(output, display_id=str(transient.get("display_id", "")), update=update)

    def clear_output(self, wait: bool = False) -> None:
        collector.clear(wait=wait)


class _Hook(DisplayHook):
    """Collects the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        """Show no prompt: the output carries the number."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        output = {"output_type": "execute_result", "data": format_dict, "metadata": md_dict or {}}
        collector.show({**output, "execution_count": self.prompt_count})

    def finish_displayhook(self) -> None:
        self._is_active = False


class Shell(InteractiveShell):
    """One notebook's shell."""

    compiler_class = Type(_NamedCells)
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def run(self, source: str, label: str) -> None:
        """Run a cell."""
        collector.restart()
        self.compile.label = label  # type: ignore[attr-defined]  # it is a _NamedCells
        self.ended_well = False
        self.error: BaseException = KeyboardInterrupt()  # what it is if nothing else is known below
        try:
            result = self.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
            self.ended_well = bool(result.success)
            self.error = result.error_before_exec or result.error_in_exec or self.error
        except BaseException as error:  # where an error cannot be shown, or Ctrl-C came between two steps of IPython's
            self.error = error

    def ending(self) -> tuple[bool, list[dict[str, Any]]]:
        """Return whether the last cell ended without an error, and its outputs: with an error, if it ended in one.

        A test that runs beside the student's code is judged by that error. So it may neither fall under a cap nor be
        missing because IPython only prints it, as it does with SystemExit and exception groups.
        """
        if raw := self.raw_output.take():
            collector.write("stdout", raw)
        outputs = collector.finished()
        if not self.ended_well and not any(each["output_type"] == "error" for each in outputs):
            outputs.append(_error(self.error))
        return self.ended_well, outputs

    def enable_gui(self, gui: str | None = None) -> None:
        """Take no part in windows: `%matplotlib inline` asks for none, and there are none here."""

    def ask_exit(self) -> None:
        """End the cell at `exit()`, as `sys.exit()` does."""
        raise SystemExit

    def take_over(self) -> None:
        """Make this process the notebook's: its prints are collected, its plots shown inline."""
        self.raw_output = RawOutput()
        replace_streams(collector)
        os.environ.setdefault("MPLBACKEND", PLOTS)

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        del etype
        collector.show(_error(evalue, stb))


def _error(error: BaseException, traceback: Sequence[str] = ()) -> dict[str, Any]:
    name = type.__dict__["__name__"].__get__(type(error))  # a metaclass can define its own
    lines = [line[:ERROR_CAP] for line in traceback[:LINES]]
    return {"output_type": "error", "ename": name, "evalue": _text(error)[:ERROR_CAP], "traceback": lines}


def _text(value: object) -> str:
    try:
        return str.__str__(str(value))  # a plain text, where `__str__` returns a case of it
    except BaseException:
        return "(its message cannot be shown)"


def new_shell() -> Shell:
    """Return the shell of this process, made now."""
    folder = tempfile.mkdtemp(prefix="ipython-")
    os.environ["IPYTHONDIR"] = folder
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.ast_node_interactivity = "last_expr"
    config.InteractiveShell.colors = "NoColor"
    shell: Shell = Shell.instance(config=config, ipython_dir=folder)
    return shell
