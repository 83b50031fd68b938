"""Reading a page for what acts in it: scripts, event handlers, and addresses that run or load something."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ACTIVE_TAGS = {
    "applet", "audio", "base", "button", "embed", "form", "frame", "iframe", "image", "input", "link", "math", "meta",
    "object", "script", "style", "svg", "template", "textarea", "title", "video",
}  # fmt: skip
ADDRESSES = {"action", "background", "data", "formaction", "href", "poster", "src", "srcdoc", "srcset", "xlink:href"}
HARMLESS = re.compile(r"(https?://|mailto:|#|[\w./%-]*\Z|data:image/(png|jpeg|gif|svg\+xml);base64,)", re.IGNORECASE)
UNSEEN = re.compile(r"[\x00-\x20]")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.active: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE_TAGS:
            self.active.append(f"<{tag}>")
        for name, value in attributes:
            target = UNSEEN.sub("", value or "")
            if name.startswith("on") or (name in ADDRESSES and not HARMLESS.match(target)):
                self.active.append(f"<{tag} {name}={value!r}>")
            if tag == "img" and name == "src" and not target.startswith("data:image/"):
                self.active.append(f"<img src={value!r}>")
            if name == "style" and "url" in target.lower():
                self.active.append(f"<{tag} style={value!r}>")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.active.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.active.append(f"<!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.active.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.active.append(f"<?{data}")


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


def active(page: str) -> list[str]:
    """Return everything that acts in a page."""
    return read(page).active


def text(page: str) -> str:
    """Return what a reader of the page sees."""
    return "".join(read(page).text)
