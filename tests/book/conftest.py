"""The built book, read once."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"


def load_tool(name: str) -> ModuleType:
    """Import a script of `tools/`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Page:
    """What the tests ask of one built page."""

    path: Path
    text: str
    ids: set[str] = field(default_factory=set)
    duplicate_ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)  # href of <a>
    loads: list[str] = field(default_factory=list)  # what the browser fetches by itself
    images: list[dict[str, str]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Path below the site's root."""
        return self.path.relative_to(HTML).as_posix()


class Reader(HTMLParser):
    """Fill a `Page` from its HTML."""

    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one element names, links to and loads."""
        values = {name: value or "" for name, value in attrs}
        page = self.page
        if identity := values.get("id"):
            (page.duplicate_ids if identity in page.ids else page.ids).add(identity)
        if tag == "a" and "href" in values:
            page.links.append(values["href"])
        elif tag == "link" and "canonical" not in values.get("rel", ""):
            page.loads.append(values.get("href", ""))
        elif tag in {"script", "img", "iframe", "audio", "video", "source"} and values.get("src"):
            page.loads.append(values["src"])
        if tag == "img":
            page.images.append(values)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            page.headings.append(int(tag[1]))


def read_page(path: Path) -> Page:
    """Parse one built page."""
    page = Page(path=path, text=path.read_text(encoding="utf-8"))
    Reader(page).feed(page.text)
    return page


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book; `make test` builds it before the tests run."""
    if not (HTML / "index.html").is_file():
        pytest.fail("there is no built book in _build/html: run `make book` first, or leave these out: -m 'not book'")
    return HTML


@pytest.fixture(scope="session")
def pages(html: Path) -> dict[str, Page]:
    """Every page of the site, by its path below the root."""
    found = [read_page(path) for path in sorted(html.rglob("*.html")) if "_static" not in path.relative_to(html).parts]
    return {page.name: page for page in found}
