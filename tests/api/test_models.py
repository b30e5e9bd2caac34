"""Fetching a model as the portal serves it: with no transaction around the request."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from audit.models import Event
from federation.runs.models import Model
from federation.runs.storage import model_store
from tests.api import world as worlds
from tests.api.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trained(settings: Settings, tmp_path: Path) -> World:
    """A run whose first two models are there; the second one's file is gone."""
    settings.FEDSTUDY_DATA_DIR = tmp_path
    world = worlds.build()
    for number in (1, 2):
        sha256 = model_store().put(f"round {number}".encode())
        Model.objects.create(run=world.run, round_number=number, sha256=sha256, size=7, schema={})
    model_store().delete(sha256)
    return world


def downloads() -> list[int]:
    rows = Event.objects.filter(action="runs:model:downloaded").values_list("detail", flat=True)
    return ['"round":1' in row for row in rows]


def test_a_model_is_fetched_and_the_log_says_so(trained: World) -> None:
    answer = trained.client("pi").get(f"/api/v1/runs/{trained.run.pk}/model", {"round": 1})
    assert (answer.status_code, answer.content) == (200, b"round 1")
    assert downloads() == [True]


def test_a_model_that_is_not_there_was_not_fetched(trained: World) -> None:
    answer = trained.client("pi").get(f"/api/v1/runs/{trained.run.pk}/model")
    assert answer.json()["code"] == "E_ARTIFACT_MISSING"
    assert downloads() == []


def test_who_may_not_fetch_leaves_no_trace(trained: World) -> None:
    for who, code in (("auditor", "E_FORBIDDEN"), ("stranger", "E_NOT_FOUND")):
        answer = trained.client(who).get(f"/api/v1/runs/{trained.run.pk}/model", {"round": 1})
        assert answer.json()["code"] == code
    assert downloads() == []
