"""HTML from a student's process that shows tables and text, and does nothing."""

from __future__ import annotations

import re
from collections import Counter

import nh3

from proctor.record.markdown import without_commands
from proctor.record.text import clean_text

__all__ = ["clean_html"]

TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div", "dl",
    "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre",
    "progress", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "u", "ul", "var",
}  # fmt: skip
ATTRIBUTES = {
    "*": {"style", "title"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
    "progress": {"max", "value"},
    "table": {"border"},
    "td": {"align", "colspan", "rowspan", "valign"},
    "th": {"align", "colspan", "rowspan", "scope", "valign"},
}
# None that moves a thing over another, and none that loads anything.
STYLES = {
    "background-color", "border", "border-collapse", "color", "font-family", "font-style", "font-weight", "padding",
    "text-align", "text-decoration", "vertical-align", "white-space",
}  # fmt: skip
LOADS = re.compile(r"url|image|expression|\\|/\*|@", re.IGNORECASE)
INLINE = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*\Z")
OPENING = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
# Elements that do not nest where they are left open.
FLAT = {
    "br", "col", "dd", "dt", "hr", "img", "input", "li", "option", "p", "tbody", "td", "tfoot", "th", "thead", "tr",
    "wbr",
}  # fmt: skip
DEPTH = 500  # elements inside one another; nh3 0.3 takes quadratic time, 2 min for 200,000
SPAN = 1000  # columns or rows of one cell of a table; browsers stop there for columns


def clean_html(text: str) -> str:
    """Return HTML that shows and does nothing else; empty if it is nested beyond reason."""
    if _depth(text) > DEPTH:
        return ""
    cleaned = nh3.clean(
        clean_text(text),
        tags=TAGS,
        clean_content_tags={"iframe", "math", "noscript", "object", "script", "style", "svg", "template", "title"},
        attributes=ATTRIBUTES,
        attribute_filter=_attribute,
        allowed_classes={"table": {"dataframe"}},
        filter_style_properties=STYLES,
        url_schemes={"data", "http", "https"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    return without_commands(cleaned)


def _depth(text: str) -> int:
    """Return how many elements may be open at once; more than there are, where tags do not match."""
    opened: Counter[str] = Counter()
    depth = deepest = 0
    for closes, name in OPENING.findall(text.lower()):
        if name in FLAT or (closes and not opened[name]):
            continue
        step = -1 if closes else 1
        opened[name] += step
        depth += step
        deepest = max(deepest, depth)
    return deepest


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Return an attribute's value; None if the attribute is to go."""
    if name == "href":
        return value if value.lower().startswith(("http://", "https://")) else None
    if name == "src":
        return value if tag == "img" and INLINE.match(value) else None
    if name == "style":
        return None if LOADS.search(value) else value
    if name in ("colspan", "rowspan", "span"):
        return value if value.isdecimal() and int(value[:9]) <= SPAN else None
    return value
