"""A student's hour: open the released notebook in JupyterLab, solve it cell by cell, press Validate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from playwright.sync_api import Browser, Page, expect

from proctor.author import read_assignment
from proctor.course import find_course

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "_build" / "screenshots"
NAMES = find_course(ROOT).names
BY_HAND = "backprop"  # solved cell by cell, each run as it is written; the others are solved, and then validated
START, VALIDATE = 60, 240  # s; JupyterLab on two busy cores, and Validate with every test that trains


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str) -> bool:
    """Say whether the server at this address is up."""
    try:
        with urllib.request.urlopen(f"{address}/api", timeout=2) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab of its own on a folder that holds what students get, twice, and nothing else."""
    tmp_path = tmp_path_factory.mktemp("lab")
    for folder in ("solved", "untouched"):
        (tmp_path / "work" / folder).mkdir(parents=True)
        for name in NAMES:
            shutil.copy(ROOT / "release" / name / f"{name}.ipynb", tmp_path / "work" / folder)
    address = f"http://127.0.0.1:{(port := free_port())}"
    home = {
        name: str(tmp_path / name.lower())
        for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")
    }
    options = [
        f"--ServerApp.port={port}",
        "--no-browser",
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
        "--allow-root",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, "--LabApp.news_url=None"],
        cwd=tmp_path / "work",
        env={**os.environ, **home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(START * 2):
            if answers(address):
                break
            assert server.poll() is None, "JupyterLab ended at its start"
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(timeout=0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def choose(page: Page, index: int) -> None:
    """Make one cell the active one."""
    page.evaluate("index => { jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index)


def solve(page: Page, index: int, source: str, *, run: bool) -> None:
    """Replace one cell's text with the keyboard, as a student does, and run it if asked."""
    choose(page, index)
    page.evaluate("index => jupyterapp.shell.currentWidget.content.scrollToItem(index)", index)
    page.evaluate("() => jupyterapp.commands.execute('notebook:enter-edit-mode')")
    page.wait_for_function(
        """() => {
          const content = jupyterapp.shell.currentWidget.content;
          return content.mode === 'edit' && content.activeCell?.editor?.hasFocus();
        }""",
        timeout=START * 1000,
    )
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    if run:
        page.keyboard.press("Control+Enter")


def wait_until_idle(page: Page) -> None:
    """Wait until the kernel has run everything it was given."""
    page.wait_for_function(
        """() => {
          const panel = jupyterapp.shell.currentWidget;
          const cells = [...panel.content.model.cells].filter(cell => cell.type === 'code');
          return panel.sessionContext.session?.kernel?.status === 'idle'
              && cells.every(cell => cell.executionState === undefined || cell.executionState === 'idle');
        }""",
        timeout=VALIDATE * 1000,
    )


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window of a laptop's size; the kernels that it started end with it."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        yield page
        page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")


def open_notebook(page: Page, lab: str, folder: str, name: str) -> None:
    """Open a notebook in a workspace of its own, so that no other window's tabs come back."""
    page.goto(f"{lab}/lab/workspaces/{folder}-{name}/tree/{folder}/{name}.ipynb")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=START * 1000)


@pytest.mark.parametrize("name", NAMES)
def test_the_released_notebook_solved_with_the_keyboard_validates(name: str, page: Page, lab: str) -> None:
    assignment = read_assignment(ROOT / "assignments" / name)
    answers = {cell.name: cell.source for kind in ("solution", "written") for cell in assignment.of_kind(kind)}
    cells = json.loads((ROOT / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in cells]
    open_notebook(page, lab, "solved", name)
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=START * 1000,
    )
    for index, (cell_name, cell) in enumerate(zip(names, cells, strict=True)):
        if cell_name in answers:
            solve(page, index, answers[cell_name], run=name == BY_HAND)
        elif cell["cell_type"] == "code" and name == BY_HAND:
            choose(page, index)
            page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")
    wait_until_idle(page)
    sources = page.evaluate(
        "() => [...jupyterapp.shell.currentWidget.content.model.cells].map(cell => cell.sharedModel.getSource())"
    )
    typed = {name: source for name, source in zip(names, sources, strict=True) if name in answers}
    assert typed == answers, "the keyboard wrote something else"
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.locator(".validate-button").get_by_text("Validate").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for(timeout=VALIDATE * 1000)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"lab-validate-{name}.png")
    expect(dialog).to_contain_text("Success! Your notebook passes all the tests.")


def test_the_untouched_notebook_does_not_validate_and_names_an_open_task(page: Page, lab: str) -> None:
    first = read_assignment(ROOT / "assignments" / BY_HAND).of_kind("solution")[0].name
    open_notebook(page, lab, "untouched", BY_HAND)
    page.locator(".validate-button").get_by_text("Validate").click(timeout=START * 1000)
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for(timeout=VALIDATE * 1000)
    expect(dialog).to_contain_text(f"Task '{first}' is open")
