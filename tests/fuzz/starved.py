"""Read spoiled replies in a process with hardly any memory to spare, in which nothing may be imported or run.

Started as `python -m fuzz.starved SEED COUNT [ONLY]` in the folder of the tests. Each frame is far smaller than what it
may announce, so whoever allocates what is announced, in Python, NumPy or torch, runs out of memory here. The answer is
one line of JSON: how many were read and how many refused, or what went wrong with which case.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from collections import Counter
from contextlib import suppress

from proctor.inside import wire

from .replies import arriving, reply, spoiled

SPARE = 24 * 2**20  # bytes: ten times what the largest reply here takes, and less than one may announce
FORBIDDEN = (
    *("import", "exec", "compile", "open", "code.__new__", "pickle.find_class", "marshal.loads", "subprocess.Popen"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "ctypes.dlopen", "socket.connect"),
)


def main() -> None:
    """Read the cases under the limit, and answer on standard output."""
    seed, count, *only = sys.argv[1:]
    numbers = [int(only[0])] if only else range(int(count))
    outcomes: Counter[str] = Counter()
    wrong, case = "", 0
    _warm_up()
    seen: list[str] = []
    sys.addaudithook(lambda event, _: seen.append(event) if event in FORBIDDEN else None)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_size() + SPARE, hard))
    seen.clear()  # the file that tells our size
    for number in numbers:
        rng = random.Random(f"{seed}/starved/{number}")
        data = spoiled(rng, reply(rng)).data
        seen.clear()
        outcomes[_outcome(data)] += 1
        if seen or outcomes["wrong"]:
            wrong, case = f"it did {seen}" if seen else "something else than WireError was raised", number
            break
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print(json.dumps({"outcomes": outcomes, "wrong": wrong, "case": case}))


def _outcome(data: bytes) -> str:
    try:
        with arriving(data) as sock:
            wire.read(sock)
    except (wire.WireError, EOFError):
        return "refused"
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return "wrong"
    return "judged"


def _warm_up() -> None:
    """Read some replies, so that what NumPy and torch load on first use is there."""
    for number in range(300):
        rng = random.Random(number)
        with suppress(wire.WireError, EOFError), arriving(spoiled(rng, reply(rng)).data) as sock:
            wire.read(sock)


def _size() -> int:
    """Return the bytes of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read before anything is forbidden
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
