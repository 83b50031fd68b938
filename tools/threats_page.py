"""Write the data of the page on threats: what nbgrader alone and proctor made of each submission of the suite.

    python tools/threats_page.py --measure   first let nbgrader alone grade what it has not graded yet (minutes)
    python tools/threats_page.py             join what was measured

Proctor's side comes from the suite's own run, with the folder named in THREATS_RUNS: files
`RUNG-USER-ASSIGNMENT.jsonl` with the lines that `proctor grade --json` printed, and in each whether the kernel counted
its processes. Both sides lie below `_build/threats`; nothing here needs a network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the suite and the benchmarks are no installed packages

from benchmarks.machine import machine  # noqa: E402
from proctor.sandbox.promises import PROMISES, RUNGS  # noqa: E402
from tests.threats import stock  # noqa: E402
from tests.threats.conftest import ATTACKS  # noqa: E402
from tests.threats.course import ANSWERS  # noqa: E402
from tests.threats.entry import GROUPS, Attack  # noqa: E402
from tests.threats.test_attacks import _expected, _told  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "threats.json"
BUILD = ROOT / "_build" / "threats"
COMMAND = "make threats"
ME = "root" if os.geteuid() == 0 else "an ordinary user"


def main() -> None:
    """Measure if asked to, join, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="let nbgrader alone grade what it has not graded yet")
    parser.add_argument("--runs", type=Path, default=BUILD / "runs", help="what proctor said, as the suite left it")
    parser.add_argument("--stock", type=Path, default=BUILD / "stock.jsonl", help="what nbgrader alone made of each")
    wanted = parser.parse_args()
    runs = read_runs(wanted.runs)
    measured = stock.measure(wanted.stock) if wanted.measure else read_stock(wanted.stock)
    result = joined(ATTACKS, measured, runs)
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    wrong = sum(each["stock"]["is_wrong"] for each in result["attacks"])
    odd = sum(not column["as_declared"] for each in result["attacks"] for column in each["proctor"].values())
    print(f"{len(result['attacks'])} submissions; nbgrader alone: {wrong} wrong; proctor: {odd} not as declared")


def read_stock(path: Path) -> dict[str, dict[str, Any]]:
    """Return what nbgrader alone made of each attack; the latest line counts."""
    if not path.is_file():
        sys.exit(f"threats: nothing was measured yet\n  where:  '{path}'\n  to do:  run it with --measure")
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {line["name"]: line["stock"] for line in lines}


def read_runs(folder: Path) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Return the verdicts of each run, by (assignment, student); a run is named "rung, user"."""
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for path in sorted(folder.glob("*-*-*.jsonl")):
        rung, _, rest = path.stem.partition("-")
        user, _, assignment = rest.rpartition("-")
        user = ME if user == "the-user-of-these-tests" else user.replace("-", " ")
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            found.setdefault(f"{rung}, {user}", {})[assignment, line["student"]] = line
    if not found:
        todo = f"THREATS_RUNS={folder} pytest tests/threats"
        sys.exit(f"threats: the suite left no run\n  where:  '{folder}'\n  to do:  {todo}")
    return dict(sorted(found.items(), key=lambda run: RUNGS.index(run[0].partition(",")[0])))


def joined(
    attacks: Sequence[Attack],
    measured: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return the data of the page."""
    absent = [each.name for each in attacks if each.name not in measured]
    absent += [
        f"{each.name} ({run})" for run in runs for each in attacks if (each.assignment, each.name) not in runs[run]
    ]
    if absent:
        sys.exit(f"threats: {len(absent)} results are missing: {', '.join(absent[:5])}\n  to do:  run both sides again")
    return {
        "what": "every submission of tests/threats, graded by nbgrader alone and by proctor",
        "command": COMMAND,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("nbgrader", "torch")},
        "limits": {"seconds": stock.LIMIT, "memory_gib": stock.MEMORY >> 30, "processes": stock.PROCESSES},
        "assignments": list(ANSWERS),
        "runs": list(runs),
        "rungs": {"names": list(RUNGS), "promises": [asdict(each) for each in PROMISES]},
        "attacks": list(rows(attacks, measured, runs)),
    }


def rows(
    attacks: Sequence[Attack],
    measured: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]],
) -> Iterator[dict[str, Any]]:
    """Yield one entry for each attack."""
    for attack in attacks:
        facts = measured[attack.name]
        said = list(stock.faults(attack, facts)) if facts["max"] is not None else []
        yield {
            "name": attack.name,
            "group": next(group for group, names in GROUPS.items() if attack.row in names),
            "row": attack.row,
            "does": attack.does,
            "assignment": attack.assignment,
            "stock": {**facts, "is_wrong": bool(said), "faults": said},
            "proctor": {run: column(attack, run, runs[run][attack.assignment, attack.name]) for run in runs},
        }


def column(attack: Attack, run: str, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return what proctor said of a submission in a run, and whether that is what its entry declares."""
    declared = attack.on(run.partition(",")[0], counted=verdict["counted"], reason=verdict["reason"])
    cells = verdict["cells"].values()
    return {
        "state": verdict["state"],
        "score": verdict["score"],
        "max": sum(float(cell["max"]) for cell in cells) if cells else None,
        "as_declared": is_as_declared(declared, dict(verdict)),
    }


def is_as_declared(attack: Attack, verdict: dict[str, Any]) -> bool:
    """Return whether state, reason, points and words are those of the entry, by the suite's own rules."""
    if verdict["state"] != attack.state:
        return False
    if attack.refused:
        return attack.refused in verdict["reason"] and (verdict["score"], verdict["cells"]) == (None, {})
    return attack.stopped in verdict["reason"] and _told(verdict) == _expected(verdict, attack)


def commit() -> str:
    """Return the commit that was measured; a sign says if files differed from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
