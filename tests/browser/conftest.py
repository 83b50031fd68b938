"""Debian's Chromium, driven by Playwright, and the built book served on this machine."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A fresh Chromium; the tests that need one are skipped where none is installed.

    It ends with its module: while it runs, Playwright holds this thread's event loop, and nobody else may start one.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a browser: .ci/run installs the package `chromium`")
        pytest.skip("no Chromium on this machine (Debian: `apt install chromium`), or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    """The standard library's file server without its log."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: a failed request is a test's own business."""


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Address of the built book on this machine."""
    html = ROOT / "_build" / "html"
    if not (html / "index.html").is_file():
        pytest.fail(
            "there is no built book in _build/html: run `make book` first, or leave these out: -m 'not browser'"
        )
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
