"""The runs that used a site's data: everything for its own people, nothing for others."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import Event
from federation.runs.models import Participant, Participation, Run
from federation.runs.uses import uses_by_dataset, uses_of
from fedstudy_core.errors import FedStudyError
from studies.scripts.models import Approval
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work

RECEIPT = b"a signed account"


@pytest.fixture
def run(world: World) -> Run:
    run = set_to_work(world)
    Participant.objects.filter(run=run).update(approval=Approval.objects.get(site=world.site))
    for number in (1, 2):
        commit_round(run, number, bytes_sent=2048, bytes_received=1024, receipt=RECEIPT)
    asked = Participant.objects.get(run=run)
    Participation.objects.create(
        round=run.round_set.get(number=2), participant=asked, approval=asked.approval, phase="sums"
    )
    return run


def test_a_site_sees_by_dataset_what_left(world: World, run: Run) -> None:
    (found,) = uses_by_dataset(uses_of(world.site, by=world.site_admin))
    assert (found["name"], found["study"]) == (Approval.objects.get(site=world.site).dataset.name, world.study.title)
    assert (found["runs"], found["rounds"], found["exchanges"], found["left"]) == (1, 2, 5, 4096)


@pytest.mark.parametrize("who", ["pi", "auditor", "admin", "stranger"])
def test_nobody_else_sees_it(world: World, run: Run, who: str) -> None:
    with pytest.raises(FedStudyError):
        uses_of(world.site, by=getattr(world, who))


def test_the_page_shows_it_round_by_round(world: World, run: Run, browser: Browser) -> None:
    client, there = browser("site_admin"), reverse("web:site-uses", args=[world.site.pk])
    answer = client.get(there)
    page = assert_sound(answer.content.decode())
    assert "model update; metrics train-loss" in page.text
    assert [row.state for row in answer.context["rows"]].count("awaited") == 1
    dataset = answer.context["datasets"][0]["dataset"]
    assert len(client.get(there, {"dataset": dataset}).context["rows"]) == 5
    assert client.get(there, {"run": world.study.pk}).context["rows"] == []
    assert client.get(there, {"run": "x"}).status_code == 404
    assert there in client.get(reverse("web:site", args=[world.site.pk])).content.decode()


def test_it_is_taken_away_as_a_file_and_noted(world: World, run: Run, browser: Browser) -> None:
    answer = browser("site_admin").get(reverse("web:site-uses", args=[world.site.pk]), {"form": "csv"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [(row["round"], row["phase"], row["bytes_out"]) for row in rows] == [
        ("1", "train", "1024"),
        ("1", "evaluate", "1024"),
        ("2", "train", "1024"),
        ("2", "evaluate", "1024"),
        ("2", "sums", "0"),
    ]
    assert rows[0]["receipt_sha256"] == hashlib.sha256(RECEIPT).hexdigest()
    noted = Event.objects.get(action="runs:uses:exported")
    assert (noted.site, noted.detail) == (str(world.site.pk), '{"entries":"5"}')


def test_the_api_tells_the_same(world: World, run: Run) -> None:
    client = APIClient()
    client.force_authenticate(world.site_admin)
    there = reverse("api:site-uses", args=[world.site.pk])
    rows = client.get(there, {"run": str(run.pk)}).json()["results"]
    assert [row["phase"] for row in rows] == ["sums", "evaluate", "train", "evaluate", "train"]
    assert rows[-1]["metrics"] == ["train-loss"]
    assert client.get(there, {"run": "x"}).json()["code"] == "E_INVALID"


def test_many_metrics_stand_behind_their_number(world: World, run: Run, browser: Browser) -> None:
    Participation.objects.filter(phase="evaluate").update(metrics=dict.fromkeys("abcd", 0.5))
    page = assert_sound(browser("site_admin").get(reverse("web:site-uses", args=[world.site.pk])).content.decode())
    assert "4 metrics" in page.text
    assert "a, b, c, d" in page.text
    assert "metrics a, b, c, d" not in page.text
