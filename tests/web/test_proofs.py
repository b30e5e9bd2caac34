"""An event's page with its proof, a study's timeline in sentences, and the state of witnesses."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils.formats import date_format

from accounts.models import User
from audit.models import Event
from audit.proofs import latest_checkpoint
from tests.api.world import World
from tests.audit.logs import sequence
from tests.audit.witnesses import cosignature_of
from tests.web.conftest import Browser
from tests.web.markup import assert_sound

pytestmark = pytest.mark.django_db


def page_of(event: Event) -> str:
    return reverse("web:event", args=[event.event_id])


def test_an_event_is_shown_with_its_proof(world: World, browser: Browser) -> None:
    found = Event.objects.filter(study=str(world.study.pk), action="scripts:version:submitted").latest("pk")
    auditor = browser("auditor")
    assert "has not signed this event yet" in auditor.get(page_of(found)).content.decode()
    sequence()
    answer = auditor.get(page_of(found))
    assert_sound(answer.content.decode())
    shown = answer.context["proof"]
    told = json.loads(shown.data)
    assert (told["event"], json.loads(told["leaf"])["event"]) == (str(found.event_id), str(found.event_id))
    assert told["checkpoint"] == latest_checkpoint().note
    assert answer.context["sentence"].startswith("Pat Investigator submitted")
    assert not answer.context["is_witnessed"]


def test_a_witnessed_event_is_proven_by_what_was_cosigned(world: World, browser: Browser) -> None:
    sequence()
    body = cosignature_of(world.node.pk, latest_checkpoint())
    assert world.keys.send(world.node.pk, "POST", "log/cosignatures", body).status_code == 204
    found = Event.objects.filter(study=str(world.study.pk)).earliest("pk")
    told: Any = json.loads(browser("auditor").get(page_of(found)).context["proof"].data)
    assert told["checkpoint"] == latest_checkpoint().note + body["cosignature"]
    assert told["witnesses"] == [body["key"]]


def test_a_study_s_timeline_tells_in_sentences(world: World, browser: Browser) -> None:
    sequence()
    answer = browser("auditor").get(reverse("web:study-timeline", args=[world.study.pk]))
    text = answer.content.decode()
    assert_sound(text)
    told = [sentence for _, sentence in answer.context["told"]]
    assert len(told) == Event.objects.filter(study=str(world.study.pk)).count()
    assert any(sentence.startswith("Pat Investigator created the study") for sentence in told)
    assert all(sentence.endswith(".") and "{" not in sentence for sentence in told)
    assert all(page_of(event) in text for event, _ in answer.context["told"])


def test_a_timeline_s_days_are_those_of_the_reader_s_time_zone(world: World, browser: Browser) -> None:
    auditor, there = browser("auditor"), reverse("web:study-timeline", args=[world.study.pk])
    newest = auditor.get(there).context["told"][0][0].at
    elsewhere = ZoneInfo("Pacific/Kiritimati" if newest.hour >= 10 else "Pacific/Pago_Pago")
    User.objects.filter(pk=world.auditor.pk).update(time_zone=elsewhere.key)
    assert f"<h3>{date_format(newest.astimezone(elsewhere), 'j F Y')}</h3>" in auditor.get(there).content.decode()


def test_witnesses_are_shown_with_what_they_refused(world: World, browser: Browser) -> None:
    sequence()
    body = {"code": "E_LOG_FORK", "seen": "", "offered": latest_checkpoint().note}
    world.keys.send(world.node.pk, "POST", "log/refusals", body)
    text = browser("auditor").get(reverse("web:witnesses")).content.decode()
    assert_sound(text)
    assert world.node.name in text
    assert "E_LOG_FORK" in text
    assert world.node.name not in browser("stranger").get(reverse("web:witnesses")).content.decode()


def test_a_log_that_goes_on_from_another_says_so(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.proofs.succession", lambda: "where the old one ended")
    page = assert_sound(browser("auditor").get(reverse("web:witnesses")).content.decode())
    assert "This log goes on from another" in page.text
    assert "where the old one ended" in page.text
