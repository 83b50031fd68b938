"""A notebook runs sealed: every test gets its own verdict against the notebook at its place, whatever students do.

Real processes, on each rung. What would harm the machine without a sandbox runs only in one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.errors import EngineError
from proctor.judge import Judge, Said
from proctor.keeper import Ending
from proctor.model import Rebuilt, Run, Step
from proctor.rooms import furnished, open_room
from proctor.sandbox import Caps
from proctor.sealed import Limits, verdict_of_outputs
from proctor.sealed import run as run_sealed

OPENING = "import os, random, signal\nfrom coursekit import seed, student"
SEED = 4321
QUICK = Limits(cell=1.0, total=60.0)
PATIENT = Limits(cell=30.0, total=120.0)
CAPS, SMALL = Caps(), Caps(memory=256 * 2**20)

Runner = Callable[[Coroutine[Any, Any, Any]], Any]
Play = Callable[..., Run]


def written(source: str, name: str = "task") -> Step:
    """Return a cell in a place of the instructor's that the student fills."""
    return Step("solution", "code", source, source, name, name)


def added(source: str) -> Step:
    return Step("added", "code", source, source, label="your cell 9")


def given(source: str, name: str = "given") -> Step:
    return Step("given", "code", source, source, name, name)


def asked(source: str, name: str = "test", *, points: float = 2.0) -> Step:
    return Step("test", "code", source, source, name, name, points)


def calls(expression: str, expected: str, name: str = "test") -> Step:
    """Return a sealed test that compares what an expression gives in the student's notebook."""
    return asked(f"with student:\n    got = {expression}\nassert got == {expected}, f'{{got}} is wrong'", name)


def shows(expression: str, name: str = "test") -> Step:
    """Return a sealed test whose message is the value of an expression in the student's notebook."""
    return asked(f"with student:\n    got = {expression}\nassert False, str(got)", name)


def hidden(source: str) -> str:
    return f"with student:\n    pass\n### BEGIN HIDDEN TESTS\n{source}\n### END HIDDEN TESTS"


def player(run: Runner, rung: str) -> Play:
    def play(*steps: Step, limits: Limits = PATIENT, caps: Caps = CAPS, **options: Any) -> Run:
        async def go() -> Run:
            rebuilt = Rebuilt("tiny", (given(OPENING, "opening"), *steps), opening=OPENING)
            async with (
                Judge.start(OPENING, seed=SEED) as judge,
                open_room(furnished([OPENING]), caps=caps, rung=rung) as (room, keeper),
            ):
                before = below()
                tools = {"room": room, "keeper": keeper, "judge": judge, "chance": "1/tiny"} | options
                seen = await run_sealed(rebuilt, limits=limits, **tools)
                left_alone(before)
                return seen

        return run(go())

    return play


def below() -> set[int]:
    """Return the processes below this one that run."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def left_alone(before: set[int]) -> None:
    """Fail if a process of the student's outlives the run; one that was just killed gets a moment."""
    deadline = time.monotonic() + 5
    while (more := below() - before) and time.monotonic() < deadline:
        os.sched_yield()
    assert not more, "processes of the student's are left"


@pytest.fixture
def play(run: Runner, rung: str) -> Play:
    """Run the cells of a notebook, on each rung."""
    return player(run, rung)


@pytest.fixture
def held(run: Runner, sandboxed: str) -> Play:
    """Run the cells of a notebook that only a sandbox can hold."""
    return player(run, sandboxed)


@pytest.fixture
def quick(run: Runner) -> Play:
    """Run the cells of a notebook on the rung that is everywhere."""
    return player(run, "trusted")


def states(seen: Run) -> dict[str, str]:
    return {outcome.cell: outcome.state for outcome in seen.outcomes}


def messages(seen: Run) -> dict[str, str]:
    return {outcome.cell: outcome.message for outcome in seen.outcomes}


def texts(seen: Run, index: int) -> str:
    return "".join(str(each.get("text", "")) for each in seen.outputs[index])


