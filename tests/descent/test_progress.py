"""Progress shows in a live kernel, and leaves nothing on a page."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from descent.errors import SettingError
from descent.progress import progress

CELL = "from descent.progress import progress\n[item for item in progress(range(3))]"


def outputs(monkeypatch: pytest.MonkeyPatch, *, quiet: str) -> list[nbformat.NotebookNode]:
    """Return what the cell shows in a real kernel."""
    monkeypatch.setenv("DESCENT_QUIET", quiet)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    shown: list[nbformat.NotebookNode] = notebook.cells[0].outputs
    return shown


def test_a_live_kernel_shows_a_bar_that_goes_with_the_last_item(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, result = outputs(monkeypatch, quiet="0")
    assert "application/vnd.jupyter.widget-view+json" in bar.data
    assert result.data["text/plain"] == "[0, 1, 2]"


def test_nothing_shows_where_all_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = outputs(monkeypatch, quiet="1")
    assert result.data["text/plain"] == "[0, 1, 2]"


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENT_QUIET", "perhaps")
    with pytest.raises(SettingError, match="DESCENT_QUIET is 'perhaps'"):
        progress([])
