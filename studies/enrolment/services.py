"""Inviting sites, answering invitations, withdrawing, and noticing when a site is ready."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.groups import give, groups_of_site, take
from accounts.models import Site, User
from accounts.permissions import SITE_PEOPLE_IN_STUDY, Permission, can, check, check_for_site
from audit.reasons import SITE_WITHDREW
from audit.services import record
from fedstudy_core.errors import Conflict, Invalid
from fedstudy_core.levels import given_up
from studies.dictionary.models import Dataset
from studies.dictionary.selectors import current_dictionary
from studies.dictionary.services import withdraw_datasets
from studies.enrolment import states
from studies.enrolment.duties import check_site_may_join
from studies.enrolment.models import Enrolment, LevelChange
from studies.enrolment.pooling import levels_to_choose, pooling
from studies.enrolment.signals import enrolment_changed, level_changed
from studies.lifecycle.models import Study
from studies.lifecycle.states import INVITING

REASON_LENGTH = 300


@transaction.atomic
def invite_site(*, study: Study, site: Site, level: str = states.DEFAULT_LEVEL, by: User) -> Enrolment:
    """Invite a site, and propose a level; one that declined or withdrew may be invited again.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when the study does not recruit; E_EXISTS when the site is invited already.
        Refusal: E_DUTIES when somebody would lead or audit the study and speak for the site.
        Invalid: E_INVALID for a level that is unknown, or at which rows are pooled: that a site chooses itself.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    check(by, Permission.STUDY_INVITE, study)
    if study.state not in INVITING:
        raise Conflict("E_STATE", f"Sites are invited while a study recruits or is active; this one is {study.state}.")
    if level not in states.OFFERED_LEVELS:
        offered = ", ".join(states.OFFERED_LEVELS)
        raise Invalid("E_INVALID", f"Sites are invited at {offered}; whether rows are pooled, each chooses itself.")
    check_site_may_join(study, site)
    enrolment, old = _invited(study, site, by)
    enrolment.level = level
    enrolment.save()
    for group in groups_of_site(site):
        give(group, SITE_PEOPLE_IN_STUDY, study)
    _tell("invited", enrolment, old, by, level=level)
    return enrolment


def _invited(study: Study, site: Site, by: User) -> tuple[Enrolment, str]:
    """A new invitation, or an old one opened again, with the state before."""
    enrolment = Enrolment.objects.select_for_update().filter(study=study, site=site).first()
    if enrolment is None:
        return Enrolment(study=study, site=site, invited_by=by), ""
    if enrolment.state in states.OPEN:
        raise Conflict("E_EXISTS", f"{site.name} is {enrolment.state} in this study already.")
    old = states.ENROLMENT.move(enrolment, "invited")
    enrolment.invited_at, enrolment.invited_by = timezone.now(), by
    enrolment.answered_at = enrolment.answered_by = enrolment.ready_at = enrolment.dataset = None
    enrolment.withdrawn_at = enrolment.withdrawn_by = None
    enrolment.reason = ""
    return enrolment, old


@transaction.atomic
def accept_invitation(*, enrolment: Enrolment, level: str | None = None, by: User) -> Enrolment:
    """Take part, on behalf of the site, at a level that it chooses; as it was proposed when None.

    Raises:
        Forbidden, NotFound: who does not speak for the site may not, or does not see the enrolment.
        Invalid: E_INVALID for a level that a site does not begin at.
        Conflict: E_STATE when the invitation was answered, or the study takes nobody any more.
        Refusal: E_DUTIES.
    """
    enrolment = _locked(enrolment)
    check_for_site(by, Permission.INVITATION_ANSWER, enrolment.site, enrolment.study)
    if enrolment.study.state not in INVITING:
        raise Conflict("E_STATE", f"This study is {enrolment.study.state} and takes no more sites.")
    check_site_may_join(enrolment.study, enrolment.site)
    if enrolment.state == "ready":  # back to accepted is a move for data that no longer fit, not for an answer
        raise Conflict("E_STATE", "This invitation was accepted already.")
    level = level or enrolment.level
    if level not in states.OFFERED_LEVELS:
        raise Invalid("E_INVALID", f"A site begins at {', '.join(states.OFFERED_LEVELS)}.")
    old, proposed = states.ENROLMENT.move(enrolment, "accepted"), enrolment.level
    enrolment.answered_at, enrolment.answered_by, enrolment.level = timezone.now(), by, level
    enrolment.save()
    LevelChange.objects.create(enrolment=enrolment, level=level, at=enrolment.answered_at, by=by)
    _tell("accepted", enrolment, old, by, level=level, proposed=proposed)
    return enrolment


