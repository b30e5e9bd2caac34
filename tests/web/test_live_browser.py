"""A page left open, in a real browser over a server that streams: it hears of changes, and says when it cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from django.urls import reverse
from playwright.sync_api import Browser, Page, Request

from accounts.models import Session
from federation.runs.models import Run
from federation.runs.services import stop_run
from federation.runs.signals import run_changed
from notifications.services import mark_all_read, notify
from tests import browsers
from tests.api import world as worlds
from tests.api.world import World
from tests.browsers import needs_chromium
from tests.web.rounds import commit_round, set_to_work
from tests.web.test_browser import beside, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), needs_chromium]
DEAF = "for (const part of document.querySelectorAll('[data-live]')) part.dataset.every = part.dataset.slow = 1e9"

HOW_OFTEN_TIMES_SAY_WHAT_IT_IS_HERE = """async () => {
  await new Promise((done) => {
    document.addEventListener("htmx:afterSettle", () => done(), { once: true });
    htmx.trigger(document.getElementById("study-live"), "refresh");
  });
  const times = document.querySelectorAll("#study-live time[data-relative]");
  return [...times].map((time) => time.title.split("here: ").length - 1);
}"""


@pytest.fixture
def world(transactional_db: None) -> World:
    """What its people were told before is read."""
    built = worlds.build()
    mark_all_read(by=built.pi)
    return built


@pytest.fixture
def run(world: World) -> Run:
    return set_to_work(world)


@pytest.fixture
def portal(world: World) -> Iterator[str]:
    """The address of the portal as it is in production, in this process."""
    from portal.asgi import application

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def chromium(portal: str, run: Run) -> Iterator[Browser]:
    with browsers.chromium() as browser:
        yield browser


def open_and_listen(page: Page, address: str) -> None:
    """Open a page and wait until it hears; it does not ask by itself from then on."""
    with page.expect_response(lambda answer: "/live/events" in answer.url) as stream:
        page.goto(address)
    assert stream.value.status == 200
    page.evaluate(DEAF)


def test_a_page_left_open_stays_right(portal: str, world: World, run: Run, chromium: Browser) -> None:
    """Without a reload: a round, the downloads, a piece of news, the end; then no connection, and the sign-out."""
    page, complaints = signed_in(chromium, portal, world.pi.email)
    marks: set[str | None] = set()  # of what htmx asks for

    def look(request: Request) -> None:
        if "hx-request" in request.headers:
            marks.add(request.headers.get("fedstudy-live"))

    page.on("request", look)
    open_and_listen(page, portal + reverse("web:run", args=[run.pk]))
    assert page.get_by_text("Download").count() == 0

    def work() -> None:
        commit_round(run, 1)
        run_changed.send(sender=Run, run_id=run.pk)
        notify(people=[world.pi], kind="version", subject="Something new", link="/", key="news")

    beside(work)
    page.get_by_text("1 of 3", exact=True).wait_for()
    page.get_by_text("Download").wait_for()
    page.get_by_text("Notifications, 1 new").wait_for(state="attached")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_label("Reason").fill("half a sentence")
    beside(lambda: (commit_round(run, 2), run_changed.send(sender=Run, run_id=run.pk)))
    page.get_by_text("2 of 3", exact=True).wait_for()
    assert page.get_by_label("Reason").input_value() == "half a sentence"
    beside(lambda: stop_run(run=run, by=world.pi))
    page.get_by_role("heading", name="Ended", exact=True).wait_for()
    page.get_by_role("button", name="Resume", exact=True).wait_for()
    open_and_listen(page, portal + reverse("web:study", args=[world.study.pk]))
    assert set(page.evaluate(HOW_OFTEN_TIMES_SAY_WHAT_IT_IS_HERE)) == {1}
    assert marks == {"1"}, "the portal knows what is no use of the session"
    assert complaints == []
    page.context.set_offline(True)
    page.get_by_text("Not up to date since").wait_for()
    page.context.set_offline(False)
    page.locator("#stale").wait_for(state="hidden")
    beside(lambda: Session.objects.all().delete())
    page.get_by_role("button", name="Sign in").wait_for()
