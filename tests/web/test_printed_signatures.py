"""Wherever a signature is shown, it says who made it, when, and what it means (21 CFR 11.50)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from federation.releases.models import Release
from federation.releases.services import cosign_release, refuse_release, request_release
from federation.runs.models import Model, Participant, Run
from federation.runs.storage import model_store
from fedstudy_core.times import format_time
from portal.web.presenters.signatures import MEANINGS
from tests.api.world import World, person
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work

STEWARD = "Stella Steward"


@dataclass
class Signed:
    """A world with a signed approval under a run's model, a granted release of it and a refused one."""

    world: World
    run: Run
    release: Release
    refused: Release
    reader: Client

    def page(self, name: str, *of: Any) -> str:
        """What a page shows as text."""
        return assert_sound(self.reader.get(reverse(f"web:{name}", args=of)).content.decode()).text

    def file(self, name: str, *of: Any, **asked: str) -> str:
        """What somebody takes away."""
        answer: Any = self.reader.get(reverse(f"web:{name}", args=of), asked)
        return str(answer.getvalue().decode())

    def api(self, path: str) -> str:
        return str(self.world.client("pi").get(f"/api/v1/{path}").content.decode())

    def event(self, action: str) -> UUID:
        return Event.objects.filter(action=action).latest("pk").event_id


@pytest.fixture
def signed(world: World, browser: Browser, settings: Any, tmp_path: Any) -> Signed:
    settings.FEDSTUDY_DATA_DIR = tmp_path
    run = set_to_work(world)
    commit_round(run, 1)
    Model.objects.filter(run=run).update(sha256=model_store().put(b"parameters"))
    Participant.objects.filter(run=run).update(approval=world.approval)
    run.state, run.ended_at = "completed", timezone.now()
    run.save()
    steward = person("steward@demo.example", STEWARD)
    grant_role(user=steward, role=Role.STEWARD, obj=world.site, by=world.site_admin)
    asked = {"run": run, "purpose": "To predict elsewhere", "by": world.pi}
    refused = request_release(recipient="A company", **asked)
    refused = refuse_release(release=refused, site=world.site, reason="Not agreed", by=steward)
    release = cosign_release(release=request_release(recipient="A registry", **asked), site=world.site, by=steward)
    return Signed(world, run, Release.objects.get(pk=release.pk), refused, browser("pi"))


View = Callable[[Signed], str]
APPROVALS: dict[str, View] = {
    "the version's page": lambda at: at.page("version", at.world.version.pk),
    "the run's page": lambda at: at.page("run", at.run.pk),
    "the model card": lambda at: at.page("run-card", at.run.pk),
    "the release, with its card": lambda at: at.page("release", at.release.pk),
    "the card as Markdown": lambda at: at.file("run-card", at.run.pk, form="md"),
    "the card as JSON": lambda at: at.file("run-card", at.run.pk, form="json"),
    "the card by the API": lambda at: at.api(f"runs/{at.run.pk}/card"),
    "the run as a file": lambda at: at.file("run-export", at.run.pk, "run.json"),
    "the approvals by the API": lambda at: at.api(f"script-versions/{at.world.version.pk}/approvals"),
    "the news": lambda at: at.page("notifications"),
    "the log's entry": lambda at: at.page("event", at.event("scripts:approval:recorded")),
    "the log as CSV": lambda at: at.file("study-events", at.world.study.pk, form="csv"),
    "the log as JSON lines": lambda at: at.file("study-events", at.world.study.pk, form="jsonl"),
}
RELEASES: dict[str, View] = {
    "the release": lambda at: at.page("release", at.release.pk),
    "the model card": lambda at: at.page("run-card", at.run.pk),
    "the releases by the API": lambda at: at.api(f"runs/{at.run.pk}/releases"),
}


def times(moment: datetime) -> tuple[str, ...]:
    """How a moment is written: on pages, by programs, and in news."""
    pages = date_format(moment, "j M Y, H:i")
    return pages, format_time(moment), moment.isoformat().replace("+00:00", "Z"), f"{moment:%d %B %Y at %H:%M}"


@pytest.mark.parametrize("view", APPROVALS)
def test_an_approval_is_shown_with_name_time_and_meaning(view: str, signed: Signed) -> None:
    text = APPROVALS[view](signed)
    assert signed.world.signer["name"] in text
    assert any(written in text for written in times(signed.world.approval.signed_at)), text
    assert "approved" in text


@pytest.mark.parametrize("view", RELEASES)
def test_a_consent_is_shown_with_name_time_and_meaning(view: str, signed: Signed) -> None:
    text = RELEASES[view](signed)
    signature = signed.release.signatures.get()
    assert STEWARD in text
    assert any(written in text for written in times(signature.signed_at)), text
    assert "consented" in text


def test_a_refusal_is_shown_with_name_time_and_meaning(signed: Signed) -> None:
    assert signed.refused.decided_at is not None
    text = signed.page("release", signed.refused.pk)
    assert STEWARD in text
    assert date_format(signed.refused.decided_at, "j M Y, H:i") in text
    assert MEANINGS["refused"] in text
