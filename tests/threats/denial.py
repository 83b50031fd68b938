"""Denial: code that does not end, ends what it should not, or takes all that there is."""

from __future__ import annotations

from .entry import Attack, adds

__all__ = ["ATTACKS"]

ENDLESS = [
    Attack(
        "0-ignores-ctrl-c",
        row="endless code",
        does="sleeps forever and ignores SIGINT",
        added={
            "": "import signal, time\n\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "while True:\n    time.sleep(1)"
        },
        stopped="ran past 60 s and could not be stopped",
    ),
    Attack(
        "0-busy",
        row="endless code",
        does="computes forever and catches KeyboardInterrupt",
        added={
            "": "while True:\n    try:\n        while True:\n            pass\n"
            "    except KeyboardInterrupt:\n        pass"
        },
        stopped="ran past 60 s and could not be stopped",
    ),
    Attack(
        "0-sleeps",
        row="endless code",
        does="prints a line and sleeps for an hour",
        added={"": "import time\n\nprint('good night')\ntime.sleep(3600)"},
        stopped="ran past 60 s and was stopped",
        shows=["good night", "KeyboardInterrupt"],
    ),
    Attack(
        "0-sleeps-in-a-test",
        row="endless code",
        does="waits forever in a function that a test calls",
        cells={"ordered": "import threading\n\ndef ordered(items):\n    threading.Event().wait()"},
        loses={"ordered-cases": "timed out: your code ran past 60 s and was stopped"},
        stopped="test 'ordered-cases': your code ran past 60 s and was stopped",
    ),
    Attack(
        "0-deadlock",
        row="endless code",
        does="waits for a lock that it holds, in a test without a block",
        cells={
            "greet": "import threading\n\nlock = threading.Lock()\n\n"
            "def greet(name):\n    lock.acquire()\n    lock.acquire()"
        },
        loses={"greet-open": "timed out: ran past 60 s and was stopped"},
        stopped="test 'greet-open': ran past 60 s and was stopped",
    ),
    Attack(
        "hangs-at-exit",
        row="endless code",
        does="hangs when the interpreter ends: atexit, a thread that is waited for, an object that is deleted",
        added={
            "": "import atexit, threading, time\n\n"
            "atexit.register(time.sleep, 10**6)\n"
            "threading._register_atexit(time.sleep, 10**6)\n\n"
            "class Last:\n    def __del__(self):\n        time.sleep(10**6)\n\n"
            "last = Last()"
        },
    ),
]

CALLBACK = """\
import ctypes

kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)

@kind
def deeper(depth):
    return deeper(depth + 1)
"""

ENDED = [
    Attack(
        "exits",
        row="ended processes",
        does="ends its process in a cell",
        added={"double-seen": "import os\n\nos._exit(0)"},
        stopped="ended the process",
    ),
    Attack(
        "exits-in-a-test",
        row="ended processes",
        does="ends its process in a function that a test calls",
        cells={"ordered": "import os\n\ndef ordered(items):\n    os._exit(0)"},
        loses={"ordered-cases": "crashed: your code ended its process"},
        stopped="test 'ordered-cases': your code ended its process",
    ),
    Attack(
        "exits-unsealed",
        row="ended processes",
        does="ends its process in a test without a block",
        cells={"greet": "import os\n\ndef greet(name):\n    os._exit(0)"},
        loses={"greet-open": "crashed: your code ended its process"},
        stopped="test 'greet-open': your code ended its process",
    ),
    Attack(
        "sys-exit",
        row="ended processes",
        does="calls sys.exit, exit and quit in cells of its own",
        added={"double-seen": "import sys\n\nsys.exit(3)", "add-cases": "exit()", "": "quit()"},
    ),
    Attack(
        "segfault",
        row="ended processes",
        does="reads address 0",
        added={"double-seen": "import ctypes\n\nctypes.string_at(0)"},
        stopped="ended the process by SIGSEGV",
    ),
    Attack(
        "abort",
        row="ended processes",
        does="aborts in a function that a test calls",
        cells={"ordered": "import os\n\ndef ordered(items):\n    os.abort()"},
        loses={"ordered-cases": "crashed: your code ended its process"},
        stopped="test 'ordered-cases': your code ended its process",
    ),
    Attack(
        "recursion",
        row="ended processes",
        does="recurs without end in Python",
        cells={"ordered": "def ordered(items):\n    return ordered(items)"},
        loses={"ordered-cases": "failed: RecursionError: maximum recursion depth exceeded"},
    ),
    Attack(
        "stack-overflow",
        row="ended processes",
        does="recurs without end in C, with Python's limit lifted",
        cells={
            "ordered": f"import sys\n\n{CALLBACK}\n"
            "def ordered(items):\n    sys.setrecursionlimit(10**9)\n    return deeper(0)"
        },
        loses={"ordered-cases": "crashed: your code ended its process"},
        stopped="test 'ordered-cases': your code ended its process",
    ),
    Attack(
        "kills-parent",
        row="ended processes",
        does="kills its parent, with every signal there is",
        added={
            "double-seen": "import os, signal\n\n"
            "for number in signal.valid_signals():\n"
            "    try:\n        os.kill(os.getppid(), number)\n    except OSError:\n        pass"
        },
    ),
    Attack(
        "kills-all",
        row="ended processes",
        does="kills every process that it may, after the copies for the tests are made",
        added={"": "import os\n\nos.kill(-1, 9)"},
    ),
    Attack(
        "kills-group",
        row="ended processes",
        does="kills its process group",
        added={"": "import os\n\nos.killpg(0, 9)"},
        stopped="ended the process by SIGKILL",
    ),
]

