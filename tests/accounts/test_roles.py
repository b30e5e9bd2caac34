"""Granting and revoking roles, and the separation of duties."""

from __future__ import annotations

import pytest

from accounts.models import Site, User
from accounts.permissions import Permission, can
from accounts.roles import Role
from accounts.selectors import role_holders
from accounts.services import grant_role, revoke_role
from audit.models import Event
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import without_investigator
from tests.factories.accounts import SiteFactory, UserFactory, holder_of, platform_admin
from tests.factories.studies import new_site, new_study, site_in_study

pytestmark = pytest.mark.django_db


def test_an_investigator_gives_and_takes_roles() -> None:
    study, pi = new_study()
    user = UserFactory.create()
    grant_role(user=user, role=Role.AUDITOR, obj=study, by=pi)
    assert can(user, Permission.AUDIT_VIEW, study)
    assert [(item["user"], item["role"]) for item in role_holders(study)] == [(pi, Role.PI), (user, Role.AUDITOR)]
    revoke_role(user=user, role=Role.AUDITOR, obj=study, by=pi)
    assert not can(User.objects.get(pk=user.pk), Permission.STUDY_VIEW, study)
    told = Event.objects.filter(action__startswith="accounts:role:", study=str(study.pk), detail__contains=str(user.pk))
    assert [event.action for event in told.order_by("pk")] == ["accounts:role:granted", "accounts:role:revoked"]


@pytest.mark.parametrize("role", [Role.CO_INVESTIGATOR, Role.AUDITOR])
def test_other_roles_grant_nothing_in_a_study(role: Role) -> None:
    study, _ = new_study()
    with pytest.raises(Forbidden):
        grant_role(user=UserFactory.create(), role=Role.AUDITOR, obj=study, by=holder_of(role, study))


def test_strangers_and_platform_administrators_grant_nothing_in_a_study() -> None:
    study, _ = new_study()
    for person in (UserFactory.create(), platform_admin()):
        with pytest.raises(NotFound):
            grant_role(user=UserFactory.create(), role=Role.AUDITOR, obj=study, by=person)


def test_a_platform_administrator_appoints_the_first_admin_of_a_site_only() -> None:
    site, admin = SiteFactory.create(), platform_admin()
    with pytest.raises(Forbidden):
        grant_role(user=UserFactory.create(), role=Role.STEWARD, obj=site, by=admin)
    first = UserFactory.create()
    grant_role(user=first, role=Role.ADMIN, obj=site, by=admin)
    with pytest.raises(Forbidden):
        grant_role(user=UserFactory.create(), role=Role.ADMIN, obj=site, by=admin)
    grant_role(user=UserFactory.create(), role=Role.STEWARD, obj=site, by=first)
    first.is_active = False
    first.save()
    grant_role(user=UserFactory.create(), role=Role.ADMIN, obj=site, by=admin)


def test_a_platform_administrator_appoints_an_investigator_where_nobody_can_lead() -> None:
    study, pi = new_study()
    admin, successor = platform_admin(), UserFactory.create()
    pi.is_active = False
    pi.save()
    with pytest.raises(NotFound):
        grant_role(user=successor, role=Role.AUDITOR, obj=study, by=admin)
    assert list(without_investigator(admin)) == [study]
    grant_role(user=successor, role=Role.PI, obj=study, by=admin)
    assert not without_investigator(admin).exists()
    assert Event.objects.filter(study=str(study.pk), action="accounts:role:granted", actor=admin.audit_name).exists()
    with pytest.raises(NotFound):
        grant_role(user=UserFactory.create(), role=Role.PI, obj=study, by=admin)


def test_others_appoint_nobody() -> None:
    study, pi = new_study()
    pi.is_active = False
    pi.save()
    person = holder_of(Role.CO_INVESTIGATOR, study)
    assert not without_investigator(person).exists()
    with pytest.raises(Forbidden):
        grant_role(user=UserFactory.create(), role=Role.PI, obj=study, by=person)


def test_a_creator_who_gave_the_lead_away_does_not_take_it_back() -> None:
    study, creator = new_study()
    successor = UserFactory.create()
    grant_role(user=successor, role=Role.PI, obj=study, by=creator)
    revoke_role(user=creator, role=Role.PI, obj=study, by=successor)
    successor.is_active = False
    successor.save()
    with pytest.raises(NotFound):
        grant_role(user=creator, role=Role.PI, obj=study, by=creator)


def test_a_steward_grants_nothing() -> None:
    site, _ = new_site()
    with pytest.raises(Forbidden):
        grant_role(user=UserFactory.create(), role=Role.STEWARD, obj=site, by=holder_of(Role.STEWARD, site))


