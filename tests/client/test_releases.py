"""Model cards and releases by the client, against the portal itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from django.utils import timezone

from accounts.roles import Role
from accounts.services import grant_role
from federation.runs.models import Model
from federation.runs.storage import model_store
from fedstudy_client import FedStudyProblem
from tests.api.world import World, person
from tests.client.portals import Portal
from tests.web.rounds import commit_round, set_to_work

pytestmark = pytest.mark.django_db


def test_a_model_is_described_asked_for_and_taken(
    world: World, nobody_tried_yet: None, settings: Any, tmp_path: Any
) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path
    run = set_to_work(world)
    commit_round(run, 1)
    Model.objects.filter(run=run).update(sha256=model_store().put(b"parameters"))
    run.state, run.ended_at = "completed", timezone.now()
    run.save()
    steward = person("steward@demo.example", "Stella Steward")
    grant_role(user=steward, role=Role.STEWARD, obj=world.site, by=world.site_admin)
    with ExitStack() as stack:
        portal = Portal(stack)
        pi, site = portal.client(world.pi.email), portal.client(steward.email)
        assert pi.releases.write_card(run, caveats="Few women")["caveats"] == "Few women"
        card = pi.releases.card(run)
        assert (card["model_round"], card["results"][0]["rows"]) == (1, 8)
        assert "## Caveats\n\nFew women" in pi.releases.card_text(run)
        first = pi.releases.request(run, recipient="A registry", purpose="To compare")
        assert site.releases.refuse(first, str(world.site.pk), reason="Too few rows").state == "refused"
        second = pi.releases.request(run, recipient="A registry", purpose="To compare again", round=1)
        assert pi.releases.withdraw(second).state == "withdrawn"
        third = pi.releases.request(run, recipient="A registry", purpose="To compare at last")
        with pytest.raises(FedStudyProblem, match="E_FORBIDDEN"):
            pi.releases.cosign(third, str(world.site.pk))
        assert site.releases.cosign(third, str(world.site.pk)).state == "released"
        assert pi.releases.model(third) == b"parameters"
        assert [release.state for release in pi.releases.list(run)] == ["released", "withdrawn", "refused"]
        assert pi.releases.get(third).signatures[0]["signed_by"]["name"] == "Stella Steward"
