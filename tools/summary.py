"""Say what `make` made, where it is, and what to type next."""

from __future__ import annotations

import csv
from pathlib import Path

from proctor.report import aligned

ROOT = Path(__file__).resolve().parent.parent
GRADES = ROOT / "_build" / "demo" / "grades.csv"


def lines() -> list[str]:
    """Return the summary, computed from what is on disk."""
    pages = sorted(path for path in (ROOT / "_build" / "html").rglob("*.html") if "_static" not in path.parts)
    released = sorted(path.parent.name for path in (ROOT / "release").glob("*/*.ipynb"))
    with GRADES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    judged = sum(row["state"] != "not judged" for row in rows)
    made = (
        ("The book", "_build/html/index.html", f"{len(pages)} pages", "read it: make serve"),
        ("Assignments", "release/", ", ".join(released), "solve one: make lab"),
        (
            "A graded class",
            str(GRADES.relative_to(ROOT)),
            f"{judged} of {len(rows)} judged",
            "what they read: feedback/",
        ),
    )
    return [
        "",
        *aligned(made),
        "",
        "Next: `make test` runs everything that CI runs; `make help` lists the other verbs.",
    ]


if __name__ == "__main__":
    print("\n".join(lines()))
