"""Grades as people and spreadsheets read them; verdicts in, text out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proctor.model import Outcome, Verdict

__all__ = ["aligned", "grades_csv", "grades_table", "neutral", "one_line", "verdict_json"]

FORMULA = ("=", "+", "-", "@")  # what makes a spreadsheet compute a cell instead of showing it
COLUMNS = ("assignment", "student", "score", "max_score", "state", "reason")


def aligned(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Return one line per row, with columns as wide as their widest entry; columns in `right` end flush."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_right = set(right)
    return [
        "  ".join(
            text.rjust(width) if column in to_right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def one_line(text: str, *, most: int = 100) -> str:
    """Return a text on one line of at most `most` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def grades_table(verdicts: Sequence[Verdict], *, notes: Mapping[str, str], most: float) -> list[str]:
    """Return a heading and one line per student: id, what it is, score, state, reason.

    Args:
        verdicts: in the order to be shown.
        notes: a few words on each student's submission, by id.
        most: automatic points of the assignment; a submission that is not judged shows no score, never a zero.
    """
    rows = [("student", "handed in", "score", "state", "reason")]
    rows += [(v.student, notes.get(v.student, ""), _score(v, most), v.state, v.reason) for v in verdicts]
    return aligned(rows, right=[2])


def grades_csv(verdicts: Sequence[Verdict], *, most: float) -> str:
    """Return one row per student under a heading; the score of a submission that is not judged stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for v in verdicts:
        score = "" if v.state == "not judged" else f"{v.score:g}"
        row = (v.assignment, v.student, score, f"{most:g}", v.state, v.reason)
        writer.writerow(map(neutral, row))
    return text.getvalue()


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain JSON; the score of a submission that is not judged is null, never a zero."""
    judged = verdict.state != "not judged"
    return {
        "student": verdict.student,
        "assignment": verdict.assignment,
        "state": verdict.state,
        "reason": verdict.reason,
        "score": verdict.score if judged else None,
        "max_score": verdict.max_score if judged else None,
        "cells": {_cell_name(outcome): _cell_json(outcome) for outcome in verdict.outcomes},
        "notes": list(verdict.notes),
        "rung": verdict.rung,
        "seconds": round(verdict.seconds, 3),
        "peak_memory": verdict.memory,
        "seed": verdict.seed,
    }


def _cell_name(outcome: Outcome) -> str:
    return f"{outcome.notebook}/{outcome.cell}" if outcome.notebook else outcome.cell


def _cell_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "points": outcome.points,
        "max": outcome.max_points,
        "outcome": outcome.state,
        "message": outcome.message,
        "device": outcome.device,
        "sealed": outcome.sealed,
        "seconds": round(outcome.seconds, 3),
    }


def neutral(text: str) -> str:
    """Return a text, on one line, that no spreadsheet takes for a formula."""
    flat = " ".join(text.split())
    return f"'{flat}" if flat.startswith(FORMULA) else flat


def _score(verdict: Verdict, most: float) -> str:
    return f"-/{most:g}" if verdict.state == "not judged" else f"{verdict.score:g}/{most:g}"
