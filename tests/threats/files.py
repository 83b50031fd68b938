"""Submissions that are no notebooks, or odd ones, and notebooks whose contents act in a browser or a spreadsheet."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from .entry import Attack, Notebook, named

__all__ = ["ATTACKS", "PROBE"]

NAME = "plain.ipynb"
PROBE = "xssprobe"  # in all active content here


def _holds(data: bytes) -> Callable[[Path], None]:
    return lambda folder: _write(folder, data)


def _write(folder: Path, data: bytes) -> None:
    (folder / NAME).write_bytes(data)


def _half(folder: Path) -> None:
    data = (folder / NAME).read_bytes()
    _write(folder, data[: len(data) // 2])


def _utf16(folder: Path) -> None:
    _write(folder, (folder / NAME).read_text(encoding="utf-8").encode("utf-16"))


def _sparse(folder: Path) -> None:
    with (folder / NAME).open("wb") as file:
        file.truncate(101 << 20)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what replaces the notebook by something that is no file."""

    def replace(folder: Path) -> None:
        (folder / NAME).unlink()
        make(folder / NAME)

    return replace


def _link_to_gradebook(path: Path) -> None:
    path.symlink_to(path.parents[3] / "gradebook.db")


def _link_to_source(path: Path) -> None:
    path.symlink_to(path.parents[3] / "source" / "plain" / "plain.ipynb")