@transaction.atomic
def change_level(*, enrolment: Enrolment, level: str, by: User) -> Enrolment:
    """Take part at another level, on behalf of the site.

    What the site gives up it is not asked for from now on, also not by runs that are under way. What it adds holds for
    runs that are planned afterwards, of scripts that it signs for that.

    Raises:
        Forbidden, NotFound: who does not speak for the site may not, or does not see the enrolment.
        Conflict: E_STATE when the site does not take part, or the study is over.
        Invalid: E_INVALID for a level that is unknown or that nothing holds to yet.
        Refusal: where rows are pooled without a valid consent; the codes are those of whoever pools.
    """
    enrolment = _locked(enrolment)
    check_for_site(by, Permission.LEVEL_CHANGE, enrolment.site, enrolment.study)
    if enrolment.state not in states.TAKING_PART or enrolment.study.state not in INVITING:
        raise Conflict("E_STATE", "A level changes while the site takes part and the study is under way.")
    if level not in levels_to_choose():
        raise Invalid("E_INVALID", f"A site chooses among {', '.join(levels_to_choose())}.")
    pool = pooling()
    if level in states.POOLED_LEVELS and pool is not None:
        pool.check_consent(enrolment, level)
    if level != enrolment.level:
        _move_level(enrolment, level, by)
    return enrolment


@transaction.atomic
def end_pooled_level(*, study: Study, site: Site, reason: str, by: Any) -> None:
    """Let a site whose rows are pooled no more only test models, until it chooses a level again: nobody decides for it
    that it trains. A consequence of a decision checked elsewhere, whose caller holds the study's lock.
    """
    taking = Enrolment.objects.select_for_update(of=("self",)).select_related("study", "site")
    enrolment = taking.filter(
        study=study, site=site, state__in=states.TAKING_PART, level__in=states.POOLED_LEVELS
    ).first()
    if enrolment is not None:
        _move_level(enrolment, states.LEAST_LEVEL, by, reason=reason)


def _move_level(enrolment: Enrolment, level: str, by: Any, **detail: str) -> None:
    """Note a site's level from now on."""
    old, enrolment.level = enrolment.level, level
    enrolment.save(update_fields=["level"])
    LevelChange.objects.create(enrolment=enrolment, level=level, by=by if isinstance(by, User) else None)
    facts = {"site_name": enrolment.site.name, "old": old, "new": level, "gives_up": given_up(old, level)}
    record(
        action="enrolment:level:changed",
        actor=by,
        obj=enrolment,
        study=enrolment.study_id,
        site=enrolment.site_id,
        detail=facts | detail,
    )
    level_changed.send(sender=Enrolment, enrolment=enrolment, old=old, by=by)


@transaction.atomic
def decline_invitation(*, enrolment: Enrolment, reason: str = "", by: User) -> Enrolment:
    """Do not take part, on behalf of the site; its people no longer see the study.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when the invitation was answered.
    """
    enrolment = _locked(enrolment)
    check_for_site(by, Permission.INVITATION_ANSWER, enrolment.site, enrolment.study)
    old = states.ENROLMENT.move(enrolment, "declined")
    enrolment.answered_at, enrolment.answered_by = timezone.now(), by
    enrolment.reason = _words(reason)
    enrolment.save()
    _hide_study(enrolment)
    _tell("declined", enrolment, old, by, reason=enrolment.reason)
    return enrolment


