"""Runs side by side, as the domain, the API, the page and files tell them."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import Event
from federation.runs.comparing import AREA, compare_runs
from federation.runs.models import Participant, Run
from federation.runs.results import note_exports
from fedstudy_core.errors import Invalid, NotFound
from portal.web.views import comparisons
from studies.lifecycle.services import create_study
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work


def noted() -> list[str]:
    """The runs at which the log notes a file, in the order of it."""
    return list(Event.objects.filter(action="runs:results:exported").values_list("object_id", flat=True))


@pytest.fixture
def runs(world: World) -> list[Run]:
    """Two runs of the study: three rounds of one, and one round of another with another plan."""
    first = set_to_work(world)
    Run.objects.filter(pk=first.pk).update(metric="auc", better="higher")
    second = Run.objects.create(
        study=first.study, version=first.version, label="Second", strategy="fedprox", strategy_parameters={"mu": 0.1},
        config=first.config, rounds=9, quorum=first.quorum, deadline_s=first.deadline_s, wait_s=first.wait_s,
        metric="auc", better="higher", created_by=world.pi,
    )  # fmt: skip
    asked = Participant.objects.get(run=first)
    Participant.objects.create(run=second, enrolment=asked.enrolment, node=asked.node, position=0)
    for number in (1, 2, 3):
        round_ = commit_round(first, number)
        round_.metrics["evaluate"]["auc"] = 0.8 if number == 2 else 0.7
        round_.save()
    commit_round(second, 1)
    return [first, second]


def test_settings_results_sites_and_efforts_stand_side_by_side(world: World, runs: list[Run]) -> None:
    found = compare_runs(study=world.study, ids=[run.pk for run in runs], by=world.pi)
    assert {row.name: row.values for row in found.settings} == {
        "strategy": (runs[0].strategy, "fedprox"),
        "rounds": (runs[0].rounds, 9),
        "strategy_parameters.mu": (None, 0.1),
    }
    auc = next(metric for metric in found.metrics if metric.name == "auc")
    assert (auc.last, auc.best, auc.best_round) == ((0.7, 0.75), (0.8, 0.75), (2, 1))
    assert auc.curves[0] == {1: 0.7, 2: 0.8, 3: 0.7}
    area = {row.site: row.scores for row in found.sites if row.name == AREA}
    assert set(area) == {"", world.site.name}
    score = area[world.site.name][1]
    assert score is not None
    assert score.low is not None
    assert score.low < score.value
    assert [(item.rounds, item.bytes_sent, item.median_round_ms) for item in found.efforts] == [
        (3, 6144, 900),
        (1, 2048, 900),
    ]


def test_a_comparison_takes_two_to_six_runs_of_its_study(world: World, runs: list[Run]) -> None:
    with pytest.raises(Invalid):
        compare_runs(study=world.study, ids=[runs[0].pk] * 3, by=world.pi)
    with pytest.raises(Invalid):
        compare_runs(study=world.study, ids=[uuid.uuid4() for _ in range(7)], by=world.pi)
    with pytest.raises(NotFound):
        compare_runs(study=world.study, ids=[runs[0].pk, uuid.uuid4()], by=world.pi)


def test_rounds_cost_no_queries(world: World, runs: list[Run]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            compare_runs(study=world.study, ids=[run.pk for run in runs], by=world.pi)
        return len(asked)

    few = queries()
    for number in range(4, 9):
        commit_round(runs[0], number)
    assert queries() == few


def test_the_api_tells_the_same(world: World, runs: list[Run]) -> None:
    client = APIClient()
    client.force_authenticate(world.auditor)
    there = reverse("api:study-comparison", args=[world.study.pk])
    answer = client.get(there, {"runs": ",".join(str(run.pk) for run in runs)}).json()
    assert [run["label"] for run in answer["runs"]] == [run.label for run in runs]
    auc = next(metric for metric in answer["metrics"] if metric["name"] == "auc")
    assert auc["curves"][0] == {"rounds": [1, 2, 3], "values": [0.7, 0.8, 0.7]}
    assert client.get(there, {"runs": str(runs[0].pk)}).json()["code"] == "E_INVALID"


def test_the_page_offers_runs_and_compares_what_is_chosen(world: World, runs: list[Run], browser: Browser) -> None:
    client, there = browser("auditor"), reverse("web:run-compare", args=[world.study.pk])
    offered = assert_sound(client.get(there).content.decode())
    assert "Choose runs" in offered.text
    answer = client.get(there, {"run": [str(run.pk) for run in runs]})
    page = assert_sound(answer.content.decode())
    assert "Settings that differ" in page.text
    assert [cell.is_best for cell in answer.context["comparison"].metrics[0].cells] == [True, False]
    assert "A comparison takes" in client.get(there, {"run": str(runs[0].pk)}).content.decode()
    assert client.get(there, {"run": "x"}).status_code == 404


def test_files_of_it_are_noted_at_every_run(world: World, runs: list[Run], browser: Browser) -> None:
    client, there = browser("auditor"), reverse("web:run-compare", args=[world.study.pk])

    def take(form: str) -> Any:
        return client.get(there, {"run": [str(run.pk) for run in runs], "form": form})

    rows = list(csv.DictReader(io.StringIO(take("csv").content.decode())))
    best = [row for row in rows if (row["kind"], row["name"]) == ("best", "auc")]
    assert [(row["label"], row["value"], row["round"]) for row in best] == [
        (runs[0].label, "0.8", "2"),
        ("Second", "0.75", "1"),
    ]
    assert [run["label"] for run in json.loads(take("json").content)["runs"]] == [run.label for run in runs]
    assert sorted(noted()) == sorted(str(run.pk) for run in runs for _ in range(2))


def test_a_file_is_noted_once_it_is_made_and_at_all_runs_or_none(
    world: World, runs: list[Run], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(comparisons, "comparison_record", breaks)
    client, there = browser("auditor"), reverse("web:run-compare", args=[world.study.pk])
    with pytest.raises(ZeroDivisionError):
        client.get(there, {"run": [str(run.pk) for run in runs], "form": "json"})
    runs[1].study = create_study(title="Sepsis", by=world.stranger)
    with pytest.raises(NotFound):
        note_exports(runs=runs, file="comparison.csv", by=world.auditor)
    assert noted() == []
