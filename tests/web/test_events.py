"""The log page: whole pages by key, filters, details, and nobody else's events."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from audit.services import record
from portal.web.presenters.events import SENTENCES, href_of, sentence_of
from studies.scripts.services import revoke_approval
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def tell(world: World, by: User, times: int, **changes: object) -> None:
    with transaction.atomic():
        for _ in range(times):
            record(action="runs:run:stopped", actor=by, obj=world.run, study=world.study.pk, **changes)  # type: ignore[arg-type]


def test_pages_follow_each_other_without_gap_or_repetition(world: World, browser: Browser) -> None:
    tell(world, world.pi, 120)
    client, there = browser("auditor"), reverse("web:study-events", args=[world.study.pk])
    seen: list[int] = []
    before = ""
    for _ in range(10):
        context = client.get(there, {"before": before} if before else {}).context
        seen += [row.number for row in context["rows"]]
        tell(world, world.pi, 1)  # new entries meanwhile do not shift the pages
        if context["next_before"] is None:
            break
        before = str(context["next_before"])
    expected = Event.objects.filter(study=str(world.study.pk), pk__lte=seen[0]).order_by("-pk")
    assert seen == list(expected.values_list("pk", flat=True))


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "1 OR 1=1", "²"])
def test_a_key_that_is_none_is_no_fault(before: str, world: World, browser: Browser) -> None:
    assert browser("auditor").get(reverse("web:events"), {"before": before}).status_code == 200


def test_filters_narrow_the_log(world: World, browser: Browser) -> None:
    tell(world, world.pi, 2, outcome="refused")
    client, there = browser("auditor"), reverse("web:events")
    rows = client.get(there, {"outcome": "refused"}).context["rows"]
    assert [row.outcome for row in rows] == ["refused"] * 2
    rows = client.get(there, {"area": "dictionary", "study": str(world.study.pk)}).context["rows"]
    assert rows
    assert {row.action.partition(":")[0] for row in rows} == {"dictionary"}
    page = assert_sound(client.get(there, {"area": "registry", "outcome": "failed"}).content.decode())
    assert "No entry fits these filters." in page.text


def test_an_entry_leads_to_its_object_and_shows_its_details(world: World, browser: Browser) -> None:
    tell(world, world.pi, 1, detail={"reason": "<script>alert(1)</script>"})
    answer = browser("auditor").get(reverse("web:study-events", args=[world.study.pk]))
    page = assert_sound(answer.content.decode())
    assert reverse("web:run", args=[world.run.pk]) in page.targets
    assert "Run stopped" in page.text
    assert "<script>alert(1)</script>" in page.text


def test_nobody_reads_events_of_foreign_studies(world: World, browser: Browser) -> None:
    tell(world, world.pi, 3)
    assert browser("stranger").get(reverse("web:events")).context["rows"] == []
    assert {row.object for row in browser("stranger").get(reverse("web:events")).context["rows"]} == set()


def test_every_action_has_a_sentence_even_one_that_is_new() -> None:
    assert sentence_of("runs:run:completed") == "Run completed"
    assert sentence_of("pool:node:woke_up") == "Node woke up"
    assert all(text[0].isupper() for text in SENTENCES.values())
    assert href_of("setuptoken", "1") == ""
    assert href_of("run", "an id of old times") == ""


def test_refused_starts_and_sign_ins_are_in_the_log(world: World, browser: Browser) -> None:
    revoke_approval(approval=world.approval, by=world.site_admin)
    browser("pi").post(reverse("web:run-start", args=[world.run.pk]))
    rows = browser("auditor").get(reverse("web:events"), {"outcome": "refused"}).context["rows"]
    assert [(row.action, dict(row.detail)["code"]) for row in rows] == [("runs:run:hindered", "E_NOT_APPROVED")]
    for email in (world.pi.email, "nobody@demo.example"):
        Client().post(reverse("web:sign-in"), {"username": email, "password": "wrong"})
    rows = browser("admin").get(reverse("web:events"), {"outcome": "refused"}).context["rows"]
    assert [row.action for row in rows] == ["accounts:session:refused"] * 2
    assert "nobody@demo.example" not in str(rows)
