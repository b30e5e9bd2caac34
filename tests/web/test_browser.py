"""The pages in a real browser: the run page lives, and what is dangerous asks first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from playwright.sync_api import Browser, Page

from federation.runs.models import Run
from tests import browsers
from tests.api import world as worlds
from tests.api.world import World
from tests.browsers import needs_chromium
from tests.web.rounds import commit_round, set_to_work

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), needs_chromium]

LOSES_ITS_ROUNDS_AND_GETS_THEM_BACK = """(figure) => {
  const table = figure.querySelector(".fs-table table");
  const [name, body] = [[...table.tHead.rows[0].cells].at(-1), table.tBodies[0]];
  const [before, late] = [name.textContent, [...body.rows].slice(1)];
  const settle = () => document.dispatchEvent(new Event("htmx:afterSettle"));
  name.textContent = "Another site";
  late.forEach((row) => row.remove());
  settle();
  name.textContent = before;
  body.append(...late);
  settle();
}"""


@pytest.fixture
def world(transactional_db: None) -> World:
    return worlds.build()


@pytest.fixture
def run(world: World) -> Run:
    run = set_to_work(world)
    commit_round(run, 1)
    commit_round(run, 2)
    return run


@pytest.fixture
def chromium(world: World, run: Run) -> Iterator[Browser]:
    """Started after everything that the tests need of the database."""
    with browsers.chromium() as browser:
        yield browser


def beside(work: Callable[[], Any]) -> None:
    """Do something with the database in a thread of its own."""

    def job() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()


def signed_in(browser: Browser, address: str, email: str, **options: Any) -> tuple[Page, list[str]]:
    """A page of somebody who signed in by the form, and the complaints of the browser."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    complaints = browsers.complaints_of(page)
    page.goto(address + reverse("web:sign-in"))
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(worlds.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Studies", level=1).wait_for()
    return page, complaints


def test_a_run_is_watched(live_server: Any, world: World, run: Run, chromium: Browser) -> None:
    """Open the run, unfold a table, see a round arrive without losing the fold, then the end, and the polling stop."""
    page, complaints = signed_in(chromium, live_server.url, world.pi.email)
    page.goto(live_server.url + reverse("web:run", args=[run.pk]))
    page.get_by_text("2 of 3", exact=True).wait_for()
    chart = page.locator("figure[data-chart]").first
    chart.locator("canvas").wait_for()
    chart.evaluate(LOSES_ITS_ROUNDS_AND_GETS_THEM_BACK)
    assert chart.locator("canvas").count() == 1
    chart.locator("summary").click()
    beside(lambda: commit_round(run, 3))
    page.get_by_text("3 of 3", exact=True).wait_for()
    assert chart.locator(".fs-table tbody tr").count() == 3
    assert chart.locator("details").evaluate("element => element.open")
    assert chart.locator("canvas").count() == 1
    beside(lambda: complete(run))
    with page.expect_download() as drawn:
        chart.get_by_role("button", name="SVG").click()
    picture = drawn.value.path().read_text()
    assert drawn.value.suggested_filename == "auc.svg"
    assert "All sites" in picture
    assert picture.count("<polyline") == 2
    assert "var(" not in picture
    for name, start in (("PNG of AUC", b"\x89PNG"), ("SVG of the curves", b"<svg")):
        with page.expect_download() as taken:
            page.get_by_role("button", name=name, exact=True).click()
        assert taken.value.path().read_bytes().startswith(start)
    page.get_by_role("heading", name="Ended").wait_for()
    assert page.locator("main [data-live]").count() == 0
    assert complaints == []


def complete(run: Run) -> None:
    from django.utils import timezone

    Run.objects.filter(pk=run.pk).update(state="completed", ended_at=timezone.now())


def test_stopping_asks_first_and_names_the_run(live_server: Any, world: World, run: Run, chromium: Browser) -> None:
    """Press Stop, read the question, leave by Escape; the theme button changes and remembers the theme."""
    page, complaints = signed_in(chromium, live_server.url, world.pi.email, color_scheme="light")
    page.goto(live_server.url + reverse("web:run", args=[run.pk]))
    page.get_by_role("button", name="Stop", exact=True).click()
    question = page.get_by_role("dialog")
    assert run.label in question.inner_text()
    page.keyboard.press("Escape")
    question.wait_for(state="hidden")
    page.get_by_role("button", name="Switch to the dark theme").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert complaints == []


def test_keys_lead_through_the_portal(live_server: Any, world: World, run: Run, chromium: Browser) -> None:
    """Skip to the content, search, list the keys, go to the log, leave a menu by Escape, and switch the keys off."""
    page, complaints = signed_in(chromium, live_server.url, world.pi.email)
    page.goto(live_server.url + reverse("web:run", args=[run.pk]))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focus(page) == "content"
    page.keyboard.press("/")
    assert focus(page) == "bar-search"
    page.keyboard.type("g?")
    assert page.locator("#bar-search").input_value() == "g?"
    menu = page.locator(".fs-tools details.fs-menu > summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").wait_for(state="hidden")
    assert menu.evaluate("element => element === document.activeElement")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="hidden")
    assert menu.evaluate("element => element === document.activeElement")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**" + reverse("web:events"))
    page.keyboard.press("?")
    page.get_by_label("Use these keys in this browser").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    assert focus(page) != "bar-search"
    assert complaints == []


def focus(page: Page) -> str:
    """The id of what has the focus."""
    return str(page.evaluate("document.activeElement.id"))
