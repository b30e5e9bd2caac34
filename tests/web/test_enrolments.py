"""The page of a site's part in a study."""

from __future__ import annotations

from django.urls import reverse

from studies.enrolment.models import Enrolment
from studies.enrolment.services import decline_invitation, invite_site, withdraw_site
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def text_of(world: World, browser: Browser, enrolment: Enrolment) -> str:
    answer = browser("pi").get(reverse("web:enrolment", args=[enrolment.pk]))
    return " ".join(assert_sound(answer.content.decode()).text.split())


def test_a_withdrawn_part_tells_its_end_and_asks_for_nothing(world: World, browser: Browser) -> None:
    withdraw_site(enrolment=world.enrolment, reason="No more staff", by=world.site_admin)
    text = text_of(world, browser, world.enrolment)
    assert "The site no longer takes part" in text
    assert f"by {world.site_admin.name}. Reason: No more staff" in text
    assert "answers the invitation" not in text


def test_a_declined_part_tells_its_end(world: World, browser: Browser) -> None:
    withdraw_site(enrolment=world.enrolment, by=world.site_admin)
    again = invite_site(study=world.study, site=world.site, by=world.pi)
    decline_invitation(enrolment=again, by=world.site_admin)
    text = text_of(world, browser, again)
    assert "The site does not take part" in text
    assert "No reason was given" in text