@pytest.mark.parametrize("role", Role)
def test_a_platform_administrator_holds_no_role(role: Role) -> None:
    study, pi = new_study()
    site, admin = new_site()
    obj, by = (site, admin) if role.scope == "site" else (study, pi)
    with pytest.raises(Refusal) as refused:
        grant_role(user=platform_admin(), role=role, obj=obj, by=by)
    assert refused.value.code == "E_DUTIES"


@pytest.mark.parametrize("held", Role)
@pytest.mark.parametrize("wanted", Role)
def test_one_person_holds_one_role_in_an_object(held: Role, wanted: Role) -> None:
    study, pi = new_study()
    site, admin = new_site()
    if held.scope != wanted.scope:
        return
    obj, by = (site, admin) if held.scope == "site" else (study, pi)
    user = holder_of(held, obj)
    with pytest.raises((Refusal, Conflict)) as refused:
        grant_role(user=user, role=wanted, obj=obj, by=by)
    assert refused.value.code == ("E_EXISTS" if held is wanted else "E_DUTIES")


@pytest.mark.parametrize("study_role", [Role.PI, Role.AUDITOR])
@pytest.mark.parametrize("site_role", [Role.ADMIN, Role.STEWARD])
def test_who_leads_or_audits_does_not_speak_for_a_site_of_the_study(study_role: Role, site_role: Role) -> None:
    study, pi = new_study(state="recruiting")
    taking_part = site_in_study(study, pi)
    with pytest.raises(Refusal) as as_site_person:
        person = holder_of(study_role, study)
        grant_role(user=person, role=site_role, obj=taking_part.site, by=taking_part.admin)
    with pytest.raises(Refusal) as as_study_person:
        person = holder_of(site_role, taking_part.site)
        grant_role(user=person, role=study_role, obj=study, by=pi)
    assert {as_site_person.value.code, as_study_person.value.code} == {"E_DUTIES"}


def test_duties_of_other_studies_and_sites_go_together() -> None:
    study, pi = new_study(state="recruiting")
    site_in_study(study, pi)
    elsewhere, its_admin = new_site()
    grant_role(user=pi, role=Role.STEWARD, obj=elsewhere, by=its_admin)
    grant_role(user=its_admin, role=Role.AUDITOR, obj=study, by=pi)
    assert {held.role for held in pi.roles} == {Role.PI, Role.STEWARD}


def test_a_role_fits_its_object() -> None:
    study, pi = new_study()
    site, admin = new_site()
    for role, obj, by in ((Role.ADMIN, study, pi), (Role.PI, site, admin)):
        with pytest.raises(Invalid):
            grant_role(user=UserFactory.create(), role=role, obj=obj, by=by)


def test_closed_accounts_receive_no_role() -> None:
    study, pi = new_study()
    with pytest.raises(Refusal) as refused:
        grant_role(user=UserFactory.create(is_active=False), role=Role.AUDITOR, obj=study, by=pi)
    assert refused.value.code == "E_STATE"


def last_leader(kind: str) -> tuple[Study | Site, User, Role]:
    if kind == "study":
        return *new_study(), Role.PI
    return *new_site(), Role.ADMIN


@pytest.mark.parametrize("kind", ["study", "site"])
def test_the_last_leader_stays(kind: str) -> None:
    obj, leader, role = last_leader(kind)
    with pytest.raises(Refusal) as refused:
        revoke_role(user=leader, role=role, obj=obj, by=leader)
    assert refused.value.code == "E_STATE"
    grant_role(user=UserFactory.create(), role=role, obj=obj, by=leader)
    revoke_role(user=leader, role=role, obj=obj, by=leader)
    assert leader not in [item["user"] for item in role_holders(obj)]


def test_a_role_that_is_not_held_cannot_be_taken() -> None:
    study, pi = new_study()
    with pytest.raises(NotFound):
        revoke_role(user=UserFactory.create(), role=Role.AUDITOR, obj=study, by=pi)


def test_only_the_creator_becomes_the_first_investigator() -> None:
    creator = UserFactory.create()
    study = Study.objects.create(title="Bare", slug="bare", created_by=creator)
    other = UserFactory.create()
    with pytest.raises(NotFound):
        grant_role(user=other, role=Role.PI, obj=study, by=other)
    with pytest.raises(NotFound):
        grant_role(user=other, role=Role.PI, obj=study, by=creator)
    grant_role(user=creator, role=Role.PI, obj=study, by=creator)
