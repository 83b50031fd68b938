r"""Markdown from a student, made unable to act where it is shown: feedback, formgrader, JupyterLab.

What a Markdown program takes for HTML depends on the program, so nothing is parsed here. Every `<` that could open a
tag gets an invisible U+2060 (word joiner) behind it, whether it stands in prose, in code or in a formula: it looks the
same, and is no tag for any of them. The same character breaks what would be a link to a script, an image, a diagram or
a command of MathJax's that makes links and styles. nbconvert 7 itself lets `javascript:` links through.
"""

from __future__ import annotations

import html
import re

from proctor.record.text import clean_text, cut

__all__ = ["LIMIT", "clean_markdown", "without_commands", "without_tags"]

LIMIT = 64 << 10  # bytes of one cell: a long essay has 20,000, and some texts take mistune quadratic time
JOINER = "\u2060"
# Tags that may stay where they carry no attribute; an open table would swallow the rest of the page.
PLAIN = "b|br|code|del|details|em|i|kbd|li|ol|p|pre|s|strong|sub|summary|sup|u|ul"
TAG = re.compile(rf"<(?!/?(?:{PLAIN}) ?/?>)(?=[A-Za-z/!?])", re.IGNORECASE)
ANY_TAG = re.compile(r"<(?=[A-Za-z/!?])")
LINK = re.compile(r"\](?=[(:])")
FILLING = re.compile(r"[\x00-\x20\\<>|\u2060\u00a0\u2028\u2029]+")  # may stand before or inside a target, unseen
TARGET = 256  # characters in which the scheme must end; "https" ends after five
DECODINGS = 8  # `&amp;amp;amp;` and so on; honest links need one
SAFE = frozenset({"http", "https", "mailto"})
SCHEME = re.compile(r"([^/?#:()\[\]]*)(.?)", re.DOTALL)  # up to the first character that no scheme holds
ENTITY = re.compile(r"&(?=#|bsol;)", re.IGNORECASE)  # a letter or a backslash in disguise
FENCE = re.compile(r"([`~]{3}\s*)(?=mermaid)", re.IGNORECASE)
TEX = re.compile(r"\\(?=(?:href|url|style|class|cssId|data|require|html\w*|unicode|mmlToken|csname|bbox)\b)")


def clean_markdown(text: str, *, limit: int = LIMIT) -> str:
    """Return Markdown that looks the same and holds no tag with attributes, no image, no link to a script.

    Bare tags such as `<sub>` and `<details>` stay. Images become links: an image from elsewhere would tell its server
    when the instructor looks, and files of the student's are not there.
    """
    text = ENTITY.sub(f"&{JOINER}", cut(clean_text(text), limit))
    text = FENCE.sub(rf"\1{JOINER}", TAG.sub(f"<{JOINER}", text))
    text = without_commands(text).replace("![", f"!{JOINER}[")
    return LINK.sub(lambda match: "]" if _is_safe(text, match.end()) else f"]{JOINER}", text)


def without_tags(text: str) -> str:
    """Return a formula with every tag broken, bare ones too, and without MathJax's commands that make links."""
    return without_commands(ANY_TAG.sub(f"<{JOINER}", ENTITY.sub(f"&{JOINER}", text)))


def without_commands(text: str) -> str:
    r"""Break MathJax's commands that make links or change the page, such as `\href`; MathJax reads any text of it."""
    return TEX.sub(lambda _: "\\" + JOINER, text)


def _is_safe(text: str, start: int) -> bool:
    """Return whether the link whose `(` or `:` stands at `start` leads to the web, or within the page."""
    window = text[start + 1 : start + 1 + TARGET]
    target = window.replace(JOINER, "")
    for _ in range(DECODINGS):  # mistune 3 and the browser decode one after the other
        target, before = html.unescape(target), target
        if target == before:
            break
    else:
        return False
    scheme = SCHEME.match(FILLING.sub("", target))
    if scheme is None or not scheme[2]:
        return len(window) < TARGET  # only where the text ends is it certain that no scheme follows
    return scheme[2] != ":" or scheme[1].lower() in SAFE
