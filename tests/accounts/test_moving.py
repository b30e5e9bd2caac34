"""People who move to another site: nothing of the old one is left to them, and nothing of the new one is given."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import ApiToken, Session, Site, User
from accounts.moving import move_person
from accounts.permissions import Permission, can
from accounts.roles import Role
from accounts.scopes import TokenScope
from accounts.services import create_site, grant_role
from accounts.tokens import make_token
from audit.models import Event
from fedstudy_core.errors import Forbidden, Invalid, NotFound
from nodes.registry.models import Node
from notifications.models import Notification
from portal.waiting import waiting_for
from studies.enrolment.services import invite_site, withdraw_site
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(world: World) -> Site:
    """Another site, with an admin of its own."""
    site = create_site(name="Elsewhere", short_name="elsewhere", by=world.admin)
    grant_role(user=world.stranger, role=Role.ADMIN, obj=site, by=world.admin)
    return site


def test_rights_end_at_once_and_the_new_site_is_told(world: World, elsewhere: Site) -> None:
    gone = world.site_admin
    assert can(gone, Permission.SCRIPT_APPROVE, world.site)
    assert move_person(user=gone, origin=world.site, to=elsewhere, by=world.admin) == [Role.ADMIN]
    assert not can(gone, Permission.SITE_VIEW, world.site)
    assert not can(gone, Permission.STUDY_VIEW, world.study)
    assert not can(gone, Permission.SITE_VIEW, elsewhere)
    told = Notification.objects.get(person=world.stranger, kind="arrival")
    assert gone.name in told.subject
    assert told.link.endswith(f"people?{urlencode({'email': gone.email})}")
    assert Notification.objects.filter(person=gone, kind="moved").exists()
    actions = list(Event.objects.order_by("-pk").values_list("action", "site")[:3])
    assert actions == [
        ("accounts:user:expected", str(elsewhere.pk)),
        ("accounts:user:moved", ""),
        ("accounts:role:revoked", str(world.site.pk)),
    ]


def test_sessions_end_and_tokens_with_the_last_role(world: World, elsewhere: Site) -> None:
    steward = world.auditor  # who keeps the role in the study
    for person in (steward, world.site_admin):
        browser = Client()
        browser.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        make_token(name="Notebook", scopes=[TokenScope.READ], days=1, by=person)
    other = create_site(name="Third", short_name="third", by=world.admin)
    grant_role(user=steward, role=Role.ADMIN, obj=other, by=world.admin)
    move_person(user=steward, origin=other, to=elsewhere, by=world.admin)
    move_person(user=world.site_admin, origin=world.site, to=elsewhere, by=world.admin)
    assert not Session.objects.filter(user__in=[steward, world.site_admin]).exists()
    assert list(ApiToken.objects.values_list("user", flat=True)) == [steward.pk]


@pytest.mark.parametrize("who", ["pi", "site_admin", "stranger"])
def test_only_administrators_move_people(who: str, world: World, elsewhere: Site) -> None:
    with pytest.raises(Forbidden):
        move_person(user=world.site_admin, origin=world.site, to=elsewhere, by=getattr(world, who))
    assert can(world.site_admin, Permission.SITE_VIEW, world.site)


def test_who_is_not_there_cannot_leave(world: World, elsewhere: Site) -> None:
    with pytest.raises(NotFound):
        move_person(user=world.pi, origin=world.site, to=elsewhere, by=world.admin)
    with pytest.raises(Invalid):
        move_person(user=world.site_admin, origin=world.site, to=world.site, by=world.admin)


def test_what_waits_is_known_before(world: World) -> None:
    Node.objects.filter(pk=world.node.pk).update(approvers=[])
    (waits,) = waiting_for(world.site_admin)
    assert (waits.held.name, waits.leads_alone, waits.signatures, waits.keys) == (world.site.name, True, 0, ())
    world.approval.delete()
    Node.objects.filter(pk=world.node.pk).update(approvers=[{"name": world.site_admin.name.upper()}])
    (waits,) = waiting_for(world.site_admin)
    assert (waits.signatures, waits.keys) == (1, (world.node.name,))
    withdraw_site(enrolment=world.enrolment, by=world.site_admin)
    invite_site(study=world.study, site=world.site, by=world.pi)
    (waits,) = waiting_for(world.site_admin)
    assert (waits.invitations, waits.signatures) == (1, 0)


def test_somebody_else_in_the_role_is_counted_while_they_can_sign_in(world: World) -> None:
    grant_role(user=world.stranger, role=Role.ADMIN, obj=world.site, by=world.site_admin)
    (waits,) = waiting_for(world.site_admin)
    assert (waits.others, waits.leads_alone) == (1, False)
    User.objects.filter(pk=world.stranger.pk).update(is_active=False)
    (waits,) = waiting_for(world.site_admin)
    assert (waits.others, waits.leads_alone) == (0, True)