@transaction.atomic
def withdraw_site(*, enrolment: Enrolment, reason: str = "", by: User) -> Enrolment:
    """Take part no more: the site's datasets are withdrawn and its approvals end. Rounds that were done stay.

    The site's people withdraw it; an invitation that nobody answered may also be taken back by who invites.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE.
    """
    enrolment = _locked(enrolment)
    takes_back = enrolment.state == "invited" and can(by, Permission.STUDY_INVITE, enrolment.study)
    if not takes_back:
        check_for_site(by, Permission.SITE_WITHDRAW, enrolment.site, enrolment.study)
    old = states.ENROLMENT.move(enrolment, "withdrawn")
    enrolment.withdrawn_at, enrolment.withdrawn_by = timezone.now(), by
    enrolment.reason = _words(reason)
    enrolment.save()
    withdraw_datasets(site=enrolment.site, study=enrolment.study, reason=SITE_WITHDREW, by=by)
    if enrolment.answered_at is None:
        _hide_study(enrolment)
    _tell("withdrawn", enrolment, old, by, reason=enrolment.reason)
    return enrolment


@transaction.atomic
def note_dataset(*, dataset: Dataset, by: Any) -> None:
    """Bind a dataset that was registered, and see whether the site is ready now.

    Raises:
        Conflict: E_NOT_READY, when the site takes no part in the study but offers data.
    """
    found = Enrolment.objects.select_for_update(of=("self",)).select_related("study", "site", "dataset")
    enrolment = found.filter(study=dataset.study_id, site=dataset.site_id).first()
    if enrolment is None or enrolment.state not in states.TAKING_PART:
        if dataset.state == "withdrawn":
            return
        raise Conflict("E_NOT_READY", "The site has not accepted an invitation to this study.")
    if dataset.state == "valid" or enrolment.dataset_id == dataset.pk:
        enrolment.dataset = dataset
    _settle(enrolment, by)


@transaction.atomic
def recheck_study(*, study: Study, by: Any) -> None:
    """See which sites of a study are ready, after its data dictionary changed."""
    rows = Enrolment.objects.select_for_update(of=("self",)).select_related("study", "site", "dataset")
    for enrolment in rows.filter(study=study, state__in=states.TAKING_PART):
        _settle(enrolment, by)


def _settle(enrolment: Enrolment, by: Any) -> None:
    """Ready means a valid dataset, checked against the newest dictionary; its node is active, or it were withdrawn."""
    dataset, dictionary = enrolment.dataset, current_dictionary(enrolment.study)
    ready = dataset is not None and dataset.state == "valid" and dataset.dictionary == dictionary
    if ready == (enrolment.state == "ready"):
        enrolment.save(update_fields=["dataset"])
        return
    old = states.ENROLMENT.move(enrolment, "ready" if ready else "accepted")
    enrolment.ready_at = timezone.now() if ready else None
    enrolment.save(update_fields=["state", "dataset", "ready_at"])
    _tell("ready" if ready else "unready", enrolment, old, by)


def _locked(enrolment: Enrolment) -> Enrolment:
    """The enrolment, locked after its study, as every change in a study does: nothing waits in a circle."""
    Study.objects.select_for_update(no_key=True).get(pk=enrolment.study_id)
    rows = Enrolment.objects.select_for_update(of=("self",)).select_related("study", "site", "dataset")
    return rows.get(pk=enrolment.pk)


def _hide_study(enrolment: Enrolment) -> None:
    for group in groups_of_site(enrolment.site):
        take(group, SITE_PEOPLE_IN_STUDY, enrolment.study)


def _words(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > REASON_LENGTH:
        raise Invalid("E_INVALID", f"A reason has at most {REASON_LENGTH} characters.")
    return reason


def _tell(verb: str, enrolment: Enrolment, old: str, by: Any, **detail: str) -> None:
    record(
        action=f"enrolment:site:{verb}",
        actor=by,
        obj=enrolment,
        study=enrolment.study_id,
        site=enrolment.site_id,
        detail={"site_name": enrolment.site.name, "old": old, "new": enrolment.state, **detail},
    )
    enrolment_changed.send(sender=Enrolment, enrolment=enrolment, old=old, by=by)
