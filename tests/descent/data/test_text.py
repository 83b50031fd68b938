"""Tiny Shakespeare made small, downloads of it from this machine, and its stand-in."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from descent.data import shakespeare, text
from descent.data.files import cache_folder
from descent.errors import DataError

REAL = os.environ.get("DESCENT_DATA", "")  # read before the tests hide it
CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the sum of a short text in place of the published one."""
    small = replace(text._SHAKESPEARE, md5={"input.txt": hashlib.md5(CONTENT).hexdigest()})
    monkeypatch.setattr(text, "_SHAKESPEARE", small)


def write(root: Path, content: bytes) -> Path:
    path = root / "shakespeare" / "input.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("trusted")
def test_shakespeare_is_read_from_a_folder(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    found = shakespeare(root=tmp_path)
    assert found.text == CONTENT.decode()
    assert found.source == "Tiny Shakespeare"


@pytest.mark.usefixtures("trusted")
def test_another_text_under_that_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT[:-1])
    with pytest.raises(DataError) as caught:
        shakespeare(root=tmp_path)
    assert caught.value.what.startswith("'input.txt' is not the published file: its 60 bytes have MD5 ")
    assert caught.value.where == str(path)


def test_without_a_file_the_python_reference_stands_in() -> None:
    found, again = shakespeare(), shakespeare()
    assert found == again
    assert found.source == "the Python language reference"
    assert all(topic in found.text for topic in topics.values())
    assert found.text.index(topics["assert"]) < found.text.index(topics["with"])


@pytest.mark.usefixtures("trusted")
def test_shakespeare_is_downloaded_once(monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]) -> None:
    address, served = server
    (served / "input.txt").write_bytes(CONTENT)
    monkeypatch.setattr(text, "_URL", f"{address}input.txt")
    assert shakespeare(download=True).text == CONTENT.decode()
    (served / "input.txt").unlink()
    assert shakespeare(download=True).text == CONTENT.decode()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("served_content", "why"), [(CONTENT[:20], "its 20 bytes have MD5"), (None, "HTTP Error 404")])
def test_a_wrong_answer_of_the_server_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path], served_content: bytes | None, why: str
) -> None:
    address, served = server
    if served_content:
        (served / "input.txt").write_bytes(served_content)
    monkeypatch.setattr(text, "_URL", f"{address}input.txt")
    with pytest.raises(DataError, match=f"Tiny Shakespeare could not be downloaded: .*{why}"):
        shakespeare(download=True)
    assert list(cache_folder().iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_shakespeare_without_network_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"Network is unreachable(.|\n)*set DESCENT_DATA"):
        shakespeare(download=True)
    assert list(cache_folder().iterdir()) == []


@pytest.mark.skipif(not REAL or not Path(REAL, "shakespeare").is_dir(), reason="DESCENT_DATA holds no Tiny Shakespeare")
def test_the_published_shakespeare_is_accepted() -> None:
    found = shakespeare(root=REAL)
    assert len(found) == 1_115_394
    assert len(set(found.text)) == 65
