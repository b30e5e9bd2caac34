"""Sites in studies: invited, answering, ready, withdrawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.groups import group_for
from accounts.models import User
from accounts.permissions import Permission, can
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from studies.dictionary.models import Dataset
from studies.enrolment import selectors
from studies.enrolment.models import Enrolment
from studies.enrolment.services import accept_invitation, decline_invitation, invite_site, withdraw_site
from studies.enrolment.states import ENROLMENT, LEVELS, OFFERED_LEVELS
from studies.lifecycle.selectors import visible_to as visible_studies
from studies.lifecycle.states import STUDY
from studies.scripts.services import record_approval
from tests.factories.accounts import UserFactory, holder_of, platform_admin
from tests.factories.studies import SiteInStudy, new_site, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def part() -> SiteInStudy:
    return site_in_study(*new_study(state="recruiting"))


def test_an_invited_site_sees_the_study_and_answers() -> None:
    study, pi = new_study(state="recruiting")
    site, admin = new_site()
    steward = holder_of(Role.STEWARD, site)
    enrolment = invite_site(study=study, site=site, level="F2", by=pi)
    assert (enrolment.state, enrolment.level, enrolment.invited_by) == ("invited", "F2", pi)
    for person in (admin, steward):
        assert list(visible_studies(person)) == [study]
        assert can(person, Permission.SCRIPT_READ, study)
        assert not can(person, Permission.AUDIT_VIEW, study)
    enrolment = accept_invitation(enrolment=enrolment, by=admin)
    assert (enrolment.state, enrolment.answered_by) == ("accepted", admin)
    assert enrolment.answered_at is not None


@pytest.mark.parametrize("state", STUDY.states)
def test_sites_are_invited_while_a_study_recruits_or_is_active(state: str) -> None:
    study, pi = new_study(state=state)
    site, _ = new_site()
    if state in ("recruiting", "active"):
        assert invite_site(study=study, site=site, by=pi).level == "F2"
    else:
        with pytest.raises(Conflict) as refused:
            invite_site(study=study, site=site, by=pi)
        assert refused.value.code == "E_STATE"


def test_only_investigators_invite() -> None:
    study, _ = new_study(state="recruiting")
    site, admin = new_site()
    for role in (Role.CO_INVESTIGATOR, Role.AUDITOR):
        with pytest.raises(Forbidden):
            invite_site(study=study, site=site, by=holder_of(role, study))
    for person in (admin, platform_admin()):
        with pytest.raises(NotFound):
            invite_site(study=study, site=site, by=person)


@pytest.mark.parametrize("level", ["F9", "", *sorted(set(LEVELS) - set(OFFERED_LEVELS))])
def test_a_level_that_is_unknown_or_that_nothing_holds_to_is_refused(level: str) -> None:
    study, pi = new_study(state="recruiting")
    with pytest.raises(Invalid):
        invite_site(study=study, site=new_site()[0], level=level, by=pi)


def test_a_site_is_invited_once(part: SiteInStudy) -> None:
    with pytest.raises(Conflict) as refused:
        invite_site(study=part.study, site=part.site, by=part.pi)
    assert refused.value.code == "E_EXISTS"


@pytest.mark.parametrize("study_role", [Role.PI, Role.AUDITOR])
@pytest.mark.parametrize("site_role", [Role.ADMIN, Role.STEWARD])
def test_a_site_of_the_studys_own_people_is_not_invited(study_role: Role, site_role: Role) -> None:
    study, pi = new_study(state="recruiting")
    site, _ = new_site()
    person = holder_of(study_role, study)
    group_for(site_role, site).user_set.add(person)
    with pytest.raises(Refusal) as refused:
        invite_site(study=study, site=site, by=pi)
    assert refused.value.code == "E_DUTIES"
    assert not Enrolment.objects.exists()


def test_answers_are_for_site_admins(part: SiteInStudy) -> None:
    site, admin = new_site()
    enrolment = invite_site(study=part.study, site=site, by=part.pi)
    steward = holder_of(Role.STEWARD, site)
    for answer in (accept_invitation, decline_invitation):
        for person in (steward, part.pi, part.admin, holder_of(Role.AUDITOR, part.study)):
            with pytest.raises(Forbidden):
                answer(enrolment=enrolment, by=person)
        for person in (new_site()[1], new_study()[1]):
            with pytest.raises(NotFound):
                answer(enrolment=enrolment, by=person)
    assert accept_invitation(enrolment=enrolment, by=admin).state == "accepted"


def test_a_site_that_declined_may_be_asked_again_whatever_else_it_takes_part_in(part: SiteInStudy) -> None:
    study, pi = new_study(state="recruiting", title="Another study")
    assert part.site in selectors.invitable_sites(study)
    enrolment = invite_site(study=study, site=part.site, by=pi)
    assert part.site not in selectors.invitable_sites(study)
    decline_invitation(enrolment=enrolment, by=part.admin)
    assert part.site in selectors.invitable_sites(study)
    assert part.site not in selectors.invitable_sites(part.study)


def test_an_invitation_is_not_accepted_after_the_study_closed() -> None:
    study, pi = new_study(state="recruiting")
    site, admin = new_site()
    enrolment = invite_site(study=study, site=site, by=pi)
    study.state = "closed"
    study.save()
    with pytest.raises(Conflict):
        accept_invitation(enrolment=enrolment, by=admin)


def test_a_site_that_declines_sees_the_study_no_more_and_may_be_asked_again() -> None:
    study, pi = new_study(state="recruiting")
    site, admin = new_site()
    enrolment = decline_invitation(
        enrolment=invite_site(study=study, site=site, by=pi), reason=" No capacity. ", by=admin
    )
    assert (enrolment.state, enrolment.reason) == ("declined", "No capacity.")
    assert not visible_studies(admin).exists()
    assert list(selectors.visible_to(admin)) == [enrolment]
    again = invite_site(study=study, site=site, level="F2", by=pi)
    assert (again.pk, again.state, again.level, again.reason) == (enrolment.pk, "invited", "F2", "")
    assert again.answered_at is again.answered_by is None
    assert accept_invitation(enrolment=again, by=admin).state == "accepted"


def test_a_reason_has_an_end(part: SiteInStudy) -> None:
    with pytest.raises(Invalid):
        withdraw_site(enrolment=part.enrolment, reason="x" * 301, by=part.admin)


def test_a_site_withdraws_with_its_data_and_approvals(part: SiteInStudy) -> None:
    version = new_version(part.study, part.pi)
    approval = record_approval(
        version=version,
        site=part.site,
        node_id=part.node.pk,
        dataset=part.dataset,
        envelope=part.envelope(version),
        trusted=part.trusted,
        by=part.node,
    )
    enrolment = withdraw_site(enrolment=part.enrolment, reason="Done.", by=holder_of(Role.STEWARD, part.site))
    assert (enrolment.state, enrolment.reason) == ("withdrawn", "Done.")
    assert Dataset.objects.get(pk=part.dataset.pk).state == "withdrawn"
    approval.refresh_from_db()
    assert (approval.state, approval.revoked_reason) == ("revoked", "the site withdrew from the study")
    assert list(visible_studies(part.admin)) == [part.study]
    assert invite_site(study=part.study, site=part.site, by=part.pi).dataset is None


def test_an_investigator_takes_back_an_open_invitation_but_no_site(part: SiteInStudy) -> None:
    site, admin = new_site()
    enrolment = invite_site(study=part.study, site=site, by=part.pi)
    assert withdraw_site(enrolment=enrolment, by=part.pi).state == "withdrawn"
    assert not visible_studies(admin).exists()
    with pytest.raises((Forbidden, NotFound)):
        withdraw_site(enrolment=part.enrolment, by=part.pi)


SERVICES: dict[str, Callable[..., Enrolment]] = {
    "accepted": accept_invitation,
    "declined": decline_invitation,
    "withdrawn": withdraw_site,
}


def enrolment_in(state: str) -> tuple[Enrolment, User, User]:
    study, pi = new_study(state="recruiting")
    if state == "ready":
        part = site_in_study(study, pi)
        return part.enrolment, part.admin, pi
    site, admin = new_site()
    enrolment = invite_site(study=study, site=site, by=pi)
    if state != "invited":
        enrolment = SERVICES[state](enrolment=enrolment, by=admin)
    return enrolment, admin, pi


@pytest.mark.parametrize("old", ENROLMENT.states)
@pytest.mark.parametrize("new", ["invited", *SERVICES])
def test_every_move_that_people_make(old: str, new: str) -> None:
    enrolment, admin, pi = enrolment_in(old)
    events = Event.objects.count()

    def move() -> Enrolment:
        if new == "invited":
            return invite_site(study=enrolment.study, site=enrolment.site, by=pi)
        return SERVICES[new](enrolment=enrolment, by=admin)

    # A ready site becomes accepted when its data no longer fit, not because somebody accepts once more.
    allowed = ENROLMENT.allows(old, new) and (old, new) != ("ready", "accepted")
    if allowed:
        assert move().state == new
        assert Event.objects.count() > events
    else:
        with pytest.raises(Conflict):
            move()
        assert Event.objects.count() == events
        assert Enrolment.objects.get(pk=enrolment.pk).state == old


def test_ready_without_a_dataset_is_refused_by_the_database(part: SiteInStudy) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Enrolment.objects.filter(pk=part.enrolment.pk).update(dataset=None)


@pytest.mark.parametrize("field", ["answered_by", "withdrawn_at"])
def test_who_and_when_stand_together(part: SiteInStudy, field: str) -> None:
    value: Any = None if field == "answered_by" else part.enrolment.invited_at
    with pytest.raises(IntegrityError), transaction.atomic():
        Enrolment.objects.filter(pk=part.enrolment.pk).update(**{field: value})


def test_who_sees_enrolments(part: SiteInStudy) -> None:
    other = site_in_study(part.study, part.pi)
    elsewhere = site_in_study(*new_study(state="recruiting", title="Elsewhere"))
    both = {part.enrolment, other.enrolment}
    for person in (part.pi, part.admin, other.admin, holder_of(Role.AUDITOR, part.study)):
        assert set(selectors.visible_to(person)) == both
    assert set(selectors.visible_to(elsewhere.admin)) == {elsewhere.enrolment}
    assert not selectors.visible_to(UserFactory.create()).exists()


def test_what_a_site_takes_part_in(part: SiteInStudy) -> None:
    assert list(selectors.taking_part(part.site.pk)) == [part.enrolment]
    assert list(selectors.ready_sites(part.study)) == [part.enrolment]
    withdraw_site(enrolment=part.enrolment, by=part.admin)
    assert not selectors.taking_part(part.site.pk).exists()
    assert not selectors.ready_sites(part.study).exists()
