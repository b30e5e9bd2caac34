"""The pages of model cards and releases, from the card's words to the model that leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from federation.releases.models import Release
from federation.runs.models import Model, Run
from federation.runs.storage import model_store
from notifications.models import Notification
from notifications.services import email
from tests.api.world import World, person
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound
from tests.web.rounds import commit_round, set_to_work

ASKED = {"round_number": "1", "recipient": "A registry", "purpose": "To predict elsewhere"}


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


@pytest.fixture
def run(world: World, settings: Any, tmp_path: Any) -> Run:
    """A run that has ended after a round."""
    settings.FEDSTUDY_DATA_DIR = tmp_path
    run = set_to_work(world)
    commit_round(run, 1)
    Model.objects.filter(run=run).update(sha256=model_store().put(b"parameters"))
    run.state, run.ended_at = "completed", timezone.now()
    run.save()
    return run


@pytest.fixture
def steward(world: World) -> User:
    made = person("steward@demo.example", "Stella Steward")
    grant_role(user=made, role=Role.STEWARD, obj=world.site, by=world.site_admin)
    return made


def place(name: str, run: Run, *rest: str) -> str:
    return reverse(f"web:{name}", args=[run.pk, *rest])


def test_a_card_is_shown_written_on_and_taken_away(world: World, run: Run, browser: Browser) -> None:
    pi, there = browser("pi"), place("run-card", run)
    page = sound(pi.get(there))
    assert "1 site took part" in page.text
    assert "Not written." in page.text
    page = sound(pi.post(place("run-card-words", run), {"intended_use": "For wards", "caveats": "A | B"}, follow=True))
    assert "For wards" in page.text
    page = sound(browser("auditor").get(there))
    assert place("run-card-words", run) not in page.targets
    assert json.loads(browser("auditor").get(there, {"form": "json"}).content)["intended_use"] == "For wards"
    assert r"A \| B" in browser("auditor").get(there, {"form": "md"}).content.decode()
    assert Event.objects.filter(action="runs:results:exported").count() == 2
    assert there in sound(pi.get(place("run", run))).targets


def test_a_model_leaves_by_a_data_steward_s_consent(
    world: World, run: Run, steward: User, browser: Browser, client: Any
) -> None:
    answer = browser("pi").post(place("run-release", run), ASKED)
    release = Release.objects.get()
    there = reverse("web:release", args=[release.pk])
    assert answer.headers["Location"] == there
    told = Notification.objects.get(person=steward, kind="release")
    assert (told.link, told.by_email) == (there, True)
    assert email(notification_id=str(told.pk))
    assert (mail.outbox[-1].to, there in mail.outbox[-1].body) == ([steward.email], True)
    assert "The answer of" not in sound(browser("site_admin").get(there)).text
    client.force_login(steward, backend="django.contrib.auth.backends.ModelBackend")
    dashboard, study = reverse("web:studies"), reverse("web:study", args=[world.study.pk])
    for page, user in ((dashboard, client), (study, client), (study, browser("pi"))):
        assert there in sound(user.get(page)).targets
    assert [wait.party for wait in client.get(dashboard).context["yours"] if wait.href == there] == [world.site.name]
    assert [wait.is_yours for wait in browser("pi").get(study).context["waits"] if wait.href == there] == [False]
    assert f"The answer of {world.site.name}" in sound(client.get(there)).text
    signed = client.post(
        reverse("web:release-answer", args=[release.pk, "cosign"]), {"site": world.site.pk}, follow=True
    )
    assert "consents to the release" in sound(signed).text
    assert there not in sound(client.get(dashboard)).targets
    assert "Stella Steward" in sound(browser("pi").get(there)).text
    taken = browser("pi").get(reverse("web:release-model", args=[release.pk]))
    assert taken.content == b"parameters"
    assert Notification.objects.filter(person=world.pi, kind="release").exists()
    assert "E_EXISTS" in sound(browser("pi").post(place("run-release", run), ASKED), 400).text


def test_a_refusal_needs_its_reason(world: World, run: Run, steward: User, browser: Browser, client: Any) -> None:
    browser("pi").post(place("run-release", run), ASKED)
    release = Release.objects.get()
    client.force_login(steward, backend="django.contrib.auth.backends.ModelBackend")
    refuse = reverse("web:release-answer", args=[release.pk, "refuse"])
    client.post(refuse, {"site": world.site.pk, "reason": ""})
    release.refresh_from_db()
    assert release.state == "requested"
    page = sound(client.post(refuse, {"site": world.site.pk, "reason": "Too few rows"}, follow=True))
    assert "Stella Steward for" in page.text
    assert "Too few rows" in page.text
    assert client.post(refuse, {"site": world.run.pk, "reason": "x"}).status_code == 404
    assert (
        client.post(reverse("web:release-answer", args=[release.pk, "shrug"]), {"site": world.site.pk}).status_code
        == 404
    )


def test_an_ongoing_run_is_not_released(world: World, browser: Browser) -> None:
    run = set_to_work(world)
    commit_round(run, 1)
    assert "Ask for a release" not in sound(browser("pi").get(place("run-card", run))).text
    assert "E_STATE" in sound(browser("pi").post(place("run-release", run), ASKED), 400).text
