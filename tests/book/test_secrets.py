"""No solution and no hidden test in anything that is published."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from proctor.author import read_assignment

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
REGION = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", re.DOTALL)
TELLING = 24  # characters; a shorter line, such as `return total`, may stand anywhere by chance


def squeezed(text: str) -> str:
    """Return the text without white space, so that no indentation or wrapping hides a line."""
    return re.sub(r"\s+", "", text)


def secret_lines(name: str) -> set[str]:
    """Return the telling lines of an assignment's solutions and hidden tests that no visible cell or chapter holds.

    A chapter may make an optimizer with the very same line; that none holds a whole solution, another test says.
    """
    cells = read_assignment(ROOT / "assignments" / name).cells
    chapters = [path.read_text(encoding="utf-8") for path in (ROOT / "chapters").glob("*.md")]
    visible = squeezed("\n".join([*(REGION.sub("", cell.source) for cell in cells), *chapters]))
    secret = (line for cell in cells for region in REGION.finditer(cell.source) for line in region[2].splitlines())
    return {squeezed(line) for line in secret if len(squeezed(line)) >= TELLING and squeezed(line) not in visible}


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of a published file; of a wheel or an archive, of each file inside."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield f"{path.name}/{name}", archive.read(name).decode("utf-8", errors="replace")
    elif path.suffix == ".ipynb":
        book = json.loads(path.read_text(encoding="utf-8"))
        yield (
            path.name,
            "\n".join("".join(cell["source"]) + json.dumps(cell.get("outputs", "")) for cell in book["cells"]),
        )
    else:
        yield path.name, path.read_text(encoding="utf-8", errors="replace")


def published(html: Path) -> list[Path]:
    """Return every file that a reader or a student can get."""
    folders = (html, ROOT / "_build" / "student", ROOT / "release")
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_static" not in path.parts
    ]


def assignments() -> list[str]:
    """Return the names of all assignments."""
    return sorted(path.parent.name for path in (ROOT / "assignments").glob("*/answers.md"))


@pytest.mark.parametrize("name", assignments())
def test_nothing_published_holds_a_solution_or_a_hidden_test(name: str, html: Path) -> None:
    secrets = secret_lines(name)
    assert len(secrets) > 10, "the search itself is broken: an assignment has more secrets than this"
    files = published(html)
    assert any(path.suffix == ".ipynb" for path in files)
    for path in files:
        for where, text in texts_in(path):
            plain = squeezed(unescape(re.sub(r"<[^>]+>", "", text)))
            found = {line for line in secrets if line in plain}
            assert not found, f"{where} publishes {min(found)!r}"


@pytest.mark.parametrize("name", assignments())
def test_the_search_finds_a_planted_solution(name: str, tmp_path: Path) -> None:
    line = min(secret_lines(name))
    wheel = tmp_path / "planted.whl"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.py", f"    {line}\n")
    wheel.write_bytes(buffer.getvalue())
    assert any(line in squeezed(text) for _, text in texts_in(wheel))


def test_markers_are_nowhere_published(html: Path) -> None:
    for path in published(html):
        for where, text in texts_in(path):
            assert "BEGIN SOLUTION" not in text, where
            assert "BEGIN HIDDEN TESTS" not in text, where
