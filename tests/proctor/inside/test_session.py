"""A notebook is a process that leaves copies of itself behind: each as the notebook was, and apart from all others."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from proctor.inside import wire


@pytest.fixture
def copies(plain: Any) -> Iterator[Any]:
    """Leave copies of the plain notebook behind."""
    with ExitStack() as stack:

        def make() -> Any:
            copy = plain.copy()
            stack.enter_context(copy.sock)
            return copy

        yield make


def test_a_copy_is_the_notebook_as_it_was(plain: Any, copies: Any) -> None:
    plain.cell("x = [1]")
    copy = copies()
    plain.cell("x.append(2)\ny = 3")
    assert copy.says("x, 'y' in globals()") == "([1], False)"
    assert plain.says("x") == "[1, 2]"


def test_copies_do_not_see_one_another(plain: Any, copies: Any) -> None:
    plain.cell("x = [1]")
    first, second = copies(), copies()
    first.block("x.append(2)\nleft = 1", "left")
    assert second.says("x, 'left' in globals()") == "([1], False)"
    assert plain.says("x") == "[1]"
    assert len({plain.pid, first.pid, second.pid}) == 3


def test_a_copy_runs_cells_and_blocks_and_can_be_copied(plain: Any, copies: Any) -> None:
    plain.cell("def f(): return 4")
    copy = copies()
    assert copy.block("y = f()", "y")[1] == {"y": 4}
    again = copy.copy()
    with again.sock:
        assert again.block("z = y + 1", "z")[1] == {"z": 5}, "what blocks made is copied too"


def test_prints_of_a_copy_are_its_own(plain: Any, copies: Any) -> None:
    plain.cell("import os")
    copy = copies()
    assert copy.says("print('copy')\nos.write(1, b'raw');") == "copy\nraw"
    assert plain.says("print('first')\nos.write(1, b'own');") == "first\nown"


def test_a_copy_holds_no_socket_but_its_own(plain: Any, copies: Any) -> None:
    count = "import os, stat\nsum(stat.S_ISSOCK(os.stat(f'/proc/self/fd/{fd}').st_mode)"
    count += " for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}'))"
    first, second = copies(), copies()
    assert [each.says(count) for each in (plain, first, second)] == ["1", "1", "1"]


def test_threads_keep_a_notebook_from_being_copied(plain: Any) -> None:
    plain.cell(
        "import threading\nhold = threading.Event()\nthread = threading.Thread(target=hold.wait)\nthread.start()"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert plain.ask({"do": "snapshot"}, descriptors=[theirs.fileno()])[0] == {"why": "2 threads are running"}
    plain.cell("hold.set()\nthread.join()")
    with plain.copy().sock:
        pass


def test_a_copy_whose_socket_does_not_come_is_not_made(plain: Any) -> None:
    wire.send(plain.sock, {"do": "snapshot"}, {})
    plain.sock.sendall(b"+")
    with pytest.raises(EOFError):
        wire.read(plain.sock)


def test_a_notebook_ends_when_its_socket_is_closed(bare_room: Any, gone: Any) -> None:
    notebook = bare_room.notebook()
    notebook.cell("x = 1")
    notebook.sock.close()
    assert gone(notebook.pid)


def test_notebooks_draw_their_own_random_numbers(bare_room: Any) -> None:
    drawn = []
    for _ in range(2):
        notebook = bare_room.notebook()
        drawn.append(notebook.says("import random\nrandom.random()"))
        notebook.sock.close()
    assert drawn[0] != drawn[1]


def test_a_cell_that_ends_the_process_leaves_its_copies_alive(plain: Any, copies: Any) -> None:
    plain.cell("x = 1")
    copy = copies()
    with pytest.raises(EOFError):
        plain.cell("import os\nos._exit(3)")
    assert copy.says("x") == "1"


def test_the_environment_is_what_the_keeper_was_given(plain: Any) -> None:
    names = plain.says("import os\nsorted(os.environ)")
    assert "DESCENT_SEED" not in names
    assert set(eval(names)) <= {
        *("HOME", "IPYTHONDIR", "LC_CTYPE", "MKL_NUM_THREADS", "MPLBACKEND", "OMP_NUM_THREADS"),
        *("OPENBLAS_NUM_THREADS", "PATH", "PROCTOR_SITE", "TMPDIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),
    }
    assert os.getpid() != plain.pid
