"""The page of claims: every row says what came out, gives a verdict, and leads to its experiment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "pages" / "claims.md"
VERDICT = re.compile(r"\*\*(Supported|Corrected|Depends)\*\*[^.]*\. ")
GLUED = re.compile(r"\{glue:text\}`\.\./chapters/([\w-]+)\.md::(\w+):s`")
LINK = re.compile(r"\{ref\}`experiment <([\w-]+)>`")


def rows() -> list[tuple[str, str]]:
    """Return claim and answer of every row below the heads."""
    found = re.findall(r"^\* - (.+)\n  - (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [row for row in found if row[0] != "One reads"]


ROWS = rows()


def test_the_page_has_verdicts_of_all_three_kinds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROWS) + text.count("{list-table}") == text.count("\n* - "), "a row has not two cells"
    assert {each[1] for _, answer in ROWS if (each := VERDICT.match(answer))} == {"Supported", "Corrected", "Depends"}
    assert len({claim for claim, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_has_a_verdict_and_what_was_measured_in_the_experiment_it_leads_to(row: tuple[str, str]) -> None:
    _, measured = row
    assert VERDICT.match(measured)
    glued, (label,) = GLUED.findall(measured), LINK.findall(measured)
    assert glued, "nothing on this row was measured"
    (chapter,) = {name for name, _ in glued}
    text = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
    assert f"\n({label})=\n" in text, "the experiment is in another chapter than the numbers"


def test_no_result_is_typed() -> None:
    """Numbers of a claim, and settings of an experiment, may be; what came out is computed."""
    settings = {"1,000", "8", "40", "0", "1", "255"}  # batch sizes; ranges of pixels; a norm that is printed as 0
    for claim, measured in ROWS:
        plain = re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`", "", measured)
        assert set(re.findall(r"(?<!\w)\d+(?:[.,]\d+)*", plain)) <= settings, claim
