"""Saying what a model is for, asking that it may leave the platform, and what the sites' data stewards answer."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.duplicates import refuse_duplicates
from accounts.models import Site, User
from accounts.permissions import Permission, check, check_for_site
from audit.services import record
from federation.releases import states
from federation.releases.card import card_of, model_of, sha256_of
from federation.releases.models import CardWords, CoSignature, Release
from federation.releases.selectors import sites_in, words_of
from federation.releases.signals import release_changed
from federation.runs.models import Model, Run
from federation.runs.results import fetch_model
from fedstudy_core.errors import Conflict, FieldProblem, Invalid
from studies.lifecycle.models import Study
from studies.lifecycle.states import STUDY

WORDS_LENGTH, RECIPIENT_LENGTH, REASON_LENGTH = 5_000, 200, 300
TWO_PEOPLE = 2


@transaction.atomic
def save_card(*, run: Run, intended_use: str | None = None, caveats: str | None = None, by: User) -> CardWords:
    """Change what the model card says beside what the portal knows; None leaves a part as it is.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE in an archived study.
        Invalid: E_INVALID with problems by field.
    """
    _lock(run, Permission.RELEASE_REQUEST, by)
    words = words_of(run)
    given = {"intended_use": intended_use, "caveats": caveats}
    new = {name: value.strip() for name, value in given.items() if value is not None}
    changed = {name: value for name, value in new.items() if getattr(words, name) != value}
    _check_lengths({name: (value, 0, WORDS_LENGTH) for name, value in changed.items()})
    if not changed:
        return words
    for name, value in changed.items():
        setattr(words, name, value)
    words.changed_by, words.changed_at = by, timezone.now()
    words.save()
    record(action="releases:card:changed", actor=by, obj=run, study=run.study_id, detail={"fields": sorted(changed)})
    return words


@transaction.atomic
def request_release(*, run: Run, recipient: str, purpose: str, round_number: int | None = None, by: User) -> Release:
    """Ask that a run's model may leave the platform; data stewards of two of its sites co-sign (of one, if alone).

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE for a run that has not ended, or in an archived study; E_EXISTS where this model's release is
            asked for, or was granted.
        NotFound: E_NOT_FOUND when that round is not committed.
        Invalid: E_INVALID with problems by field.
    """
    _lock(run, Permission.RELEASE_REQUEST, by)
    run = Run.objects.select_related("study", "version__script").get(pk=run.pk)
    if not run.is_final:
        raise Conflict("E_STATE", f"This run is {run.state}; models of runs that have ended are released.")
    recipient, purpose = recipient.strip(), purpose.strip()
    _check_lengths({"recipient": (recipient, 1, RECIPIENT_LENGTH), "purpose": (purpose, 1, WORDS_LENGTH)})
    model = model_of(run, round_number)
    sites = sites_in(model).count()
    if not sites:
        raise Conflict("E_STATE", "No site's answer is in this model.")
    card = card_of(run, round_number=model.round_number).as_json()
    with refuse_duplicates("The release of this model is asked for already, or was granted."):
        release = Release.objects.create(
            run=run,
            model=model,
            recipient=recipient,
            purpose=purpose,
            card=card,
            card_sha256=sha256_of(card),
            signatures_needed=min(TWO_PEOPLE, sites),
            requested_by=by,
        )
    _tell("requested", release, by, recipient=recipient, card=release.card_sha256)
    return release


@transaction.atomic
def cosign_release(*, release: Release, site: Site, by: User) -> Release:
    """Consent for a site; with the last consent that is needed the model is released.

    Raises:
        Forbidden, NotFound: who is no data steward of the site.
        Conflict: E_STATE when it was decided already; E_EXISTS when the site or the person signed before; E_DUTIES for
            who asked for it.
        Invalid: E_INVALID for a site whose answers are not in the model.
    """
    release = _locked(release, site, by)
    if release.requested_by_id == by.pk:
        raise Conflict("E_DUTIES", "Who asked for this release cannot consent to it.")
    if release.signatures.filter(signed_by=by).exists() or release.signatures.filter(site=site).exists():
        raise Conflict("E_EXISTS", "Each site signs once, and so does each person.")
    CoSignature.objects.create(release=release, site=site, signed_by=by)
    _tell("cosigned", release, by, site=site)
    if release.signatures.count() >= release.signatures_needed:
        _decide(release, "released")
        _tell("granted", release, by)
    return release


@transaction.atomic
def refuse_release(*, release: Release, site: Site, reason: str, by: User) -> Release:
    """Refuse for a site, with the reason; then the model stays.

    Raises:
        Forbidden, NotFound: who is no data steward of the site.
        Conflict: E_STATE when it was decided already.
        Invalid: E_INVALID without a reason; for a site whose answers are not in the model.
    """
    release = _locked(release, site, by)
    _check_lengths({"reason": (reason.strip(), 1, REASON_LENGTH)})
    release.refused_by, release.refusing_site, release.reason = by, site, reason.strip()
    _decide(release, "refused")
    _tell("refused", release, by, site=site, reason=release.reason)
    return release


@transaction.atomic
def withdraw_release(*, release: Release, by: User) -> Release:
    """Take a request back. Raises: Forbidden; Conflict: E_STATE when it was decided already."""
    _lock(release.run, Permission.RELEASE_REQUEST, by)
    release = Release.objects.select_for_update(of=("self",)).select_related("run__study", "model").get(pk=release.pk)
    _decide(release, "withdrawn")
    _tell("withdrawn", release, by)
    return release


@transaction.atomic
def take_model(*, release: Release, by: User) -> tuple[Model, bytes]:
    """The released model; the log notes who took it.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when it is not released.
        Refusal: E_ARTIFACT, E_ARTIFACT_MISSING.
    """
    check(by, Permission.MODEL_DOWNLOAD, release.run.study)
    if release.state != "released":
        raise Conflict("E_STATE", f"The release of this model is {release.state}.")
    return fetch_model(run=release.run, round_number=release.model.round_number, by=by)


def _lock(run: Run, permission: Permission, by: User) -> None:
    """Lock the run's study; refuse who may not do this, or not now."""
    study = Study.objects.select_for_update(no_key=True).get(pk=run.study_id)
    check(by, permission, study)
    _check_open(study)