# -- what a test says ---------------------------------------------------------------------------------------------


def test_every_test_gets_its_own_verdict_in_brief_words(play: Play) -> None:
    brief = "error = AssertionError('expected 5')\nerror.brief = 'too small'\nraise error"
    seen = play(
        written("def double(x):\n    return 2 * x if x < 9 else None\n\ndef refuse(x):\n    raise KeyError(x)"),
        calls("double(3)", "6", "right"),
        calls("double(3)", "7", "wrong"),
        asked("with student:\n    refuse('x' * 400)", "raised"),
        asked(hidden(brief), "hidden"),
        asked(hidden("with student:\n    got = double(9)\ngot + 417"), "unusable"),
        asked(hidden("with student:\n    refuse('x' * 400)"), "raised-hidden"),
        asked("odd = object()\nwith student:\n    got = odd", "unsendable"),
        calls("double(4)", "8", "after"),
    )
    assert states(seen) == {
        "right": "passed",
        "wrong": "failed",
        "raised": "failed",
        "hidden": "failed",
        "unusable": "failed",
        "raised-hidden": "failed",
        "unsendable": "not judged",
        "after": "passed",
    }
    said = messages(seen)
    assert (said["right"], said["wrong"], said["hidden"]) == ("", "6 is wrong", "too small")
    assert said["unusable"] == "the test could not use what your code gave back (TypeError)"
    assert said["raised"].startswith("KeyError: 'xxx")
    assert said["raised"].endswith("(in 'task', line 5: raise KeyError(x))")
    assert len(said["raised"]) > 400
    assert "…" in said["raised-hidden"]
    assert len(said["raised-hidden"]) < 200
    assert said["unsendable"].startswith("the test sends what cannot leave it: ")
    assert [outcome.points for outcome in seen.outcomes] == [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    assert all(outcome.sealed and outcome.max_points == 2.0 for outcome in seen.outcomes)
    assert seen.memory > 2**20
    assert seen.seconds > 0


VALUES = {  # last line of a test: what nbgrader makes of it
    "1": (1.0, "failed", "1 of 2 points"),
    "2": (2.0, "passed", ""),
    "99": (2.0, "passed", ""),
    "-1": (0.0, "failed", "0 of 2 points"),
    "float('nan')": (0.0, "failed", "0 of 2 points"),
    "float('inf')": (2.0, "passed", ""),
    "'ok'": (2.0, "passed", ""),
    "None": (2.0, "passed", ""),
    "1 / 0": (0.0, "failed", "ZeroDivisionError: division by zero"),
    "wrong": (0.0, "failed", "NameError: name 'wrong' is not defined"),
}


def test_a_test_without_a_block_is_judged_as_nbgrader_would_and_marked(play: Play) -> None:
    tests = [asked(f"assert x == 1\n{value}", value) for value in VALUES]
    seen = play(written("x = 1"), *tests, judge=None)
    assert {each.cell: (each.points, each.state, each.message) for each in seen.outcomes} == VALUES
    assert not any(outcome.sealed for outcome in seen.outcomes)


def test_a_test_without_a_block_ends_nothing_but_itself(play: Play) -> None:
    seen = play(
        asked("while True: pass", "endless"),
        asked("os._exit(0)", "ended"),
        asked("os.kill(os.getpid(), signal.SIGKILL)", "killed"),
        asked("raise AssertionError", "silent"),
        asked("assert True", "after"),
        limits=QUICK,
    )
    assert list(states(seen).values()) == ["timed out", "crashed", "crashed", "failed", "passed"]
    assert messages(seen)["endless"] == "ran past 1 s and was stopped"
    assert messages(seen)["ended"] == messages(seen)["killed"] == "your code ended its process"
    assert messages(seen)["silent"] == "AssertionError: "


def test_the_value_of_a_sealed_test_is_a_part_of_the_points(quick: Play) -> None:
    source = "with student:\n    got = part\n{}"
    tests = [asked(source.format(value), value) for value in ("got", "got * 9", "float('nan')")]
    seen = quick(written("part = 0.5"), *tests)
    assert [outcome.points for outcome in seen.outcomes] == [0.5, 2.0, 0.0]
    assert messages(seen) == {"got": "0.5 of 2 points", "got * 9": "", "float('nan')": "0 of 2 points"}


def test_a_sealed_test_needs_a_judge(quick: Play) -> None:
    with pytest.raises(EngineError, match="no judge for a sealed test"):
        quick(calls("1", "1"), judge=None)


@pytest.mark.parametrize(
    ("ended", "output", "said"),
    [
        ("well", {"output_type": "stream", "text": "x", "name": "stderr"}, Said("passed")),
        ("error", {"output_type": "error", "ename": "AssertionError", "evalue": "no"}, Said("failed", "no")),
        ("error", {"output_type": "error"}, Said("failed", "None: None")),
        ("well", {"output_type": "execute_result", "data": {"text/plain": "0.5"}}, Said("passed", share=0.5)),
        ("well", {"output_type": "execute_result", "data": "0.5"}, Said("passed")),
        ("well", {"output_type": "execute_result", "data": {"text/plain": [1]}}, Said("passed")),
        ("well", {}, Said("passed")),
        ("error", {}, Said("failed", "the cell did not end well")),
    ],
)
def test_outputs_are_read_as_nbgrader_reads_them(ended: Ending, output: dict[str, Any], said: Said) -> None:
    assert verdict_of_outputs(ended, (output,)) == said


# -- processes that end -------------------------------------------------------------------------------------------

DEADLY = {
    "exit": "os._exit(1)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "segfault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "close": "os.closerange(3, 99)",
}


def test_a_cell_that_ends_the_process_is_left_out_and_the_others_run(play: Play) -> None:
    seen = play(
        written("import ctypes\nx = [1]\nprint('before')", "before"),
        calls("x", "[1]", "early"),
        *(written(f"x.append(2)\n{source}", name) for name, source in DEADLY.items()),
        written("x.append(3)\nprint('after')", "after"),
        calls("x", "[1, 3]", "late"),
    )
    assert states(seen) == {"early": "passed", "late": "passed"}
    assert [each.partition(" by ")[0] for each in seen.stopped] == [
        f"cell '{name}' ended the process" for name in DEADLY
    ]
    assert (texts(seen, 1), texts(seen, 8)) == ("before\n", "after\n"), "what was run again shows nothing twice"
    assert sorted(seen.outputs) == [0, 1, 8]


def test_a_function_that_ends_the_process_fails_its_test_alone(play: Play) -> None:
    deadly = "\n\n".join(f"def {name}():\n    {source}" for name, source in DEADLY.items())
    tests = [calls(f"{name}()", "1", name) for name in DEADLY]
    seen = play(written(f"import ctypes\nx = 1\n\n{deadly}"), *tests, calls("x", "1", "after"))
    assert states(seen) == {**dict.fromkeys(DEADLY, "crashed"), "after": "passed"}
    assert {messages(seen)[name] for name in DEADLY} == {"your code ended its process"}
    assert seen.stopped == ()


def test_an_added_cell_is_called_by_its_number(quick: Play) -> None:
    assert quick(added("os._exit(0)")).stopped == ("your cell 9 ended the process",)


def test_leaving_a_cell_ends_nothing(quick: Play) -> None:
    seen = quick(written("x = 1\nexit()"), written("import sys\nsys.exit(3)"), calls("x", "1"))
    assert states(seen) == {"test": "passed"}
    assert seen.stopped == ()


def test_a_notebook_that_ends_again_and_again_is_given_up(quick: Play) -> None:
    deadly = [written("os._exit(0)", f"deadly-{number}") for number in range(12)]
    seen = quick(written("x = 1"), calls("x", "1", "early"), *deadly, calls("x", "1", "late"))
    assert states(seen) == {"early": "passed", "late": "crashed"}
    assert messages(seen)["late"] == "the cells before this test end their process again and again"
    assert seen.stopped[0] == "cell 'deadly-0' ended the process"
    assert seen.stopped[-1] == "cell 'deadly-11' was not run"


def test_killing_all_that_can_be_killed_costs_nobody_else(held: Play) -> None:
    """The copies that wait for their tests die too, and the cells before them are run again."""
    kill = "try:\n        os.kill(-1, signal.SIGKILL)\n    except ProcessLookupError:\n        pass"
    seen = held(
        written(f"x = 1\n\ndef kill():\n    {kill}\n    return 1", "first"),
        calls("x", "1", "early"),
        calls("kill()", "1", "killing"),
        written("kill()\nx = 2", "second"),
        calls("x", "2", "late"),
        calls("kill()", "1", "killing-again"),
        calls("x", "2", "last"),
    )
    assert states(seen) == dict.fromkeys(["early", "killing", "late", "killing-again", "last"], "passed")


def test_what_runs_on_in_the_background_is_gone_in_the_end(play: Play) -> None:
    daemon = "if not os.fork():\n    os.setsid()\n    while True: signal.pause()"
    seen = play(
        written(f"{daemon}\n\ndef start():\n    if not os.fork():\n        signal.pause()\n    return 1"),
        calls("start()", "1", "one"),
        calls("start()", "1", "two"),
    )
    assert set(states(seen).values()) == {"passed"}


# -- time and memory ----------------------------------------------------------------------------------------------


def test_an_endless_cell_is_interrupted_and_keeps_what_it_made(play: Play) -> None:
    seen = play(
        written("x = 1\nprint('begun', flush=True)\nwhile True: pass"),
        written("y = 2", "after"),
        calls("x + y", "3"),
        limits=QUICK,
    )
    assert states(seen) == {"test": "passed"}
    assert seen.stopped == ("cell 'task' ran past 1 s and was stopped",)
    assert texts(seen, 1) == "begun\n"


def test_a_cell_that_ignores_the_interrupt_is_killed_and_left_out(play: Play) -> None:
    seen = play(
        written("x = [1]", "before"),
        calls("x", "[1]", "early"),
        written("x.append(2)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", "stubborn"),
        written("x.append(3)", "after"),
        calls("x", "[1, 3]", "late"),
        limits=QUICK,
    )
    assert states(seen) == {"early": "passed", "late": "passed"}
    assert seen.stopped == ("cell 'stubborn' ran past 1 s and could not be stopped",)


def test_an_endless_function_fails_its_test_alone(play: Play) -> None:
    stubborn = "def stay():\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass"
    seen = play(written(stubborn), calls("stay()", "1", "endless"), calls("1", "1", "after"), limits=QUICK)
    assert states(seen) == {"endless": "timed out", "after": "passed"}
    assert messages(seen)["endless"] == "your code ran past 1 s and was stopped"


def test_cells_of_the_instructor_have_a_limit_of_their_own(quick: Play) -> None:
    spin = "import time\nbegan = time.monotonic()\nwhile time.monotonic() < began + 1: pass\nx = 1"
    seen = quick(given(spin), calls("x", "1"), limits=Limits(given=60.0, cell=0.3, total=60.0))
    assert (states(seen), seen.stopped) == ({"test": "passed"}, ())
    seen = quick(given("x = 1\nwhile True: pass"), calls("x", "1"), limits=Limits(given=1.0, cell=60.0, total=60.0))
    assert (states(seen), seen.stopped) == ({"test": "passed"}, ("cell 'given' ran past 1 s and was stopped",))


def test_the_whole_notebook_has_a_limit_too(quick: Play) -> None:
    seen = quick(
        calls("1", "1", "early"),
        written("while True: pass", "endless"),
        written("x = 1", "after"),
        calls("x", "1", "late"),
        limits=Limits(cell=60.0, total=1.0),
    )
    assert states(seen) == {"early": "timed out", "late": "timed out"}
    assert set(messages(seen).values()) == {"the notebook ran past 1 s in all"}
    assert seen.stopped == ("cell 'endless' ran past 1 s and was stopped", "cell 'after' was not run")


def test_memory_beyond_the_cap_costs_the_cell_that_took_it(held: Play) -> None:
    seen = held(
        written("x = 1\n\ndef take():\n    big = b'x' * 2**29\n    while True: pass", "modest"),
        calls("x", "1", "early"),
        written("x = 2\ntake()", "greedy"),
        calls("x", "1", "late"),
        calls("take()", "1", "taking"),
        calls("x", "1", "last"),
        caps=SMALL,
    )
    assert states(seen) == {"early": "passed", "late": "passed", "taking": "crashed", "last": "passed"}
    assert seen.stopped == ("cell 'greedy' was stopped: it used more than 256 MB of memory",)
    assert messages(seen)["taking"] == "your code was stopped: it used more than 256 MB of memory"


def test_more_processes_than_allowed_cost_nobody_else(held: Play) -> None:
    seen = held(
        written("def bomb():\n    while True:\n        if not os.fork():\n            signal.pause()", "first"),
        calls("1", "1", "early"),
        written("bomb()", "second"),
        calls("1", "1", "late"),
        calls("bomb()", "1", "bomb"),
        calls("1", "1", "last"),
        caps=Caps(processes=24),
    )
    assert states(seen) == {"early": "passed", "late": "passed", "bomb": "failed", "last": "passed"}


def test_a_cancelled_run_leaves_nothing(run: Runner, tmp_path: Path, gone: Callable[[int], bool]) -> None:
    pid = tmp_path / "pid"
    endless = f"open({str(pid)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"

    async def go() -> None:
        async with open_room(furnished([OPENING]), caps=Caps(), rung="trusted") as (room, keeper):
            rebuilt = Rebuilt("tiny", (given(OPENING), written(endless)))
            work = run_sealed(rebuilt, room=room, keeper=keeper, judge=None, chance="")
            task = asyncio.create_task(work)
            while not task.done() and not (pid.exists() and pid.read_text()):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gone(int(pid.read_text()))

    run(go())


# -- the notebook that a test meets -------------------------------------------------------------------------------


def test_a_test_meets_the_notebook_at_its_place(play: Play) -> None:
    seen = play(
        written("def f():\n    return 1\n\ndata = [1]", "first"),
        calls("(f(), data)", "(1, [1])", "early"),
        written("def f():\n    return 2\n\ndata.append(2)", "second"),
        calls("(f(), data)", "(2, [1, 2])", "between"),
        written("data = 3\nf = None", "third"),
        calls("data", "3", "late"),
    )
    assert set(states(seen).values()) == {"passed"}


def test_no_test_meets_what_another_has_done(play: Play) -> None:
    change = "with student:\n    data.append(3)\n    data = 4\n    random.marked = True"
    after = calls("(data, hasattr(random, 'marked'))", "([1], False)", "after")
    seen = play(written("data = [1]"), asked(change, "changing"), after)
    assert set(states(seen).values()) == {"passed"}


TOKEN = "token = os.urandom(8).hex()\nprint(token)"
THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"


def test_a_test_meets_the_very_process_that_ran_the_cells(quick: Play) -> None:
    seen = quick(written(TOKEN), shows("token"))
    assert messages(seen)["test"] == texts(seen, 1).strip()


def test_where_threads_run_the_cells_are_run_again_for_each_test(play: Play) -> None:
    """A copy would have no threads, and wait forever for a lock that one holds."""
    seen = play(
        written(f"x = 1\n{TOKEN}\n{THREAD}", "first"),
        shows("token", "early"),
        calls("(x, threading.active_count())", "(1, 2)", "alive"),
        written("x = 2\nprint('once')", "second"),
        calls("x", "2", "late"),
        calls("x", "1", "wrong"),
    )
    assert states(seen) == {"early": "failed", "alive": "passed", "late": "passed", "wrong": "failed"}
    assert messages(seen)["early"] != texts(seen, 1).strip(), "the test met another process"
    assert len(messages(seen)["early"]) == 16
    assert texts(seen, 4) == "once\n"


def test_chance_is_the_same_on_every_run_and_in_a_process_made_anew(quick: Play) -> None:
    draw = written("def draw():\n    return random.random()")
    cells = [shows("draw()", "one"), shows("draw()", "two")]
    drawn = [messages(quick(draw, written(extra, "more"), *cells)) for extra in ("", THREAD)]
    assert drawn[0] == drawn[1]
    assert drawn[0]["one"] != drawn[0]["two"], "it depends on the test"


def test_only_the_tests_asked_for_are_judged(quick: Play) -> None:
    seen = quick(
        written("x = 1\nprint(x)"),
        calls("os._exit(0)", "1", "left-out"),
        written("x = 2", "second"),
        calls("x", "2", "wanted"),
        only={"wanted"},
    )
    assert states(seen) == {"wanted": "passed"}
    assert texts(seen, 1) == "1\n"


# -- what is shown ------------------------------------------------------------------------------------------------


def test_outputs_stand_at_the_cell_that_made_them(play: Play) -> None:
    seen = play(
        Step("text", "markdown", "print('words')", "print('words')"),
        written("print('one')\n7"),
        asked("print('seen in a test')", "unsealed"),
        asked("with student:\n    print('seen')\n" + hidden("with student:\n    print(417)"), "sealed"),
        added("1 / 0"),
        given("pass"),
    )
    assert sorted(seen.outputs) == [0, 2, 4, 5, 6], "what runs beside the student's code may show too much"
    assert texts(seen, 4) == "seen\n", "and nothing of the hidden part"
    assert [each["output_type"] for each in seen.outputs[2]] == ["stream", "execute_result"]
    assert seen.outputs[2][1]["data"] == {"text/plain": "7"}
    assert (seen.outputs[5][0]["output_type"], seen.outputs[5][0]["ename"]) == ("error", "ZeroDivisionError")
    assert seen.outputs[0] == seen.outputs[6] == ()


PEEK = """
import glob, os
def peek(x):
    open("seen.txt", "a").write(f"{x} ")
    return x
def look():
    return open("seen.txt").read() if os.path.exists("seen.txt") else "nothing"
"""
HIDDEN = """\
### BEGIN HIDDEN TESTS
fresh = seed + {}
with student:
    got = peek(fresh)
assert got == fresh
### END HIDDEN TESTS
"""


@pytest.mark.parametrize("before", ["", THREAD, "os._exit(0)"])
def test_no_cell_can_print_what_a_hidden_block_showed(play: Play, before: str) -> None:
    """All cells have run before the first block; what is run again after one shows nothing."""
    seen = play(
        written(PEEK),
        asked(HIDDEN.format(1), "first"),
        written(before, "before"),
        added("print(look())"),
        asked(HIDDEN.format(2), "second"),
        added("print(look())"),
    )
    assert set(states(seen).values()) == {"passed"}
    shown = str(seen.outputs)
    assert str(SEED) not in shown
    assert (texts(seen, 4), texts(seen, 6)) == ("nothing\n", "nothing\n")


def test_student_code_that_has_seen_a_hidden_block_is_not_listened_to_for_long(quick: Play) -> None:
    say = "\ndef say():\n    print(look())\n    raise ValueError(look() * 99)\n"
    saying = "with student:\n    say()"
    seen = quick(written(PEEK + say), asked(saying, "before"), asked(HIDDEN.format(1)), asked(saying, "after"))
    assert (texts(seen, 2), 4 in seen.outputs) == ("nothing\n", False)
    assert len(messages(seen)["before"]) > 600
    assert len(messages(seen)["after"]) < 200


def test_what_a_hidden_block_showed_is_there_for_a_later_block_only(quick: Play) -> None:
    """Knowing it earns nothing; and the tests above look where there is something to see."""
    seen = quick(
        written(PEEK),
        asked(HIDDEN.format(1), "first"),
        written("peek('cell')", "last"),
        shows("look()", "second"),
    )
    assert messages(seen)["second"] == f"cell {SEED + 1} "
