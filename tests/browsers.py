"""A real browser for tests: Chromium, what it complains of, and what axe finds on a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
PHONE: ViewportSize = {"width": 390, "height": 844}
# What a theme can change about a page: its colours.
OF_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
WHOLE = {"resultTypes": ["violations"]}
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. It runs a loop in this thread: touch the database before, or in another one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def give_passkey_device(page: Page) -> None:
    """Put a device for passkeys to the page's browser; it says yes to everything, as a finger on it would."""
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def complaints_of(page: Page) -> list[str]:
    """What the browser will complain of from now on: errors on its console, and scripts that broke."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def barriers(page: Page, *, in_both_themes: bool = True) -> list[str]:
    """What axe finds serious or critical on the page as it is, in the light theme and in the dark one."""
    found: list[str] = []
    for theme, rules in (("light", WHOLE), ("dark", OF_COLOURS))[: 1 + in_both_themes]:
        # colours in the middle of a change would be neither theme's
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate(PAINTED)
        found += [words for result in _violations(page, rules) for words in _told(theme, result)]
    return found


def _violations(page: Page, rules: dict[str, Any]) -> list[dict[str, Any]]:
    """What axe finds. It is half a megabyte, which a page loads once; what it has to say of rules that a page keeps is
    as much again, and stays there."""
    if page.evaluate("() => !window.axe"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate("rules => axe.run(rules).then(found => found.violations)", rules)
    return found


def excess(page: Page) -> list[str]:
    """By how much the page is wider than a phone, if it is."""
    wide = page.viewport_size or PHONE
    page.set_viewport_size(PHONE)
    pixels = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.set_viewport_size(wide)
    return [f"{pixels} pixels wider than a phone"] if pixels > 0 else []


def _told(theme: str, result: dict[str, Any]) -> Iterator[str]:
    if result["impact"] in ("serious", "critical"):
        for node in result["nodes"]:
            summary = " ".join(node["failureSummary"].split())
            yield f"{theme}: {result['id']}: {node['html'][:160]} ({summary[:300]})"


def photograph(page: Page, name: str) -> None:
    """Pictures of the page for whoever wants to look (FEDSTUDY_PICTURES names a folder): light, dark, on a phone."""
    folder = os.environ.get("FEDSTUDY_PICTURES")
    if not folder:
        return
    wide = page.viewport_size
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.screenshot(path=Path(folder, f"{name}-{theme}.png"), full_page=True)
    page.set_viewport_size(PHONE)
    page.screenshot(path=Path(folder, f"{name}-phone.png"), full_page=True)
    if wide is not None:
        page.set_viewport_size(wide)
