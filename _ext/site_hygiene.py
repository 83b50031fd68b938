"""Mend what Jupyter Book 1 and its theme put on every page and this site does not want.

- `sphinx_thebe` is always loaded, from a third party, and raises a script error on every page: dropped.
- Sphinx 7 writes scripts without a file twice, which is a second error: written once.
- The scripts of ipywidgets come from a third party: kept only on pages that show a widget, of which there are none.
- `sphinx_exercise` gives every exercise and solution body the same id: numbered.
- The theme repeats the title as a second first-level heading, for print: made a paragraph.
- Some labels hide the text that they stand beside from screen readers: removed.

It edits the theme's HTML, so `pyproject.toml` pins the theme exactly.
"""

from __future__ import annotations

import html
import itertools
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

THEBE = ("sphinx-thebe", "THEBE_JS_URL", "thebe")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
BODY_ID = re.compile(r'<section id="((?:solution|exercise)-content)">')
# (what the theme writes, what this site writes)
LABELS = (
    ('<summary aria-label="Toggle hidden content">', "<summary>"),  # hid the words "Show code cell source"
    ('role="doc-biblioentry"', 'role="listitem"'),  # deprecated, and not allowed inside a list
    ('<meta name="viewport" content="width=device-width, initial-scale=1"/>', ""),  # a second one follows
)
PRINT_TITLE = re.compile(r'(<div id="jb-print-docs-body"[^>]*>\s*)<h1>(.*?)</h1>', re.DOTALL)  # a second <h1>
TABLE_CORNER = re.compile(r'(<tr style="text-align: right;">\s*)<th></th>')  # pandas' empty header cell
THEBE_INLINE = re.compile(r'<script(?:>kernelName = | type="text/x-thebe-config">).*?</script>', re.DOTALL)


def wanted_scripts(scripts: list[Any], *, widgets: bool, widget_scripts: tuple[str, ...]) -> list[Any]:
    """Return the scripts of a page without third parties' and without repetitions."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for script in scripts:
        attributes = getattr(script, "attributes", {}) or {}
        name, body = str(getattr(script, "filename", "") or ""), str(attributes.get("body", "") or "")
        if any(word in name or word in body for word in THEBE) or (name, body) in seen:
            continue
        if not widgets and (attributes.get("type") == WIDGET_STATE or name in widget_scripts):
            continue
        seen.add((name, body))
        kept.append(script)
    return kept


def describe(doctree: nodes.document) -> str:
    """Return the first real sentence or two of a page, for search engines; empty if there is none."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > 60:
            return text[:155].rsplit(" ", 1)[0]
    return ""


def clean_page(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Edit one page before the theme lays it out."""
    body = context.get("body") or ""
    context["script_files"] = wanted_scripts(
        context.get("script_files", []),
        widgets=WIDGET_VIEW in body,
        widget_scripts=tuple(app.config.nb_ipywidgets_js or ()),
    )
    context["css_files"] = [
        css for css in context.get("css_files", []) if "thebe" not in str(getattr(css, "filename", css))
    ]
    number = itertools.count(1)
    body = BODY_ID.sub(lambda found: f'<section id="{found[1]}-{next(number)}">', body)
    context["body"] = TABLE_CORNER.sub(r"\1<td></td>", body)
    if doctree is not None and 'name="description"' not in (context.get("metatags") or ""):
        text = describe(doctree)
        if text:
            context["metatags"] = (
                context.get("metatags") or ""
            ) + f'\n<meta name="description" content="{html.escape(text)}">'


def clean_files(app: Sphinx, error: Exception | None) -> None:
    """Edit what the theme wrote around the pages."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        if "_static" in path.relative_to(app.outdir).parts:
            continue
        before = path.read_text(encoding="utf-8")
        after = PRINT_TITLE.sub(r'\1<p class="print-title">\2</p>', THEBE_INLINE.sub("", before))
        for old, new in LABELS:
            after = after.replace(old, new)
        if after != before:
            path.write_text(after, encoding="utf-8")


def choose_cache(app: Sphinx, _config: Any) -> None:
    """Keep executed cells apart by what they ran on: the build names the folder."""
    folder = os.environ.get("BOOK_CACHE")
    if folder:
        app.config.nb_execution_cache_path = folder


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the clean-up with Sphinx."""
    app.connect("config-inited", choose_cache)
    app.connect("html-page-context", clean_page, priority=990)
    app.connect("build-finished", clean_files, priority=990)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
