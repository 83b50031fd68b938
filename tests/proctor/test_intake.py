"""Whatever is handed in is read as data, or refused in plain words; nothing is followed and nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor import folder as folders
from proctor import intake as intake_module
from proctor import reader
from proctor.errors import EngineError, SubmissionError
from proctor.folder import survey
from proctor.intake import intake
from proctor.model import HandedIn, Submission

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Gone = Callable[[int], bool]
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MEGABYTE = 2**20


def cell(source: Any = "x = 1", *, name: str = "", kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {"nbgrader": {"grade_id": name}} if name else {}, "source": source, **more}


def notebook(*cells: Any, **more: Any) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells} | more).encode()


class Desk:
    """A submission of one student, and what becomes of it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder, self.run = folder, run
        folder.mkdir(parents=True)

    def put(self, data: bytes, name: str = "tiny.ipynb") -> Path:
        """Write one file of the submission."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def take_in(self, *wanted: str) -> Submission:
        """Run intake."""
        work = intake(self.folder, student="ada", assignment="tiny", wanted=wanted or ("tiny",), now=lambda: NOON)
        submission: Submission = self.run(work)
        return submission

    def refusal(self, *wanted: str) -> SubmissionError:
        """Run intake, which must refuse, in one line that says where."""
        with pytest.raises(SubmissionError) as caught:
            self.take_in(*wanted)
        assert "\n" not in caught.value.what
        assert str(self.folder) in caught.value.where
        return caught.value


@pytest.fixture
def desk(tmp_path: Path, run: Run) -> Iterator[Desk]:
    before = open_files()
    yield Desk(tmp_path / "submitted" / "ada" / "tiny", run)
    assert open_files() <= before, "a file or folder was left open"


def open_files() -> set[str]:
    """Return which files and folders this process holds open, where the system tells."""
    listing = Path("/proc/self/fd")
    if not listing.is_dir():
        return set()
    return {path for entry in listing.iterdir() if (path := read_link(entry)).startswith("/")}


def read_link(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:  # the listing's own
        return ""


# --- honest submissions ---------------------------------------------------------------------------------------------


def test_a_submission_keeps_kind_source_and_claimed_name_of_each_cell(desk: Desk) -> None:
    desk.put(
        notebook(
            cell(["import math\n", "x = 1"], name="opening", outputs=[{"output_type": "stream"}], execution_count=3),
            cell("*Because.*", name="why", kind="markdown"),
            cell("raw", kind="raw", id="abc", tags=["skip-execution"]),
        )
    )
    seen = desk.take_in()
    assert (seen.student, seen.assignment, seen.received) == ("ada", "tiny", "2026-03-04T12:00:00+00:00")
    assert seen.notes == ()
    (only,) = seen.notebooks
    assert only.name == "tiny"
    assert only.cells == (
        HandedIn("code", "import math\nx = 1", "opening"),
        HandedIn("markdown", "*Because.*", "why"),
        HandedIn("raw", "raw"),
    )


HONEST = {
    "with a byte order mark": b"\xef\xbb\xbf" + notebook(cell()),
    "version 4.0, without a kernel": notebook(cell(), nbformat_minor=0),
    "of a kernel that nobody knows": notebook(cell(), metadata={"kernelspec": {"name": "colab-tpu"}}),
    "without metadata": notebook({"cell_type": "code", "source": "x = 1"}),
    "with null where metadata and outputs should be": notebook(cell(metadata=None, outputs=None), metadata=None),
    "with keys that nobody knows": notebook(cell(colab={"a": [1]}), extra=7),
    "with strange marks": notebook(cell(metadata={"nbgrader": [], "tags": 3})),
    "with a number too long for int()": notebook(cell(outputs=["N"])).replace(b'"N"', b"1" * 5_000),
    "with a key twice, the last of which counts": b'{"cells": 3, ' + notebook(cell())[1:],
    "without a version": b'{"cells": [{"cell_type": "code", "source": "x = 1"}]}',
    "of 20 MB of outputs": notebook(cell(outputs=["A" * 20 * MEGABYTE])),
}


@pytest.mark.parametrize("kind", HONEST)
def test_notebooks_of_honest_tools_are_read(desk: Desk, kind: str) -> None:
    desk.put(HONEST[kind])
    assert desk.take_in().notebooks[0].cells == (HandedIn("code", "x = 1"),)


def test_what_is_no_cell_is_left_out_and_noted(desk: Desk) -> None:
    odd = [None, 3, cell(kind="heading"), cell({"a": 1}), cell([1]), {}]
    desk.put(notebook(*odd, cell(), cell(None), *[None] * 9))
    seen = desk.take_in()
    assert seen.notebooks[0].cells == (HandedIn("code", "x = 1"), HandedIn("code", ""))
    assert seen.notes[0] == "'tiny.ipynb': cell 1 was left out: it is not an object"
    assert "cell 3 was left out: it is neither code nor Markdown nor raw" in seen.notes[2]
    assert "cell 4 was left out: its source is not text" in seen.notes[3]
    assert seen.notes[10:] == ("'tiny.ipynb': more cells were left out: 5",)


def test_half_characters_become_ones_that_can_be_written(desk: Desk) -> None:
    desk.put(notebook(cell(["print('\ud83d", "\ude00 \0')"], name="a\udc80")))
    assert desk.take_in().notebooks[0].cells == (HandedIn("code", "print('\ufffd\ufffd \0')", "a\ufffd"),)


def test_the_digest_is_that_of_names_and_bytes(desk: Desk) -> None:
    desk.put(notebook(cell()), "a.ipynb")
    desk.put(notebook(), "b.ipynb")
    both = desk.take_in("b", "a")
    assert [each.name for each in both.notebooks] == ["a", "b"]
    assert both.digest == desk.take_in("a", "b", "a").digest
    assert len(both.digest) == 64
    desk.put(notebook(), "a.ipynb")
    desk.put(notebook(cell()), "b.ipynb")
    assert desk.take_in("a", "b").digest != both.digest, "the same bytes under other names"
    desk.put(notebook(cell()) + b"\n", "b.ipynb")
    assert desk.take_in("b").digest != desk.take_in("a").digest


# --- files that are not used ----------------------------------------------------------------------------------------


def test_other_files_are_named_up_to_ten_and_counted_beyond(desk: Desk) -> None:
    desk.put(notebook())
    desk.put(b"2026-01-01 00:00:00 UTC", "timestamp.txt")
    desk.put(b"{}", ".ipynb_checkpoints/tiny-checkpoint.ipynb")
    desk.put(b"import os", "a/torch.py")
    for number in range(12):
        desk.put(b"", f"data-{number:02}.csv")
    notes = desk.take_in().notes
    assert notes[0] == "'a/torch.py' was left out: only the assignment's notebooks are graded"
    assert notes[9].startswith("'data-08.csv' was left out")
    assert notes[10:] == ("files left out beside these: 3",)


def test_links_pipes_and_sockets_are_noted_and_never_followed(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("key")
    desk.put(notebook())
    (desk.folder / "folder").symlink_to(secret)
    (desk.folder / "loop").symlink_to(desk.folder)
    (desk.folder / "hard").hardlink_to(secret / "key.txt")
    os.mkfifo(desk.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        os_path = os.path.relpath(desk.folder / "socket")
        listener.bind(os_path if len(os_path) < 100 else str(desk.folder / "socket"))
        notes = desk.take_in().notes
    assert notes == (
        "'folder' was left out: it is a symbolic link",
        "'hard' was left out: it is a hard link, one file under several names",
        "'loop' was left out: it is a symbolic link",
        "'pipe' was left out: it is a pipe",
        "'socket' was left out: it is a socket",
    )


def test_names_cannot_write_on_the_terminal(desk: Desk) -> None:
    desk.put(notebook())
    os.close(os.open(os.fsencode(desk.folder) + b"/\x1b[31m\xff\n", os.O_CREAT))
    desk.put(b"", "n" * 200)
    notes = desk.take_in().notes
    assert notes[0].startswith("'\ufffd[31m\ufffd\ufffd' was left out")
    assert len(notes[1]) < 160
    assert "\u2026' was left out" in notes[1]


def test_folders_are_entered_to_a_depth_and_files_looked_at_to_a_number(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put(notebook())
    desk.put(b"", "/".join(["d"] * 12) + "/deep.txt")
    (note,) = desk.take_in().notes
    assert note == f"'{'/'.join(['d'] * 11)}' was left out: it lies more than 10 folders deep"
    for number in range(30):
        (desk.folder / f"e{number}").mkdir()
    monkeypatch.setattr(folders, "MOST_ENTRIES", 20)
    assert "the folder holds more than 20 files: the others were not looked at" in desk.take_in().notes


def test_files_that_are_too_large_together_are_noted_and_not_read(desk: Desk) -> None:
    desk.put(notebook())
    with (desk.folder / "holes.bin").open("wb") as file:
        file.truncate(300 * MEGABYTE)
    assert desk.take_in().notes[-1] == "the files are larger than 200 MB in all"


def test_a_folder_that_cannot_be_opened_is_noted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put(notebook())
    desk.put(b"", "closed/a.txt")
    enter = folders._enter

    def deny(place: Any, name: Path) -> Any:
        if name.name == "closed":
            raise PermissionError(13, "Permission denied")
        return enter(place, name)

    monkeypatch.setattr(folders, "_enter", deny)
    assert desk.take_in().notes == ("'closed' was left out: it could not be opened",)


# --- notebooks that are missing or not files ------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["Tiny.ipynb", "tiny (1).ipynb", "tiny-Copy1.ipynb", "tiny/tiny.ipynb", "tniy.ipynb"])
def test_a_misnamed_notebook_is_pointed_at_and_not_used(desk: Desk, other: str) -> None:
    desk.put(notebook(), other)
    desk.put(notebook(), "scratch.ipynb")
    error = desk.refusal()
    assert error.what == f"no 'tiny.ipynb' was handed in, but '{other}'"
    assert error.todo == "if that is meant, rename it to 'tiny.ipynb' and grade again"


def test_no_notebook_at_all_is_refused(desk: Desk) -> None:
    desk.put(b"x = 1", "answers.py")
    assert desk.refusal().what == "no 'tiny.ipynb' was handed in"
    assert desk.refusal("a", "b").what == "no 'a.ipynb' or 'b.ipynb' was handed in"


def test_one_missing_notebook_of_several_is_noted(desk: Desk) -> None:
    desk.put(notebook(cell()), "b.ipynb")
    seen = desk.take_in("a", "b")
    assert [each.name for each in seen.notebooks] == ["b"]
    assert seen.notes == ("no 'a.ipynb' was handed in",)


def test_a_notebook_that_is_not_an_ordinary_file_is_refused(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "other.ipynb"
    target.write_bytes(notebook(cell("secret")))
    path = desk.folder / "tiny.ipynb"
    path.symlink_to(target)
    assert desk.refusal().what == "'tiny.ipynb' is not read: it is a symbolic link"
    path.unlink()
    path.hardlink_to(target)
    assert "it is a hard link" in desk.refusal().what
    path.unlink()
    os.mkfifo(path)
    assert "it is a pipe" in desk.refusal().what
    path.unlink()
    path.mkdir()
    assert "it is a folder" in desk.refusal().what
    path.rmdir()
    path.symlink_to("/dev/zero")
    assert "it is a symbolic link" in desk.refusal().what


def test_a_device_is_no_ordinary_file() -> None:
    assert folders._unfit(Path("/dev/null").stat()) == "it is a device"


def test_a_link_to_the_whole_submission_is_refused(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "tiny.ipynb").write_bytes(notebook())
    desk.folder.rmdir()
    desk.folder.symlink_to(real)
    assert desk.refusal().what == "the submission is not a folder but a link or a file"
    desk.folder.unlink()
    assert desk.refusal().what == "nothing was handed in"
    desk.folder.parent.rmdir()
    (tmp_path / "elsewhere" / "tiny").mkdir(parents=True)
    desk.folder.parent.symlink_to(tmp_path / "elsewhere")
    assert desk.refusal().what == "the submission is not a folder but a link or a file"


@pytest.mark.parametrize("swap", ["link", "pipe", "file", "nothing"])
def test_what_takes_the_place_of_a_notebook_between_look_and_open_is_not_read(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: str
) -> None:
    path = desk.put(notebook())
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(notebook(cell("secret")))
    open_file = folders._open

    def replace_first(place: Any, name: str) -> int:
        if name != "timestamp.txt":
            path.unlink()
            if swap == "link":
                path.symlink_to(secret)
            elif swap == "pipe":
                os.mkfifo(path)
            elif swap == "file":
                secret.rename(path)
        return open_file(place, name)

    monkeypatch.setattr(folders, "_open", replace_first)
    assert desk.refusal().what == "'tiny.ipynb' was replaced while it was read"


def test_a_file_that_the_disk_withholds_is_our_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put(notebook())

    def withhold(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(folders, "_open", withhold)
        with pytest.raises(EngineError, match="a submission cannot be read: Permission denied") as caught:
            desk.take_in()
    assert caught.value.where == f"'{desk.folder / 'tiny.ipynb'}'"
    monkeypatch.setattr(folders, "_enter", withhold)
    with pytest.raises(EngineError, match="Permission denied"):
        desk.take_in()


def test_where_folders_cannot_be_held_open_paths_are_joined(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "BY_DESCRIPTOR", False)
    desk.put(notebook(cell()))
    desk.put(b"", "a/b.txt")
    (desk.folder / "c").symlink_to(tmp_path)
    seen = desk.take_in()
    assert len(seen.notebooks[0].cells) == 1
    assert [note.split()[0] for note in seen.notes] == ["'a/b.txt'", "'c'"]
    (desk.folder / "tiny.ipynb").unlink()
    (desk.folder / "tiny.ipynb").symlink_to(tmp_path / "nothing")
    assert "it is a symbolic link" in desk.refusal().what
    linked = Desk(tmp_path / "submitted" / "eve" / "real", desk.run)
    linked.folder = linked.folder.with_name("tiny")
    linked.folder.symlink_to("real")
    assert "not a folder but a link" in linked.refusal().what


# --- bytes that are no notebook -------------------------------------------------------------------------------------

NOT_NOTEBOOKS = {
    "empty": (b"", "is empty"),
    "white space": (b" \n\n", "is empty"),
    "UTF-16": (notebook().decode().encode("utf-16"), "is saved as UTF-16 or UTF-32, not as UTF-8"),
    "UTF-16 without a mark": (notebook().decode().encode("utf-16-le"), "is saved as UTF-16 or UTF-32, not as UTF-8"),
    "Latin-1": (b'{"cells":\n["\xe9"]}', "is not saved as UTF-8: line 2 holds other bytes"),
    "a zip archive": (b"PK\x03\x04\xff\xfe", "is not saved as UTF-8: line 1 holds other bytes"),
    "prose": (b"My answers", "is not a notebook: it does not hold JSON"),
    "truncated": (b'{\n"cells": [\n{"a": 1},', "is not complete: it breaks off in line 3"),
    "truncated in a text": (b'{\n"cells": ["abc', "is not complete: it breaks off in line 2"),
    "damaged": (b'{"cells": [],\n<<<<<<< HEAD\n}', "is damaged: line 2 is not valid JSON"),
    "two at once": (b"{}\n{}", "is damaged: line 2 is not valid JSON"),
    "a list": (b"[]", "is not a notebook: it holds other JSON"),
    "a number": (b"7", "is not a notebook: it holds other JSON"),
    "nothing in it": (b"{}", "is not a notebook: it holds no list of cells"),
    "cells that are null": (b'{"nbformat": 4, "cells": null}', "is not a notebook: it holds no list of cells"),
    "an old format": (b'{"nbformat": 3, "worksheets": []}', "is saved in an old format (nbformat 3)"),
    "nested too deep": (b'{"cells": ' + b"[" * 200_000, "is nested too deep for a notebook"),
    "nested too deep in outputs": (
        notebook(cell(outputs=["N"])).replace(b'"N"', b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
        "is nested too deep for a notebook",
    ),
    "a long cell": (notebook(cell(), cell("é" * 600_000)), "holds a cell of more than 1 MB, cell 2"),
    "long cells": (notebook(*[cell("x" * 900_000)] * 6), "holds more than 5 MB of text"),
    "many cells": (notebook(*[cell()] * 5_001), "holds more than 5,000 cells"),
    "too many bytes": (b" " * (100 * MEGABYTE + 1), "is larger than 100 MB"),
}


@pytest.mark.parametrize("kind", NOT_NOTEBOOKS)
def test_what_is_no_notebook_is_refused_in_one_clause(desk: Desk, kind: str) -> None:
    data, clause = NOT_NOTEBOOKS[kind]
    desk.put(data)
    error = desk.refusal()
    assert error.what == f"'tiny.ipynb' {clause}"
    assert error.todo


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its memory")
def test_a_notebook_made_to_fill_the_memory_costs_the_reader_alone(desk: Desk) -> None:
    desk.put(b'{"cells":[' + b'{"a":1},' * 9_000_000 + b"1]}")
    assert desk.refusal().what == "'tiny.ipynb' takes too much memory to read"


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    answer = reader.read(data)
    json.dumps(answer, ensure_ascii=False).encode()
    assert ("refused" in answer) != ("cells" in answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["code", "markdown"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["nbgrader", "grade_id"]), inner),
    max_leaves=6,
)
CELL = st.fixed_dictionaries({}, optional={"cell_type": JSON, "source": JSON, "metadata": JSON})


@settings(max_examples=150, deadline=None)
@given(cells=st.lists(CELL | JSON, max_size=4), version=JSON)
def test_any_value_in_any_place_is_read_or_refused(cells: list[Any], version: Any) -> None:
    answer = reader.read(json.dumps({"cells": cells, "nbformat": version}).encode())
    json.dumps(answer, ensure_ascii=False).encode()
    if "cells" in answer:
        assert all(isinstance(part, str) for cell in answer["cells"] for part in cell)
        assert len(answer["cells"]) + len(answer["notes"]) == len(cells)  # fewer than are counted together


# --- when the files reached us --------------------------------------------------------------------------------------

STAMPS = {
    "2026-02-03 09:12:53.381301 UTC": "2026-02-03T09:12:53+00:00",
    "2026-02-03 09:12:53.381301 Europe/Vienna\n": "2026-02-03T08:12:53+00:00",
    "2026-02-03 09:12:53 +0530": "2026-02-03T03:42:53+00:00",
    "2026-02-03 09:12:53": "2026-02-03T09:12:53+00:00",
    "2026-02-03T09:12:53Z": "2026-02-03T09:12:53+00:00",
    "2026-02-03 09:12:53 Nowhere/Land": "2026-02-03T09:12:53+00:00",
    "2026-02-03 09:12:53 /etc/passwd": "2026-02-03T09:12:53+00:00",
}


@pytest.mark.parametrize("stamp", STAMPS)
def test_the_time_that_nbgrader_noted_counts(desk: Desk, stamp: str) -> None:
    desk.put(notebook())
    desk.put(stamp.encode(), "timestamp.txt")
    seen = desk.take_in()
    assert (seen.received, seen.notes) == (STAMPS[stamp], ())


@pytest.mark.parametrize("stamp", [b"", b"soon", b"\xff", b"0001-01-01 00:00:00 +1400", b"2026-01-01 " + b" " * 500])
def test_a_note_that_is_no_time_is_passed_over(desk: Desk, stamp: bytes) -> None:
    desk.put(notebook())
    desk.put(stamp, "timestamp.txt")
    seen = desk.take_in()
    assert seen.received == "2026-03-04T12:00:00+00:00"
    assert seen.notes == ("'timestamp.txt' holds no time: the time of grading was taken",)


def test_a_link_in_place_of_the_note_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    desk.put(notebook())
    (tmp_path / "time").write_text("2026-02-03 09:12:53 UTC")
    (desk.folder / "timestamp.txt").symlink_to(tmp_path / "time")
    assert desk.take_in().received == "2026-03-04T12:00:00+00:00"


def test_without_a_clock_of_the_test_the_time_is_now(desk: Desk) -> None:
    desk.put(notebook())
    before = datetime.now(UTC).replace(microsecond=0)
    seen = desk.run(intake(desk.folder, student="ada", assignment="tiny", wanted=["tiny"]))
    assert before <= datetime.fromisoformat(seen.received) <= datetime.now(UTC)


# --- the process that reads -----------------------------------------------------------------------------------------


@pytest.fixture
def use_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let another program stand in for the reader."""

    def use(source: str) -> None:
        path = tmp_path / "stand_in.py"
        path.write_text(source, encoding="utf-8")
        monkeypatch.setattr(reader, "__file__", str(path))

    return use


