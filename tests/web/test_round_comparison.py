"""Two rounds of a run beside each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from federation.runs.models import Run
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound
from tests.web.rounds import commit_round, set_to_work


@pytest.fixture
def run(world: World) -> Run:
    """Three rounds; the site answered the first two and missed the third."""
    run = set_to_work(world)
    before = None
    for number in (1, 2, 3):
        came: dict[str, Any] = {"content_sha256": f"{number:x}" * 64}
        missed = {"state": "missing", "code": "E_DEADLINE", "examples": None}
        round_ = commit_round(run, number, **(missed if number == 3 else came))
        round_.model_in = before
        round_.save()
        before = round_.model_out
    return run


def shown(browser: Browser, run: Run, **chosen: object) -> Page:
    answer = browser("auditor").get(reverse("web:run-rounds", args=[run.pk]), chosen)
    assert answer.status_code == 200
    return assert_sound(answer.content.decode())


def test_the_last_two_rounds_stand_side_by_side(browser: Browser, run: Run) -> None:
    page = shown(browser, run)
    assert "Round 2Round 3" in page.text
    for words in ("2" * 10, "E_DEADLINE", "learning-rate", "900 ms", "2.0 KiB"):
        assert words in page.text, words
    assert "1" * 10 not in page.text


def test_any_two_can_be_chosen(browser: Browser, run: Run) -> None:
    page = shown(browser, run, first=2, second=1)
    assert "Round 1Round 2" in page.text
    assert "E_DEADLINE" not in page.text
    for one in ({"first": 2, "second": 2}, {"first": 1, "second": 9}, {"first": "x"}):
        assert "Choose two rounds" in shown(browser, run, **one).text


def test_the_round_table_leads_there(browser: Browser, run: Run) -> None:
    page = browser("auditor").get(reverse("web:run", args=[run.pk]))
    assert reverse("web:run-rounds", args=[run.pk]) in assert_sound(page.content.decode()).targets