def _check_open(study: Study) -> None:
    if study.state in STUDY.final:
        raise Conflict("E_STATE", f"This study is {study.state}; its models stay as they are.")


def _locked(release: Release, site: Site, by: User) -> Release:
    """The release, locked after its study, once it is clear that `by` is a data steward of a site in its model."""
    study = Study.objects.select_for_update(no_key=True).get(pk=release.run.study_id)
    check_for_site(by, Permission.RELEASE_COSIGN, site, study)
    _check_open(study)
    release = Release.objects.select_for_update(of=("self",)).select_related("run__study", "model").get(pk=release.pk)
    if not sites_in(release.model).filter(pk=site.pk).exists():
        raise Invalid("E_INVALID", f"No answer of {site.name} is in this model.")
    if release.state != states.RELEASE.initial:
        raise Conflict("E_STATE", f"This release is {release.state} already.")
    return release


def _decide(release: Release, state: str) -> None:
    states.RELEASE.move(release, state)
    release.decided_at = timezone.now()
    release.save()


def _check_lengths(given: dict[str, tuple[str, int, int]]) -> None:
    problems = [
        FieldProblem(name, "E_INVALID", f"{'From 1 to' if least else 'At most'} {most} characters.")
        for name, (value, least, most) in given.items()
        if not least <= len(value) <= most
    ]
    if problems:
        raise Invalid("E_INVALID", "Some of the words do not fit.", errors=problems)


def _tell(verb: str, release: Release, by: User, *, site: Site | None = None, **detail: Any) -> None:
    facts = {"model": release.model.sha256, "round": release.model.round_number, **detail}
    if site is not None:
        facts["site_name"] = site.name
    run = release.run
    record(action=f"releases:release:{verb}", actor=by, obj=run, study=run.study_id, site=site, detail=facts)
    release_changed.send(sender=Release, release=release, verb=verb, by=by)
