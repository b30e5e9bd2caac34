"""What people take away as files, and that the log notes it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory
from django.urls import reverse

from audit.models import Event
from audit.selectors import visible_to
from audit.services import record
from federation.runs.models import Run
from federation.runs.storage import model_store
from portal.downloads import LOOK_S, zip_stream
from portal.web.downloads import csv_file, json_lines_stream
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, declare_subgroups, set_to_work


@pytest.fixture
def run(world: World) -> Run:
    started = set_to_work(world)
    commit_round(started, 1)
    commit_round(started, 2)
    return started


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def noted(action: str) -> list[Event]:
    return list(Event.objects.filter(action=action).order_by("pk"))


def test_rounds_and_results_are_taken_away_and_noted(world: World, run: Run, browser: Browser) -> None:
    client = browser("auditor")

    def take(name: str) -> HttpResponse:
        return client.get(reverse("web:run-export", args=[run.pk, name]))  # type: ignore[return-value]

    rounds = rows_of(take("rounds.csv"))
    assert [(row["round"], row["site"], row["phase"]) for row in rounds] == [
        (number, world.site.name, phase) for number in "12" for phase in ("train", "evaluate")
    ]
    assert rounds[1]["metric:auc"] == "0.75"
    results = rows_of(take("results.csv"))
    assert [row["site"] for row in results] == [world.site.name, "All sites"]
    whole = json.loads(take("run.json").content)
    assert (whole["run"], whole["sites"], len(whole["rounds"])) == (str(run.pk), [world.site.name], 4)
    files = [json.loads(event.detail)["file"] for event in noted("runs:results:exported")]
    assert files == ["rounds.csv", "results.csv", "run.json"]
    assert take("passwords.csv").status_code == 404


def test_subgroups_are_on_the_page_and_the_card_and_taken_away(run: Run, browser: Browser) -> None:
    declare_subgroups(run)
    investigator = browser("pi")
    page = investigator.get(reverse("web:run", args=[run.pk])).content.decode()
    assert "Sex: Male" in assert_sound(page).text and "too few rows at every site" in page
    female, male = rows_of(investigator.get(reverse("web:run-export", args=[run.pk, "subgroups.csv"])))
    assert (female["name"], female["sites_withheld"], female["auc"]) == ("sex.female", "1", "")
    assert (male["rows"], male["auc"], male["specificity"]) == ("10-49", "0.775", "0.75")
    card = reverse("web:run-card", args=[run.pk])
    assert "Sex: Male" in investigator.get(card).content.decode()
    assert "| Sex: Female | 0 of 1 |" in investigator.get(card + "?form=md").content.decode()


def test_strangers_take_no_results(run: Run, browser: Browser) -> None:
    there = reverse("web:run-export", args=[run.pk, "results.csv"])
    assert browser("stranger").get(there).status_code == 404
    assert noted("runs:results:exported") == []


def test_the_model_is_for_those_who_may_have_it(run: Run, browser: Browser) -> None:
    sha256 = model_store().put(b"parameters")
    run.models.filter(round_number=2).update(sha256=sha256)
    there = reverse("web:run-model", args=[run.pk])
    answer = browser("pi").get(there)
    assert answer.content == b"parameters"
    assert len(noted("runs:model:downloaded")) == 1
    assert browser("auditor").get(there).status_code == 403
    page = reverse("web:run", args=[run.pk])
    assert there in assert_sound(browser("pi").get(page).content.decode()).targets
    assert there not in assert_sound(browser("auditor").get(page).content.decode()).targets


def test_the_sites_of_a_run_are_named_from_the_beginning(world: World, browser: Browser) -> None:
    text = assert_sound(browser("pi").get(reverse("web:run", args=[world.run.pk])).content.decode()).text
    assert "Sites in this run" in text
    assert world.site.name in text


@pytest.mark.parametrize(("name", "where"), [("web:events", []), ("web:study-events", ["study"])])
def test_the_log_is_taken_away_whole_and_noted(name: str, where: list[str], world: World, browser: Browser) -> None:
    there = reverse(name, args=[getattr(world, item).pk for item in where])
    expected = Event.objects.filter(study=str(world.study.pk), action__startswith="dictionary:").count()
    answer = browser("auditor").get(there, {"form": "csv", "kind": "dictionary"})
    taken = rows_of(answer)
    assert len(taken) == expected
    lines = browser("auditor").get(there, {"form": "jsonl", "kind": "dictionary"}).getvalue().decode().splitlines()
    assert [json.loads(line)["action"].partition(":")[0] for line in lines] == ["dictionary"] * expected
    assert [json.loads(event.detail)["entries"] for event in noted("audit:log:exported")] == [str(expected)] * 2
    marks = {taken[0]["taken"], json.loads(lines[0])["taken"]}
    assert marks == {str(event.event_id) for event in noted("audit:log:exported")}
    assert browser("auditor").get(there, {"form": "xml"}).status_code == 404
    seen = browser("auditor").get(there, {"kind": "audit:log:exported"}).context["rows"]
    assert len(seen) == 2
    assert [*visible_to(world.site_admin).filter(action="audit:log:exported")] == []


async def test_a_long_file_is_sent_while_it_is_made() -> None:
    """Under ASGI, piece by piece: the whole is never held."""
    made: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(5_000):
            made.append(number)
            yield {"number": number, "text": "x" * 100}

    answer = json_lines_stream(AsyncRequestFactory().get("/"), "x.jsonl", rows())
    assert isinstance(answer, StreamingHttpResponse)
    assert answer.is_async
    pieces = aiter(answer)
    first = await anext(pieces)
    assert len(made) < 1_000
    whole = first + b"".join([piece async for piece in pieces])
    assert [json.loads(line)["number"] for line in whole.splitlines()] == made == list(range(5_000))


async def test_no_thread_is_held_while_there_is_nothing_to_send_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    async def pause(seconds: float) -> None:
        looked.append(seconds)

    monkeypatch.setattr("portal.downloads.asyncio.sleep", pause)
    files = [("first.txt", iter([b"first", b"", b""])), ("second.txt", iter([b"second"]))]
    answer = zip_stream(AsyncRequestFactory().get("/"), "x.zip", files)
    assert isinstance(answer, StreamingHttpResponse)
    pieces = [piece async for piece in answer]
    assert looked == [LOOK_S, LOOK_S]
    assert b"first.txt" in pieces[0], "what there is has been sent before the first pause"
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"first", b"second"]


def test_a_text_is_no_formula() -> None:
    answer = csv_file("x.csv", [{"site": "=1+1", "value": -1.5, "more": None}])
    assert answer.content.decode().splitlines()[1] == "'=1+1,-1.5,"


def test_a_hospital_reads_the_runs_on_its_data_and_no_other_site_s_part(world: World, browser: Browser) -> None:
    with transaction.atomic():
        for site in ("", str(world.site.pk), "00000000-0000-4000-8000-000000000000"):
            record(action="runs:site:failed", actor="system:runs", obj=world.run, study=world.study.pk, site=site)
    for there in (reverse("web:events"), reverse("web:study-events", args=[world.study.pk])):
        rows = browser("site_admin").get(there, {"kind": "runs"}).context["rows"]
        assert [row.action for row in rows] == ["runs:site:failed", "runs:site:failed", "runs:run:created"]
    told = world.client("site_admin").get("/api/v1/audit/events").json()["results"]
    assert "runs:run:created" in [event["action"] for event in told]
    assert "lifecycle:study:created" not in [event["action"] for event in told]
    tabs = assert_sound(browser("site_admin").get(reverse("web:study", args=[world.study.pk])).content.decode())
    assert reverse("web:study-events", args=[world.study.pk]) in tabs.targets


def test_the_page_says_how_the_figures_of_all_sites_came_about(run: Run, browser: Browser) -> None:
    answer = browser("pi").get(reverse("web:run", args=[run.pk]))
    text = " ".join(assert_sound(answer.content.decode()).text.split())
    assert "AUC, mean of sites by rows" in text
    assert "AUC, Accuracy: mean of the sites, weighted by the rows that each tested." in text
    assert "AUC, one ranking over all rows: the test rows of all sites ranked together" in text
