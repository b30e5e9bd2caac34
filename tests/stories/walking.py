"""A walk along a guide: its steps in order, each with a picture."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, ViewportSize

from devstack.demo.cast import Person
from devstack.stack import ROOT
from tests.browsers import barriers, chromium, complaints_of

GUIDES = ROOT / "docs" / "guide"
TAKE_PICTURES = "FEDSTUDY_GUIDE"
WINDOW: ViewportSize = {"width": 1200, "height": 800}
PATIENCE_MS = 180_000
_HEADING = re.compile(r"^## \d+\. (.+)$", re.MULTILINE)
_PICTURE = re.compile(r"^!\[.+\]\((.+)\)$", re.MULTILINE)


@dataclass
class Walk:
    """Somebody's browser on the way along a guide."""

    guide: str
    portal: str
    page: Page
    complaints: list[str]
    titles: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the portal."""
        self.page.goto(self.portal + path)

    def sign_in(self, person: Person) -> None:
        """Sign in by the form."""
        self.go("/sign-in")
        self.page.get_by_label("E-mail").fill(person.email)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Studies", level=1).wait_for()

    def press(self, name: str) -> None:
        """Press the button, or follow the link, of this name."""
        button = self.page.get_by_role("button", name=name, exact=True)
        link = self.page.get_by_role("link", name=name, exact=True)
        button.or_(link).first.click()

    def until(self, seen: Callable[[], Locator], count: int = 1) -> None:
        """Load the page again until so many of something are on it."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while seen().count() < count:
            assert time.monotonic() < deadline, self.page.inner_text("main")
            self.page.wait_for_timeout(300)
            self.page.reload()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step of the guide; at its end the page is photographed, and looked at by axe."""
        self.titles.append(title)
        yield
        assert not self.complaints, (title, self.complaints)
        found = barriers(self.page, in_both_themes=False)
        assert not found, (title, found)
        if os.environ.get(TAKE_PICTURES):
            self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
            self.page.screenshot(path=GUIDES / picture_of(self.guide, len(self.titles)), animations="disabled")


def picture_of(guide: str, number: int) -> str:
    """Where a step's picture lies, from the guides' folder."""
    return f"images/{guide}-{number:02}.png"


@contextmanager
def walking(guide: str, portal: str) -> Iterator[Walk]:
    """A walk along `docs/guide/GUIDE.md`; at its end the guide has exactly its steps and pictures."""
    with chromium() as browser:
        page = browser.new_context(viewport=WINDOW, color_scheme="light").new_page()
        page.set_default_timeout(PATIENCE_MS / 6)
        walk = Walk(guide, portal, page, complaints_of(page))
        yield walk
    assert_told(guide, walk.titles)


def assert_told(guide: str, titles: list[str]) -> None:
    """The guide's headings are these steps, and below each is its picture."""
    text = Path(GUIDES, f"{guide}.md").read_text("utf-8")
    assert _HEADING.findall(text) == titles
    assert _PICTURE.findall(text) == [picture_of(guide, number) for number in range(1, len(titles) + 1)]
