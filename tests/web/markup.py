"""What every answer with HTML must hold to."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SELF_CLOSING = {"path", "line", "circle", "polyline", "rect"}


class Page(HTMLParser):
    """Reads a page and notes what must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.targets: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or (value or "").startswith("javascript:"):
                self.problems.append(f"<{tag} {name}>")
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.problems.append(f"inline <{tag}>")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "h1":
            self.headings.append(tag)
        self.targets += [str(given[name]) for name in ("src", "href") if given.get(name)]
        if tag not in VOID and tag not in SELF_CLOSING:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or tag in SELF_CLOSING:
            return
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.problems.append(f"</{tag}> does not close {self.open[-1:]}")

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_sound(html: str, *, whole: bool = True) -> Page:
    """Well-formed, one h1, unique ids, no script twice, nothing inline, static files there, template tags rendered."""
    from django.contrib.staticfiles import finders

    page = Page(html)
    assert page.problems == []
    assert not re.search(r"{%|{{|%}|}}", html), "an unrendered template tag"
    assert len(page.ids) == len(set(page.ids)), "an id that stands twice"
    scripts = [target for target in page.targets if target.endswith(".js")]
    assert len(scripts) == len(set(scripts)), "a script that is loaded twice"
    if whole:
        assert len(page.headings) == 1
    for target in page.targets:
        assert not target.startswith(("http:", "https:", "//")), target
        if target.startswith("/static/"):
            assert finders.find(target.removeprefix("/static/")), target
    return page
