"""The book as a reader sees it: every page, light and dark, wide and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
SHOTS = ROOT / "_build" / "screenshots"
WIDE, NARROW = 1280, 390  # px; a laptop and a telephone


def names() -> list[str]:
    """Return the pages of the book, by path."""
    found = (path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html") if "_static" not in path.parts)
    return sorted(name for name in found if name != "genindex.html") or ["index.html"]


def watch(page: Page) -> list[str]:
    """Collect whatever goes wrong on a page: script errors, console errors, failed and foreign requests."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
    page.on("console", lambda line: wrong.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda request: wrong.append(f"foreign: {request.url}") if is_foreign(request.url) else None)
    return wrong


def is_foreign(url: str) -> bool:
    """Say whether a request leaves this machine."""
    return not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_page_shows_without_errors_and_fits(chromium: Browser, site: str, name: str, scheme: str, width: int) -> None:
    with chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        wrong = watch(page)
        page.goto(f"{site}/{name}", wait_until="networkidle")
        page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        for image in page.locator("article img").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(
            path=SHOTS / f"{name.removesuffix('.html').replace('/', '-')}-{scheme}-{width}.png", full_page=True
        )
        assert wrong == []


def test_the_book_works_from_a_folder_without_a_server(chromium: Browser) -> None:
    with chromium.new_context() as context:
        context.set_offline(True)
        page = context.new_page()
        wrong = watch(page)
        page.goto((HTML / "index.html").as_uri(), wait_until="networkidle")
        page.locator("nav.bd-links a").first.click()
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").count() == 1
        assert wrong == []


def test_search_finds_a_word_of_a_chapter(chromium: Browser, site: str) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        wrong = watch(page)
        page.goto(f"{site}/search.html?q=perceptron", wait_until="networkidle")
        page.locator("#search-results li a").first.wait_for()
        assert wrong == []