FILL = """\
import errno, os

def fill(folder):
    for number in range(64):
        try:
            with open(f"{folder}/fill-{number}", "wb") as file:
                file.write(b"x" * (1 << 26))
        except OSError as error:
            return errno.errorcode[error.errno]
    return "no end"

print([fill(folder) for folder in ("/tmp", "/dev/shm", ".")])
"""

BOMB = """\
import os, time

refused, end = 0, time.time() + 2
while time.time() < end + 50 * (not refused):
    try:
        if os.fork() == 0:
            time.sleep({seconds})
            os._exit(0)
    except OSError:
        refused += 1
        time.sleep(0.01)
print("refused:", refused > 0)
"""

CROWD = "it had more than 136 processes and threads at once"
KILLED = {"shows": [], "stopped": f"your cell 20 was stopped: {CROWD}"}

TOO_MUCH = [
    Attack(
        "fork-bomb",
        row="too much of everything",
        does="starts processes until it is refused, and leaves them asleep",
        added={"": BOMB.format(seconds=10**6)},
        shows=["refused: True"],
        on_uncounted=KILLED,
    ),
    Attack(
        "fork-bomb-first",
        row="too much of everything",
        does="does so before any test, so that no copy can be made",
        added={"double-seen": BOMB.format(seconds=10**6)},
        shows=["refused: True"],
        on_uncounted={"shows": [], "stopped": f"your cell 5 was stopped: {CROWD}"},
    ),
    Attack(
        "fork-bomb-wild",
        row="too much of everything",
        does="starts processes that start processes",
        added={
            "": "import os, time\n\n"
            "end = time.time() + 2\n"
            "while time.time() < end:\n"
            "    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.1)\n"
        },
        on_uncounted={"sometimes": CROWD},
    ),
    Attack(
        "thread-bomb",
        row="too much of everything",
        does="starts threads until it is refused, and leaves them waiting",
        added={
            "": "import threading\n\n"
            "forever = threading.Event()\n"
            "try:\n"
            "    for count in range(10_000):\n"
            "        threading.Thread(target=forever.wait, daemon=True).start()\n"
            "except RuntimeError as error:\n"
            "    print(count < 200, error)\n"
            "else:\n"
            "    forever.wait()"
        },
        shows=["True can't start new thread"],
        on_uncounted=KILLED,
    ),
    Attack(
        "memory-bomb",
        row="too much of everything",
        does="takes memory until it is stopped",
        added={"": "kept = []\nwhile True:\n    kept.append(b'x' * (1 << 27))"},
        stopped="was stopped: it used more than 4 GB of memory",
    ),
    Attack(
        "memory-bomb-in-a-test",
        row="too much of everything",
        does="does so in a function that a test calls",
        cells={"ordered": "def ordered(items):\n    kept = []\n    while True:\n        kept.append(b'x' * (1 << 27))"},
        loses={"ordered-cases": "crashed: your code was stopped: it used more than 4 GB of memory"},
        stopped="test 'ordered-cases': your code was stopped: it used more than 4 GB of memory",
    ),
    Attack(
        "disk-bomb",
        row="too much of everything",
        does="fills every place that it may write to",
        added={"double-seen": FILL},
        shows=["['ENOSPC', 'ENOSPC', 'ENOSPC']"],
        on_landlock={"shows": [], "stopped": "your cell 5 was stopped: it wrote more than 512 MB to disk"},
    ),
    Attack(
        "many-files",
        row="too much of everything",
        does="writes 30,000 files",
        added={
            "": "import tempfile\n\n"
            "for number in range(30_000):\n"
            "    open(f'{tempfile.gettempdir()}/file-{number}', 'w').close()"
        },
    ),
    Attack(
        "huge-value",
        row="too much of everything",
        does="returns half a gigabyte of text",
        cells={"ordered": "def ordered(items):\n    return 'x' * (1 << 29)"},
        loses={"ordered-cases": "failed: 'result' holds more than 268,435,456 bytes of contents"},
    ),
    Attack(
        "huge-number",
        row="too much of everything",
        does="returns a number of a million digits, and a list of ten million",
        cells={
            "add": "def add(x, y):\n    return 10**1_000_000",
            "ordered": "def ordered(items):\n    return [0] * 10**7",
        },
        loses={**adds("failed: 'total' holds"), "ordered-cases": "failed: 'result' holds"},
    ),
    Attack(
        "deep-value",
        row="too much of everything",
        does="returns lists in lists, 100,000 deep, and a list that holds itself",
        cells={
            "add": "def add(x, y):\n    deep = []\n    for _ in range(10**5):\n        deep = [deep]\n    return deep",
            "ordered": "def ordered(items):\n    items.append(items)\n    return items",
        },
        loses={**adds("failed: 'total' holds"), "ordered-cases": "failed: 'result' holds"},
    ),
    Attack(
        "endless-output",
        row="too much of everything",
        does="prints 200 MB, one line of 60 MB, 5,000 displays, and as much past Python",
        added={
            "": "import os\nfrom IPython.display import display\n\n"
            "for _ in range(2_000):\n    print('x' * 99_999)\n"
            "print('y' * 60_000_000)\n"
            "for number in range(5_000):\n    display(number)\n"
            "for _ in range(200):\n    os.write(1, b'z' * 1_000_000)"
        },
        shows=["… cut: 400 more outputs"],
    ),
    Attack(
        "endless-traceback",
        row="too much of everything",
        does="raises an exception with a message of 100 MB, from 900 frames",
        added={
            "": "def deep(count):\n    if count:\n        deep(count - 1)\n    raise ValueError('x' * 10**8)\n\n"
            "deep(900)"
        },
        shows=["ValueError"],
    ),
]

ATTACKS = [*ENDLESS, *ENDED, *TOO_MUCH]
