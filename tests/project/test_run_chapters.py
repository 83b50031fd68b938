"""Chapters are run side by side into the cache, and one that fails does not keep the others from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache

TOOL = Path(__file__).resolve().parents[2] / "tools" / "run_chapters.py"
NOTEBOOK = """\
---
kernelspec:
  name: python3
  display_name: Python 3
---

# A page

```{{code-cell}} ipython3
{code}
```
"""


def run(cache: Path, *notebooks: Path) -> str:
    """Run the tool as the build does; return what it says."""
    command = [sys.executable, str(TOOL), str(cache), *map(str, notebooks)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stderr


def cached(cache: Path) -> dict[str, nbformat.NotebookNode]:
    """Return the notebooks of a cache, by name."""
    found = get_cache(str(cache))
    return {Path(each.uri).name: found.get_cache_bundle(each.pk).nb for each in found.list_cache_records()}


def test_what_has_changed_is_run_and_what_fails_is_left_out(tmp_path: Path) -> None:
    good, bad, cache = tmp_path / "good.md", tmp_path / "bad.md", tmp_path / "cache"
    good.write_text(NOTEBOOK.format(code="import os\nprint(os.getcwd())"), encoding="utf-8")
    bad.write_text(NOTEBOOK.format(code="1 / 0"), encoding="utf-8")
    assert "ZeroDivisionError" in run(cache, bad, good)
    (name, notebook), *others = cached(cache).items()
    assert (name, others) == ("good.md", [])
    assert notebook.cells[0].outputs[0].text == f"{tmp_path}\n", "a cell runs in the folder of its page"

    good.write_text(good.read_text(encoding="utf-8").replace("A page", "Other words"), encoding="utf-8")
    bad.write_text(NOTEBOOK.format(code="print(1)"), encoding="utf-8")
    before = {record.pk: record.created for record in get_cache(str(cache)).list_cache_records()}
    assert "ZeroDivisionError" not in run(cache, bad, good)
    after = {record.pk: record.created for record in get_cache(str(cache)).list_cache_records()}
    assert before.items() <= after.items(), "only the text has changed: nothing to run"
    assert sorted(cached(cache)) == ["bad.md", "good.md"]
