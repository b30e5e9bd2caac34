"""The run page: live while the run works, still when it ended, and it says who is awaited and who fell out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from federation.runs.models import Participant, Participation, Round, Run
from federation.runs.services import stop_run
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound
from tests.web.rounds import commit_round, set_to_work


@pytest.fixture
def run(world: World) -> Run:
    return set_to_work(world)


def poll(client: Client, run: Run, mark: str = "") -> HttpResponse:
    there = reverse("web:run", args=[run.pk]) + (f"?mark={mark}" if mark else "")
    return client.get(there, headers={"HX-Request": "true"})  # type: ignore[return-value]


def look(client: Client, run: Run) -> Page:
    answer = client.get(reverse("web:run", args=[run.pk]))
    assert answer.status_code == 200
    return assert_sound(answer.content.decode())


def test_results_stand_per_site_and_for_all(run: Run, browser: Browser) -> None:
    commit_round(run, 1)
    commit_round(run, 2)
    answer = browser("pi").get(reverse("web:run", args=[run.pk]))
    page = answer.context["page"]
    assert [row.name for row in page.results.rows] == ["Cleveland Clinic"]
    assert page.results.columns[0] == "AUC"
    assert (page.results.rows[0].trained, page.results.rows[0].tested) == (80, 40)
    assert page.results.pooled.values[0] == 0.75
    assert [curve.name for curve in page.curves] == ["All sites", "Cleveland Clinic"]
    assert page.curves[0].auc == pytest.approx(0.96875)
    assert [chart.title for chart in page.charts][:2] == ["AUC", "Accuracy"]
    text = assert_sound(answer.content.decode()).text
    assert "Receiver operating characteristic" in text
    assert "2.0 KiB" in text


def test_the_model_is_evaluated_with_intervals(run: Run, browser: Browser) -> None:
    commit_round(run, 1)
    answer = browser("pi").get(reverse("web:run", args=[run.pk]))
    card = answer.context["page"].evaluation
    assert [row.name for row in card.forest.rows] == ["Cleveland Clinic"]
    assert card.forest.together.estimate.value == pytest.approx(0.96875)
    assert card.forest.together.low < card.forest.together.at < card.forest.together.high
    assert [errors.true_positives for _, errors in card.thresholds] == [3, 4]
    page = assert_sound(answer.content.decode())
    assert "Area under the curve" in page.text
    assert "Calibration, all sites" in page.text


def test_without_score_histograms_there_is_no_evaluation(run: Run, browser: Browser) -> None:
    round_ = commit_round(run, 1)
    round_.metrics = {"evaluate": {"auc": 0.7}}
    round_.save()
    answer = browser("pi").get(reverse("web:run", args=[run.pk]))
    assert answer.context["page"].evaluation is None
    assert "Calibration" not in answer.content.decode()


def test_a_refusal_is_told_with_its_code_and_its_sentence(run: Run, browser: Browser) -> None:
    commit_round(run, 1, state="refused", code="E_EXPIRED")
    text = look(browser("auditor"), run).text
    assert "The approval has expired." in text
    assert "E_EXPIRED" in text
    assert "0 of 1" in text


def test_who_is_awaited_until_when(run: Run, browser: Browser) -> None:
    until = timezone.now() + timedelta(minutes=2)
    round_ = Round.objects.create(run=run, number=1, phase="train", deadline_at=until)
    Participation.objects.create(round=round_, participant=Participant.objects.get(run=run), phase="train")
    page = look(browser("pi"), run)
    assert "Waiting for" in page.text
    assert "Cleveland Clinic" in page.text
    assert until.strftime("%H:%M") in page.text


def test_the_page_polls_while_the_run_works_and_gets_nothing_while_nothing_happens(run: Run, browser: Browser) -> None:
    client = browser("pi")
    commit_round(run, 1)
    awaited = Round.objects.create(run=run, number=2, phase="train")
    Participation.objects.create(round=awaited, participant=Participant.objects.get(run=run), phase="train")
    first = poll(client, run)
    html = first.content.decode()
    assert_sound(html, whole=False)
    assert 'hx-trigger="refresh"' in html
    assert f'data-about="run:{run.pk}"' in html
    mark = first.context["page"].mark
    assert f"mark={mark}" in html
    assert poll(client, run, mark).status_code == 204
    awaited.delete()
    commit_round(run, 2)
    again = poll(client, run, mark)
    assert again.status_code == 200
    assert again.context["page"].mark != mark
    assert again.context["page"].committed == 2


def test_a_run_that_was_stopped_is_looked_at_seldom(run: Run, world: World, browser: Browser) -> None:
    client = browser("pi")
    commit_round(run, 1)
    mark = poll(client, run).context["page"].mark
    stop_run(run=run, by=world.pi, reason="Enough")
    answer = poll(client, run, mark)
    assert answer.status_code == 200
    assert 'data-every="30000"' in answer.content.decode()
    assert "Enough" in answer.content.decode()


def test_a_complete_run_is_looked_at_no_more(run: Run, browser: Browser) -> None:
    Run.objects.filter(pk=run.pk).update(state="completed", ended_at=timezone.now())
    assert "data-live" not in poll(browser("pi"), run).content.decode()


def test_downloads_and_buttons_come_and_go_with_the_run(run: Run, world: World, browser: Browser) -> None:
    client = browser("pi")
    before = poll(client, run).content.decode()
    assert 'id="run-head" hx-swap-oob="morph"' in before
    assert "Download" not in before
    assert 'id="stop-run"' in before
    commit_round(run, 1)
    stop_run(run=run, by=world.pi)
    after = poll(client, run).content.decode()
    assert "Results (CSV)" in after
    assert 'id="resume-run"' in after
    assert 'id="stop-run"' not in after


def test_the_poll_of_an_unchanged_run_costs_few_queries(run: Run, browser: Browser) -> None:
    client = browser("pi")
    commit_round(run, 1)
    mark = poll(client, run).context["page"].mark
    with CaptureQueriesContext(
        connection,
    ) as short:
        poll(client, run, mark)
    with CaptureQueriesContext(connection) as one:
        poll(client, run)
    for number in range(2, 12):
        commit_round(run, number)
    with CaptureQueriesContext(connection) as many:
        poll(client, run)
    assert len(short) < len(one)
    assert len(many) == len(one)


def test_a_long_run_shows_its_latest_rounds_and_all_on_demand(run: Run, browser: Browser) -> None:
    for number in range(1, 31):
        commit_round(run, number)
    client, there = browser("pi"), reverse("web:run", args=[run.pk])
    page = client.get(there).context["page"]
    assert (len(page.rounds), page.hidden_rounds) == (20, 10)
    answer = client.get(there, {"rounds": "all"})
    assert len(answer.context["page"].rounds) == 30
    assert "rounds=all" in answer.context["live_href"]


def test_a_draft_says_what_is_missing_and_starting_is_refused_with_it(world: World, browser: Browser) -> None:
    from studies.scripts.models import Approval

    Approval.objects.all().update(state="revoked", revoked_at=timezone.now())
    page = look(browser("pi"), world.run)
    assert "E_NOT_APPROVED" in page.text
    answer = browser("pi").post(reverse("web:run-start", args=[world.run.pk]), follow=True)
    assert "E_NOT_APPROVED" in assert_sound(answer.content.decode()).text
    assert Run.objects.get(pk=world.run.pk).state == "draft"


def test_only_who_may_start_and_stop_sees_the_buttons(run: Run, browser: Browser) -> None:
    assert "Stop this run?" in look(browser("pi"), run).text
    for who in ("auditor", "site_admin"):
        assert "Stop this run?" not in look(browser(who), run).text


def test_the_page_reads_its_rounds_once(run: Run, browser: Browser) -> None:
    for number in (1, 2):
        commit_round(run, number)
    with CaptureQueriesContext(connection) as queries:
        look(browser("pi"), run)
    read = [item["sql"] for item in queries.captured_queries if '"runs_participation"."round_id" IN' in item["sql"]]
    assert len(read) == 1
