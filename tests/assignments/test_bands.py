"""The bounds of tests that train lie where measured runs of the reference put them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from proctor.author import read_assignment
from proctor.course import find_course

COURSE = find_course(Path(__file__).parent)

SMALL = """\
# Small

```{code-cell} ipython3
:name: opening
import random

import torch
from descent.checks import check_at_least, check_at_most, seed, student
from descent.device import pick_device
```

```{code-cell} ipython3
:name: learn
def learn(device):
    ### BEGIN SOLUTION
    return torch.ones(2, device=device)
    ### END SOLUTION
```

```{code-cell} ipython3
:name: learn-well
:tests: learn
:points: 1
:slow: true
with student:
    learned = learn(pick_device()).cpu()
check_at_least(learned.mean(), 0.5, name="what is the same on every seed")
score = float(learned.mean()) - random.Random(seed).random() / 100
check_at_least(score, 0.9, name="score")
check_at_most(-score, -0.9, name="score, turned round")
```

```{code-cell} ipython3
:name: learn-shape
:tests: learn
:points: 1
with student:
    learned = learn(pick_device())
assert learned.shape == (2,)
```
"""


def load(name: str) -> Any:
    """Return a tool of `benchmarks/`, loaded anew."""
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of assignments that holds one, and a place for results."""
    folder = tmp_path / "assignments"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "small.md").write_text(SMALL, encoding="utf-8")
    (folder / "small" / "answers.md").touch()
    monkeypatch.setattr(load("reference"), "ASSIGNMENTS", folder)
    return folder


def run(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a tool as the command line does; return its exit status."""
    monkeypatch.setattr(sys, "argv", [tool.__name__, *arguments])
    return int(tool.main())


@pytest.mark.parametrize("name", COURSE.names)
def test_the_cells_are_those_that_are_graded(name: str) -> None:
    cells = load("reference").read_code_cells(COURSE.assignments / name / f"{name}.md")
    authored = [cell for cell in read_assignment(COURSE.assignment(name)).cells if cell.kind not in ("text", "written")]
    seen = [(cell.name, cell.source.rstrip("\n"), cell.tests, cell.slow) for cell in cells]
    assert seen == [(cell.name, cell.source.rstrip("\n"), cell.tests, cell.slow) for cell in authored]


@pytest.mark.parametrize("name", COURSE.names)
def test_every_bound_is_five_deviations_from_what_the_reference_reaches(name: str) -> None:
    bands, reference = load("bands"), load("reference")
    recorded = json.loads(bands.RESULT.read_text(encoding="utf-8"))["assignments"][name]
    cells = reference.read_code_cells(COURSE.assignments / name / f"{name}.md")
    training = {cell.name: cell for cell in cells if cell.slow}
    assert recorded.keys() == training.keys(), "run make bands"
    for cell, found in recorded.items():
        assert found["digest"] == reference.digest(cells, training[cell]), f"{cell} has changed: run make bands"
        assert bool(found["measured"]) == ("check_at_" in training[cell].source)
        for row in found["measured"]:
            assert row["seeds"] >= 20
            assert bands.margin(row) >= bands.DEVIATIONS, f"{cell}: {row['name']}"


def test_what_the_reference_reaches_is_measured_over_the_seeds(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bands = load("bands")
    monkeypatch.setattr(bands, "RESULT", tmp_path / "bands.json")
    assert run(bands, monkeypatch) == 0
    result = json.loads((tmp_path / "bands.json").read_text(encoding="utf-8"))
    (cell,) = result["assignments"]["small"].items()
    assert cell[0] == "learn-well"
    same, least, most = cell[1]["measured"]
    assert [row["name"] for row in (least, most)] == ["score", "score, turned round"]
    assert (same["mean"], same["deviation"], bands.margin(same)) == (1.0, 0.0, float("inf"))
    assert 0.99 <= least["worst"] <= least["mean"] <= 1
    assert -1 <= most["mean"] <= most["worst"] <= -0.99
    assert bands.margin(least) == pytest.approx(bands.margin(most))
    assert "small learn-well: score 0.99" in capsys.readouterr().out

    (small / "small" / "small.md").write_text(SMALL.replace("score, 0.9,", "score, 0.99,"), encoding="utf-8")
    assert run(bands, monkeypatch) == 1, "that bound is too near"
    with pytest.raises(SystemExit):
        run(bands, monkeypatch, "large")
    assert "there is no assignment 'large'; there are small" in capsys.readouterr().err


def test_the_check_on_a_gpu_says_what_held_and_for_how_long(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check, output = load("gpu_check"), tmp_path / "gpu.json"
    monkeypatch.setenv("DESCENT_DEVICE", "cpu")  # put back afterwards: the check sets it
    assert run(check, monkeypatch, "--device", "cpu", "--output", str(output)) == 0
    result = json.loads(output.read_text(encoding="utf-8"))
    (test,) = result["tests"]
    assert (test["test"], test["problems"], result["holds"]) == ("learn-well", [], True)
    assert test["seconds"].keys() == {"cpu"}

    (small / "small" / "small.md").write_text(SMALL.replace("score, 0.9,", "score, 0.999,"), encoding="utf-8")
    assert run(check, monkeypatch, "--device", "cpu", "--output", str(output)) == 1
    assert "not at least 0.999" in capsys.readouterr().out
    (small / "small" / "small.md").write_text(SMALL.replace("torch.ones(2", "torch.ones(1 / 0"), encoding="utf-8")
    assert run(check, monkeypatch, "--device", "cpu", "--output", str(output)) == 1
    assert "on cpu, seed 1: ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check, output = load("gpu_check"), tmp_path / "gpu.json"
    with pytest.raises(SystemExit):
        run(check, monkeypatch, "--device", "cuda:99", "--output", str(output))
    assert "'cuda:99' cannot be used here" in capsys.readouterr().err
    assert not output.exists()
    assert small.exists()
