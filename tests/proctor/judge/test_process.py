"""The judge's process: one for an assignment, a fork for each test, and a verdict whatever the student's side does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.errors import EngineError
from proctor.judge import Judge, Said, Trial
from proctor.judge import process as module

HasEnded = Callable[[int], bool]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
LONG = 60.0  # s where the limit is not what is tested
TEST = "with student:\n    y = f(2)\nassert y == 4, f'y is {y}'"


@pytest.fixture
def copy(notebook: Any) -> Iterator[Callable[[str], socket.socket]]:
    """Run a cell in the notebook and leave a copy behind; return the socket to it."""
    made: list[socket.socket] = []

    def make(cell: str) -> socket.socket:
        assert notebook.cell(cell)[0] == "well"
        made.append(notebook.copy().sock)
        made[-1].settimeout(None)
        return made[-1]

    yield make
    for each in made:
        each.close()


def ask(judge: Judge, sock: socket.socket, source: str = TEST, **limits: float) -> Coroutine[Any, Any, Said]:
    options = {"block_limit": LONG, "cell_limit": LONG} | limits
    return judge.judge(Trial(source, "one", chance="x/one", **options), sock)


def test_tests_are_judged_one_after_another_and_at_once(run: Run, copy: Any) -> None:
    right, wrong = copy("def f(x): return 2 * x"), copy("def f(x): return 5")
    again = copy("def f(x): return 4")

    async def judge_all() -> None:
        async with Judge.start("", seed=0) as judge:
            said = await asyncio.gather(ask(judge, right), ask(judge, wrong))
            assert [each.state for each in said] == ["passed", "failed"]
            assert said[1].message == "y is 5"
            assert (await ask(judge, again)) == Said("passed")

    run(judge_all())


def test_all_that_a_test_says_arrives(run: Run, copy: Any) -> None:
    sock = copy("import torch\ndef f(x):\n    print('seen')\n    return torch.ones(x)")
    test = "with student:\n    y = f(2)\nassert y.sum() == 2, 'no'\n1.5"

    async def judge_one() -> None:
        async with Judge.start("import torch", seed=0) as judge:
            assert await ask(judge, sock, test) == Said("passed", "", 1.5, "cpu", "seen\n")

    run(judge_one())


def test_the_opening_cell_runs_once_with_the_seed_and_no_test_changes_it_for_another(run: Run, copy: Any) -> None:
    opening = "import os\nseed = int(os.environ['DESCENT_SEED'])\nmade = []"
    source = "made.append(1)\nwith student:\n    y = 1\nassert (len(made), seed) == (1, 17), f'{made} {seed}'"
    first, second = copy("x = 1"), copy("x = 1")

    async def judge_two() -> None:
        async with Judge.start(opening, seed=17) as judge:
            assert (await ask(judge, first, source)).state == "passed"
            assert (await ask(judge, second, source)).state == "passed"

    run(judge_two())


def test_the_judge_works_in_an_empty_folder_without_a_gpu(run: Run, copy: Any) -> None:
    source = """
import os, tempfile
with student:
    y = 1
assert os.listdir() == [], "not empty"
assert os.getcwd() == tempfile.gettempdir(), "temporary files go elsewhere"
assert os.environ["CUDA_VISIBLE_DEVICES"] == "", "a GPU"
assert os.environ["OMP_NUM_THREADS"] == "1", "threads"
"""
    sock = copy("x = 1")

    async def judge_one() -> None:
        async with Judge.start("", seed=0) as judge:
            assert await ask(judge, sock, source) == Said("passed")

    run(judge_one())


def test_modules_that_a_test_imports_are_there_for_the_next(run: Run, copy: Any) -> None:
    first, second, third = copy("x = 1"), copy("x = 1"), copy("x = 1")
    source = "import sys\nthere = 'colorsys' in sys.modules\nimport colorsys\nwith student:\n    y = 1\nfloat(there)"

    async def judge_all() -> None:
        async with Judge.start("", seed=0) as judge:
            shares = [(await ask(judge, sock, source)).share for sock in (first, second, third)]
            assert shares == [0, 1, 1]

    run(judge_all())


@pytest.mark.parametrize(
    ("opening", "says"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "the process has ended"),
    ],
)
def test_an_opening_cell_that_fails_is_the_instructors_to_mend(run: Run, opening: str, says: str) -> None:
    async def start() -> None:
        async with Judge.start(opening, seed=0):
            pytest.fail("it started")

    with pytest.raises(EngineError, match="the opening cell fails where the tests run: ") as caught:
        run(start())
    assert says in caught.value.what
    assert caught.value.where == "the first locked code cell of the source notebook"
    assert "fresh kernel" in caught.value.todo


def test_an_endless_opening_cell_is_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPENING_LIMIT", 1.0)

    async def start() -> None:
        async with Judge.start("while True: pass", seed=0):
            pytest.fail("it started")

    with pytest.raises(EngineError, match="it ran past 1 s"):
        run(start())


def test_an_endless_block_is_timed_out_and_the_next_test_is_judged(run: Run, copy: Any) -> None:
    endless, right = copy("def f(x):\n    while True: pass"), copy("def f(x): return 4")

    async def judge_two() -> None:
        async with Judge.start("", seed=0) as judge:
            said = await ask(judge, endless, block_limit=0.3)
            assert (said.state, said.message) == ("timed out", "your code ran past 0 s and was stopped")
            assert (await ask(judge, right)).state == "passed"

    run(judge_two())


def test_a_test_that_goes_on_for_ever_is_stopped(
    run: Run, copy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: HasEnded
) -> None:
    monkeypatch.setattr(module, "SLACK", 0.5)
    source = (
        f"import os\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nwhile True:\n    with student:\n"
    )
    sock = copy("x = 1")

    async def judge_one() -> None:
        async with Judge.start("", seed=0) as judge:
            said = await ask(judge, sock, source + "        y = 1", cell_limit=1.0)
            assert said == Said("timed out", "the test ran past 1 s and was stopped")
            assert gone(int((tmp_path / "pid").read_text()))

    run(judge_one())


def test_bytes_that_drip_do_not_keep_a_test_alive(run: Run, copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them comes within the limit of a block."""
    monkeypatch.setattr(module, "SLACK", 0.5)
    sock = copy("""
import os, time
def f(x):
    fds = [fd for fd in range(3, 50) if os.path.exists(f"/proc/self/fd/{fd}")]
    fds = [fd for fd in fds if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")]
    for byte in b"GDW1" + bytes(100):
        os.write(fds[0], bytes([byte]))
        time.sleep(0.1)
""")

    async def judge_one() -> None:
        async with Judge.start("", seed=0) as judge:
            assert (await ask(judge, sock, block_limit=0.5, cell_limit=0.5)).state == "timed out"

    run(judge_one())


