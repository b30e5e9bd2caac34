"""What a hostile or broken site sends must neither end a run for the others nor keep it going for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import DataError
from flwr.app import MetricRecord, RecordDict

from audit.models import Event
from federation.runs import engine
from federation.runs.flower import Reply
from federation.runs.models import Participation
from fedstudy_core import flower as records
from tests.runs.scene import drive, settle
from tests.runs.simulation import Site, arrays, honest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("detail", ["nul \x00", "bidi \u202e", "decomposed e\u0301", "line\r\nbreak"])
def test_words_that_do_not_fit_the_log_are_made_plain(rehearse, detail: str) -> None:
    scene, link = rehearse(rounds=1, quorum=2)

    def grumble(site: Site, order: Any, _: RecordDict) -> Reply:
        receipt = site.receipt(order, outcome="refused", code="E_BUNDLE")
        return Reply("", None, records.error_reason("E_BUNDLE", detail, receipt), True, 10)

    link.sites["102"].behave = grumble
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert settle(run, "train", 1)["Site 2"] == ("refused", "E_BUNDLE")
    kept = Participation.objects.filter(round__run=run, state="refused").first()
    assert kept is not None
    assert kept.detail.isprintable() or "\n" in kept.detail
    assert Event.objects.filter(action="runs:site:refused").count() == 3


@pytest.mark.parametrize("code", ["E_" + "X" * 60, "nonsense"])
def test_a_code_that_nobody_knows_is_not_kept(rehearse, code: str) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    link.sites["102"].behave = lambda site, order, _: site.refuse(order, code)
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert settle(run, "train", 1)["Site 2"] == ("refused", "E_REPLY")


def test_metrics_beyond_all_numbers_are_left_out(rehearse) -> None:
    scene, link = rehearse(rounds=1)
    scene.run.version.declaration["metrics"]["loss"] = "sum"
    scene.run.version.save()

    def boast(site: Site, order: Any, content: RecordDict) -> Reply:
        answer = honest(site, order, content)
        if order.phase == "evaluate":
            answer = RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": 1.7e308, "fine": 0.5})})
        return Reply("", site.done(order, answer), "", True, 100)

    for site in link.sites.values():
        site.behave = boast
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert run.round_set.get(number=1).metrics["evaluate"] == {"num-examples": 3, "fine": 0.5}


@pytest.mark.parametrize(("phase", "code"), [("query", "E_SUMS"), ("train", "E_STRATEGY")])
def test_parameters_beyond_all_numbers_end_the_run_and_are_never_sent(
    rehearse, monkeypatch, phase: str, code: str
) -> None:
    scene, link = rehearse(rounds=1)
    largest = np.finfo(np.float64).max

    def boast(site: Site, order: Any, content: RecordDict) -> Reply:
        answer = honest(site, order, content)
        if order.message_type == "query.moments" and phase == "query":
            answer = RecordDict({"sums": _doubles([largest])})
        return Reply("", site.done(order, answer), "", True, 100)

    if phase == "train":
        broken = arrays(weight=[np.inf, 0.0])
        monkeypatch.setattr("flwr.serverapp.strategy.FedAvg.aggregate_train", lambda *_: (broken, None))
    for site in link.sites.values():
        site.behave = boast
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", code)


def _doubles(values: list[float]) -> Any:
    from flwr.app import ArrayRecord

    return ArrayRecord({"rows": records.array(np.asarray(values, dtype=np.float64))})


def test_rows_that_the_database_refuses_end_the_run(rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = rehearse(rounds=1)

    def refuse(*_: object) -> None:
        raise DataError("value too long")

    monkeypatch.setattr(engine.Aggregator, "combine", refuse)
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_ENGINE")
