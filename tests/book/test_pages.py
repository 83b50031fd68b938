"""What must hold on every page of the built book."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest

pytestmark = pytest.mark.book

GENERATED = {"genindex.html", "search.html"}  # the theme's own pages, without text of ours


def test_every_page_of_the_table_of_contents_is_built(pages, html: Path) -> None:
    toc = (html.parents[1] / "_toc.yml").read_text(encoding="utf-8")
    named = re.findall(r"(?:file|root): *([\w/.-]+)", toc)
    assert named
    assert {f"{name}.html" for name in named} <= pages.keys()


def test_internal_links_and_anchors_lead_somewhere(pages, html: Path) -> None:
    broken = []
    for page in pages.values():
        for link in page.links + page.loads:
            if urlparse(link).scheme or link in {"", "#"}:
                continue
            target, anchor = urldefrag(link)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), unquote(target.split("?")[0])))
            path = page.name if not target else path
            if not (html / path).exists():
                broken.append(f"{page.name} -> {link}")
            elif anchor and path in pages and anchor not in pages[path].ids:
                broken.append(f"{page.name} -> {link} (no such anchor)")
    assert not broken


def test_no_page_loads_anything_from_a_third_party(pages) -> None:
    foreign = [(page.name, load) for page in pages.values() for load in page.loads if "//" in load.split("?")[0]]
    assert not foreign
    inside = [
        (page.name, found)
        for page in pages.values()
        for found in re.findall(r"(?:import|from|url)\s*\(?[\"']?(https?://[^\"')\s]+)", page.text)
    ]
    assert not inside


def test_no_style_sheet_or_script_of_ours_asks_a_third_party(html: Path) -> None:
    ours = [html / "_static" / "book.css", html / "_static" / "katex" / "katex.min.css"]
    for path in ours:
        assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_image_says_what_it_shows(pages) -> None:
    for page in pages.values():
        for image in page.images:
            if "logo" in image.get("class", ""):
                continue
            alt = image.get("alt", "")
            assert len(alt) > 25, f"{page.name}: {image.get('src')} has the alt text {alt!r}"
            assert not re.search(r"\.(png|svg|jpe?g)$", alt), f"{page.name}: {alt!r} is a file name"


def test_headings_step_down_one_level_at_a_time(pages) -> None:
    for page in pages.values():
        if page.name in GENERATED:
            continue
        assert page.headings.count(1) == 1, f"{page.name} has {page.headings.count(1)} first-level headings"
        assert 2 in page.headings, f"{page.name} has no second-level heading"
        jumps = [(a, b) for a, b in zip(page.headings, page.headings[1:], strict=False) if b > a + 1]
        assert not jumps, f"{page.name}: {jumps}"


def test_ids_are_unique_on_each_page(pages) -> None:
    assert not {page.name: page.duplicate_ids for page in pages.values() if page.duplicate_ids}


def test_formulas_are_rendered_before_the_reader_comes(pages) -> None:
    assert any('class="katex"' in page.text for page in pages.values())
    for page in pages.values():
        assert "katex-error" not in page.text, page.name
        assert "MathJax" not in page.text, page.name


def test_no_number_failed_to_glue(pages) -> None:
    """MyST-NB leaves its role's text, or a NumPy type's name, where a glued value cannot be formatted."""
    for page in pages.values():
        article = page.text
        assert "{glue" not in article, page.name
        assert "np.float" not in article, page.name
        assert not re.search(r"\btensor\(\d", re.sub(r"<pre.*?</pre>", "", article, flags=re.DOTALL)), page.name