@pytest.mark.parametrize("ends", ["os._exit(0)", "os.abort()", "[0] * 10**12"])
def test_a_test_that_ends_its_process_has_failed(run: Run, copy: Any, ends: str) -> None:
    first, second = copy("def f(x): return 4"), copy("def f(x): return 4")

    async def judge_two() -> None:
        async with Judge.start("", seed=0) as judge:
            said = await ask(judge, first, f"import os\n{TEST}\n{ends}")
            assert said.state == "failed"
            assert "memory" in said.message or "MemoryError" in said.message
            assert (await ask(judge, second)).state == "passed"

    run(judge_two())


def test_a_judge_that_is_gone_is_our_own_fault(run: Run, copy: Any, gone: HasEnded) -> None:
    sock = copy("x = 1")

    async def judge_one() -> None:
        async with Judge.start("", seed=0) as judge:
            (process,) = [each for each in psutil.Process().children() if "proctor.judge.main" in each.cmdline()]
            process.kill()
            assert gone(process.pid)
            with pytest.raises(EngineError, match="the judge's process is gone") as caught:
                await ask(judge, sock)
            assert caught.value.todo == "grade again"
            assert (await ask(judge, sock, "with student:\n    y = x\nassert y == 1")).state == "passed", "another came"

    run(judge_one())


def test_a_test_that_was_killed_says_nothing_about_the_student(run: Run, copy: Any) -> None:
    """As the kernel does it when the machine has no memory left, whoever took it."""
    first, second = copy("def f(x): return 4"), copy("def f(x): return 4")

    async def judge_two() -> None:
        async with Judge.start("", seed=0) as judge:
            with pytest.raises(EngineError, match="the judge's process is gone"):
                await ask(judge, first, f"import os\n{TEST}\nos.kill(os.getpid(), 9)")
            assert (await ask(judge, second)).state == "passed"

    run(judge_two())


def test_files_that_cannot_be_copied_are_our_own_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")

    async def start() -> None:
        async with Judge.start("", seed=0, files=tmp_path):
            raise AssertionError("it has started without its files")

    with pytest.raises(EngineError, match=r"could not be copied for the judge: .*No such file"):
        run(start())


def test_nothing_of_a_judge_is_left(run: Run, copy: Any, gone: HasEnded, tmp_path: Path) -> None:
    sock = copy("import time\ndef f(x): time.sleep(100)")
    note = (
        f"import os\nopen({str(tmp_path / 'it')!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} {{os.getcwd()}}')\n"
    )

    async def leave() -> None:
        async with Judge.start("", seed=0) as judge:
            task = asyncio.create_task(ask(judge, sock, note + TEST))
            while not ((tmp_path / "it").exists() and (tmp_path / "it").read_text()):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(leave())
    fork, judge_pid, folder = (tmp_path / "it").read_text().split(maxsplit=2)
    assert gone(int(fork))
    assert gone(int(judge_pid))
    assert not Path(folder).exists()


def test_a_verdict_that_cannot_be_read_is_our_own_fault() -> None:
    with pytest.raises(EngineError, match="the judge's verdict cannot be read") as caught:
        module._checked({"state": "perfect"})
    assert "perfect" in caught.value.where