def test_a_reader_that_dies_is_our_fault(desk: Desk, use_reader: Callable[[str], None]) -> None:
    desk.put(notebook())
    use_reader("import os; os._exit(3)")
    with pytest.raises(EngineError, match="the process that reads notebooks died"):
        desk.take_in()


def test_a_notebook_that_takes_too_long_is_refused(desk: Desk, use_reader: Callable[[str], None]) -> None:
    desk.put(notebook())
    use_reader("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)")
    assert desk.refusal().what == "'tiny.ipynb' takes too long to read"


HANGS = "import os, pathlib, sys, time\npathlib.Path({!r}).write_text(str(os.getpid()))\nwhile True: time.sleep(9)"


def test_a_reader_that_hangs_is_killed(
    desk: Desk, tmp_path: Path, use_reader: Callable[[str], None], gone: Gone, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put(notebook())
    use_reader(HANGS.format(str(tmp_path / "pid")))
    monkeypatch.setattr(intake_module, "DEADLINE", 2)
    with pytest.raises(EngineError, match="reading took more than 2 s"):
        desk.take_in()
    assert gone(int((tmp_path / "pid").read_text()))


def test_cancelling_kills_the_reader(desk: Desk, tmp_path: Path, use_reader: Callable[[str], None], gone: Gone) -> None:
    desk.put(notebook())
    pid = tmp_path / "pid"
    use_reader(HANGS.format(str(pid)))

    async def cancel_when_running() -> None:
        task = asyncio.create_task(intake(desk.folder, student="ada", assignment="tiny", wanted=["tiny"]))
        while not task.done() and not (pid.exists() and pid.read_text()):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    desk.run(cancel_when_running())
    assert gone(int(pid.read_text()))


def test_the_survey_alone_follows_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ada" / "tiny"
    folder.mkdir(parents=True)
    (folder / "root").symlink_to("/")
    assert survey(folder, ()).notes == ("'root' was left out: it is a symbolic link",)
