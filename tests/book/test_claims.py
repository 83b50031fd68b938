"""The page of claims: every row says what came out, gives a verdict, and leads to its experiment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "pages" / "claims.md"
VERDICT = re.compile(r"\*\*(supported|corrected|depends)\*\*")
GLUED = re.compile(r"\{glue:text\}`\.\./chapters/([\w-]+)\.md::(\w+):s`")
LINK = re.compile(r"\{ref\}`experiment <([\w-]+)>`")


def rows() -> list[tuple[str, str, str]]:
    """Return claim, measurement and verdict of every row below the heads."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\* - (.+)\n  - (.+)\n  - (.+)$", text, re.MULTILINE)
    return [row for row in found if row[0] != "One reads"]


ROWS = rows()


def test_the_page_has_rows_of_all_three_kinds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROWS) + text.count("{list-table}") == text.count("\n* - "), "a row has not three cells"
    assert {VERDICT.search(verdict)[1] for _, _, verdict in ROWS} == {"supported", "corrected", "depends"}  # type: ignore[index]
    assert len({claim for claim, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_has_a_verdict_and_what_was_measured_in_the_experiment_it_leads_to(row: tuple[str, str, str]) -> None:
    _, measured, verdict = row
    assert VERDICT.match(verdict)
    glued, (label,) = GLUED.findall(measured), LINK.findall(measured)
    assert glued, "nothing on this row was measured"
    (chapter,) = {name for name, _ in glued}
    text = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
    assert f"\n({label})=\n" in text, "the experiment is in another chapter than the numbers"


def test_no_result_is_typed() -> None:
    """Numbers of a claim, and settings of an experiment, may be; what came out is computed."""
    settings = {"1,000", "8", "40", "0", "1"}  # batch sizes; pixels from 0 to 1; a norm that is printed as 0
    for claim, measured, _ in ROWS:
        plain = re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`", "", measured)
        assert set(re.findall(r"(?<!\w)\d+(?:[.,]\d+)*", plain)) <= settings, claim