def _hard_link(path: Path) -> None:
    other = path.with_name("other.ipynb")
    other.write_text("{}", encoding="utf-8")
    os.link(other, path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")  # its own path may be too long for a socket
        finally:
            os.close(folder)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        os.mkfifo(path)  # only root can make a device; what else is no file does as well


def _copy_only(folder: Path) -> None:
    (folder / NAME).rename(folder / "Plain-Copy1.ipynb")


def _crowded(folder: Path) -> None:
    deep = folder.joinpath(*["deeper"] * 30)
    deep.mkdir(parents=True)
    for number in range(100):
        (folder / f"zz-{number}.csv").write_text("=1+1", encoding="utf-8")
    (folder / "loop").symlink_to(folder)
    (folder / "gradebook").symlink_to(folder.parents[2] / "gradebook.db")
    os.mkfifo(folder / "pipe")
    (folder / "\x1b[2J\n<script>.txt").write_text("", encoding="utf-8")


def _version_3(notebook: Notebook) -> None:
    notebook["worksheets"] = [{"cells": notebook.pop("cells")}]
    notebook["nbformat"] = 3


def _null_cells(notebook: Notebook) -> None:
    for cell in (None, 7, "text", [], {}, {"cell_type": "code"}, {"cell_type": "weird", "source": "1 / 0"}):
        notebook["cells"].insert(3, cell)
    notebook["cells"].append({"cell_type": "code", "source": ["x = ", 5], "metadata": None})


def _odd_metadata(notebook: Notebook) -> None:
    notebook["metadata"] = {"kernelspec": {"name": "cobol", "display_name": 7}, "widgets": [None]}
    notebook["nbformat_minor"] = 99
    for cell in notebook["cells"]:
        cell["id"] = "the same"
        cell["metadata"]["nbgrader"] = cell["metadata"].get("nbgrader", ["nothing"])
        cell["outputs"] = "none"
        cell["execution_count"] = "NaN"


def _long_line(notebook: Notebook) -> None:
    named(notebook, "double")["source"] = "x = '" + "y" * (2 << 20) + "'"


MALFORMED = [
    *(
        Attack(f"file-{name}", row="malformed notebooks", does=f"hands in {what}", write=write, refused=refused)
        for name, what, write, refused in (
            ("no-json", "broken JSON", _holds(b'{"cells": [,]}'), "'plain.ipynb' is damaged: line 1 is not valid JSON"),
            ("half", "half a notebook", _half, "'plain.ipynb' is not complete: it breaks off in line 1"),
            ("empty", "an empty file", _holds(b""), "'plain.ipynb' is empty"),
            ("blank", "white space", _holds(b" \n\t\n"), "'plain.ipynb' is empty"),
            ("utf-16", "UTF-16", _utf16, "'plain.ipynb' is saved as UTF-16 or UTF-32, not as UTF-8"),
            ("latin-1", "Latin-1", _holds(b'{"a": "\xe4"}'), "'plain.ipynb' is not saved as UTF-8: line 1"),
            ("binary", "a program", _holds(b"\x7fELF\x02\x01\x01\0\0\0"), "'plain.ipynb' is not a notebook"),
            ("list", "other JSON", _holds(b"[1, 2]"), "'plain.ipynb' is not a notebook: it holds other JSON"),
            ("schema", "cells that are no list", _holds(b'{"cells": {}, "nbformat": 4}'), "it holds no list of cells"),
            ("deep", "JSON, nested deep", _holds(b"[" * 10**6), "'plain.ipynb' is nested too deep for a notebook"),
            ("numbers", "a long number", _holds(b'{"cells": ' + b"9" * 10**6 + b"}"), "it holds no list of cells"),
            ("huge", "more than 100 MB", _sparse, "'plain.ipynb' is larger than 100 MB"),
            ("misnamed", "it under another name", _copy_only, "'plain.ipynb' was handed in, but 'Plain-Copy1.ipynb'"),
        )
    ),
    *(
        Attack(
            f"link-{name}",
            row="links and devices",
            does=f"hands in {what} in place of the notebook",
            write=_instead(make),
            refused=f"'plain.ipynb' is not read: it is a {refused}",
        )
        for name, what, make, refused in (
            ("gradebook", "a link to the gradebook", _link_to_gradebook, "symbolic link"),
            ("source", "a link to the instructor's notebook", _link_to_source, "symbolic link"),
            ("hard", "a hard link", _hard_link, "hard link"),
            ("pipe", "a pipe", os.mkfifo, "pipe"),
            ("socket", "a socket", _socket, "socket"),
            ("folder", "a folder", Path.mkdir, "folder"),
        )
    ),
    Attack(
        "link-device",
        row="links and devices",
        does="hands in a device that never ends",
        write=_instead(_device),
        refused="'plain.ipynb' is not read: it is a",
    ),
    Attack(
        "old-format",
        row="malformed notebooks",
        does="hands in a notebook of 2013",
        change=_version_3,
        refused="'plain.ipynb' is saved in an old format (nbformat 3)",
    ),
    Attack(
        "long-line",
        row="malformed notebooks",
        does="hands in a cell with a line of 2 MB",
        change=_long_line,
        refused="'plain.ipynb' holds a cell of more than 1 MB",
    ),
    Attack(
        "null-cells",
        row="malformed notebooks",
        does="puts between its cells what is none",
        change=_null_cells,
        notes=["'plain.ipynb': cell 4 was left out: it is neither code nor Markdown nor raw"],
    ),
    Attack(
        "odd-metadata",
        row="malformed notebooks",
        does="has metadata of wrong types, an unknown kernel, and cells that share an id",
        change=_odd_metadata,
    ),
    Attack(
        "crowded-folder",
        row="links and devices",
        does="hands in links, pipes, deep folders and a hundred files beside the notebook",
        write=_crowded,
        notes=[
            "'gradebook' was left out: it is a symbolic link",
            "it lies more than 10 folders deep",
            "files left out",
        ],
    ),
]

HTML = (
    f"<script>{PROBE}()</script><img src=x onerror={PROBE}()><svg onload={PROBE}()><iframe src=javascript:{PROBE}()>"
    f"</iframe><a href='javascript:{PROBE}()'>a</a><form action=//{PROBE}><object data=//{PROBE}></object>"
    f"<style>@import '//{PROBE}'</style><meta http-equiv=refresh content='0;url=//{PROBE}'><base href=//{PROBE}>"
    f"<math><mtext><style><img src onerror={PROBE}()></style></mtext></math><b style='background:url(//{PROBE})'>b</b>"
)


def _active_text(notebook: Notebook) -> None:
    for number, text in enumerate((HTML, f"[a](javascript:{PROBE}())", f"![a](//{PROBE}/x.png)", f"```\n{HTML}")):
        notebook["cells"].append({"cell_type": ("markdown", "raw")[number % 2], "metadata": {}, "source": text})
    named(notebook, "why-add")["source"] = f"Because <b>order</b> is nothing.\n\n{HTML}"
    named(notebook, "greet")["outputs"] = [{"output_type": "display_data", "data": {"text/html": HTML}, "metadata": {}}]


ACTIVE = [
    Attack(
        "active-outputs",
        row="active content",
        does="shows scripts, frames, handlers and drawings as outputs of every kind",
        added={
            "": "from IPython.display import display, HTML, SVG, Javascript, Markdown, Latex\n\n"
            f"payload = {HTML!r}\n"
            "for show in (HTML, Javascript, Markdown, Latex):\n    display(show(payload))\n"
            "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\">' + payload.split('<svg')[0] + '</svg>'))\n"
            "for kind in ('text/html', 'image/svg+xml', 'application/javascript', 'text/plain', 'image/png',\n"
            "             'application/vnd.jupyter.widget-view+json', 'application/vdom.v1+json', 'text/' + payload):\n"
            "    display({kind: payload, 'text/plain': payload}, raw=True)\n"
            "print(payload)\n"
            "raise Exception(payload)"
        },
    ),
    Attack(
        "active-words",
        row="active content",
        does="writes the same into Markdown, raw cells and the answer in words",
        change=_active_text,
    ),
    Attack(
        "active-messages",
        row="active content",
        does="raises the same in tests, visible, hidden and without a block, as text, type and file name",
        cells={
            "double": f"def double(x):\n    raise type({HTML!r}, (Exception,), {{}})({HTML!r})",
            "ordered": f"def ordered(items):\n    exec(compile('1 / 0', '<cell ' + {HTML!r} + '>', 'exec'))",
            "greet": f"def greet(name):\n    raise Exception({HTML!r})",
        },
        loses={
            "double-seen": "failed: ",
            "double-hidden": "failed: ",
            "ordered-cases": "failed: ZeroDivisionError",
            "greet-open": "failed: ",
        },
    ),
    Attack(
        "terminal-tricks",
        row="active content",
        does="prints and raises what moves a terminal's cursor and hides lines",
        cells={
            "ordered": "def ordered(items):\n    raise Exception('\\x1b[2J\\x1b]0;title\\x07\\x1b[8m\\u202e\\r\\b')"
        },
        added={"": "print('\\x1b[2J\\x1b]8;;http://a.b\\x07link\\x1b[31mred\\x1b[0m\\u202egnihton\\x00')"},
        loses={"ordered-cases": "failed: "},
    ),
    Attack(
        "spreadsheet-formula",
        row="active content",
        does="raises messages that a spreadsheet would compute",
        cells={
            "greet": "class AssertionError(Exception):\n    pass\n\n"
            'def greet(name):\n    raise AssertionError(\'=HYPERLINK("http://a.b","grade")\')'
        },
        loses={"greet-open": "failed: =HYPERLINK("},
    ),
]

ATTACKS = [*MALFORMED, *ACTIVE]
