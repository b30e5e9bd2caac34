"""What sites consented to, and how it ends: recording, revoking, expiring, and rows that are deleted.

The portal checks what was signed to tell people early what is wrong with it, and to take nothing in that nobody
consented to. The checks that count are those of the site's node and of the pool node.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.groups import holders
from accounts.models import Site, User
from accounts.permissions import Permission, SiteAgent, check, check_for_site
from accounts.roles import Role
from audit.reasons import CONSENT_ENDED, CONSENT_REPLACED, DELETION_ASKED, KEY_DESTROYED
from audit.services import record
from fedstudy_core.approvers import Approver
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Conflict, NotFound, Refusal
from fedstudy_core.pooling.consent import Consent, check_consent, verify_consent
from fedstudy_core.pooling.documents import document_id
from fedstudy_core.pooling.statements import PoolDeletion, verify_deletion, verify_revocation
from fedstudy_core.times import parse_time
from studies.dictionary.models import Dataset
from studies.dictionary.selectors import current_dictionary
from studies.enrolment.models import Enrolment
from studies.enrolment.services import end_pooled_level
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.pooling import states
from studies.pooling.models import PoolConsent, PooledTable, PoolKey, PoolNode
from studies.pooling.news import have_look
from studies.pooling.removal import remove_object
from studies.pooling.selectors import active_key, pool_node_of
from studies.pooling.signals import consent_changed

REASON_LENGTH = 300
# Within this time backups of the portal are gone that hold what was deleted: docs/operations.md.
BACKUPS_KEPT = timedelta(days=35)


@transaction.atomic
def record_consent(*, site: Site, envelope: bytes, trusted: Mapping[str, Approver], by: SiteAgent) -> PoolConsent:
    """Keep what two people of a site signed, byte for byte; the same again changes nothing.

    A newer consent of the site in the study replaces the one before, whose rows are not to be used any more.
    `trusted` holds the people who may sign at the site's node, by the ids of their keys.

    Raises:
        Forbidden: E_FORBIDDEN when the node does not speak for the site.
        Refusal: the codes of `verify_consent` and `check_consent`; E_AUDIENCE, E_DATASET, E_POOL_COLUMNS when it is
            about something else; E_APPROVER when the study's own investigator signed; E_CONSENT when a newer one is on
            file; E_CONSENT_REVOKED for one that ended.
        NotFound: E_NO_POOL without a pool node, or where it has no key for the site yet.
        Conflict: E_NOT_READY when the site takes no part; E_STATE in a study that is over.
    """
    check(by, Permission.SCRIPT_APPROVE, site)
    said, sha256 = verify_consent(envelope, trusted), document_id(envelope)
    if (said.site, said.node) != (str(site.pk), str(by.pk)):
        raise Refusal("E_AUDIENCE")
    study = _study_of(said, site)
    known = PoolConsent.objects.filter(sha256=sha256).first()
    if known is not None:
        if not known.is_valid:
            raise Refusal("E_CONSENT_REVOKED")
        return known
    key = _key_for(said, study, site, by)
    _check_content(said, study, site, by)
    _check_signers(said, study)
    _replace_earlier(said, study, site, by)
    consent = PoolConsent.objects.create(
        key=key,
        study=study,
        site=site,
        node_id=said.node,
        dataset_id=said.dataset.id,
        envelope=envelope,
        statement=said.model_dump(mode="json", exclude_none=True),
        sha256=sha256,
        level=said.level,
        sequence=said.sequence,
        signed_at=parse_time(said.issued_at),
        not_after=parse_time(said.not_after),
        retention_until=parse_time(said.retention_until),
    )
    signers = [signer.name for signer in said.approvers]
    _tell("given", consent, by, level=said.level, not_after=said.not_after, columns=len(said.columns), people=signers)
    return consent


def _study_of(said: Consent, site: Site) -> Study:
    """The study, locked, in which the site takes part."""
    study = Study.objects.select_for_update(no_key=True).filter(pk=said.study).first()
    taking = {"study": said.study, "site": site, "state__in": TAKING_PART}
    if study is None or not Enrolment.objects.filter(**taking).exists():
        raise Conflict("E_NOT_READY", "The site takes no part in this study.")
    check_under_way(study, "and pools no rows")
    return study


def _key_for(said: Consent, study: Study, site: Site, by: SiteAgent) -> PoolKey:
    pool = pool_node_of(study)
    key = None if pool is None else active_key(pool, site.pk)
    if pool is None or key is None:
        raise NotFound("E_NO_POOL", "This study has no pool node, or that has made no key for the site yet.")
    check_consent(
        said,
        study=str(study.pk),
        site=str(site.pk),
        node=str(by.pk),
        pool_node=pool.node_id,
        recipient=key.recipient,
        now=timezone.now(),
    )
    return key


def _check_content(said: Consent, study: Study, site: Site, by: SiteAgent) -> None:
    offered = Dataset.objects.filter(study=study, site=site, node_id=str(by.pk)).exclude(state="withdrawn")
    if not offered.filter(pk=said.dataset.id, fingerprint=said.dataset.fingerprint).exists():
        raise Refusal("E_DATASET", "The dataset is not one that this node offers to this study.")
    dictionary = current_dictionary(study)
    known = {variable["name"] for variable in dictionary.variables} if dictionary else set()
    unknown = sorted(set(said.columns) - known)
    if unknown:
        raise Refusal("E_POOL_COLUMNS", f"“{unknown[0]}” is no variable of the study's data dictionary.")


def _check_signers(said: Consent, study: Study) -> None:
    """Nobody consents for a site to their own study."""
    signers = {signer.name.casefold() for signer in said.approvers}
    for person in holders(Role.PI, study):
        if signers & {person.name.casefold(), person.email}:
            raise Refusal("E_APPROVER", f"{person.name} leads this study and cannot consent for a site.")


def _replace_earlier(said: Consent, study: Study, site: Site, by: SiteAgent) -> None:
    earlier = PoolConsent.objects.select_for_update().filter(study=study, site=site)
    if earlier.filter(sequence__gte=said.sequence).exists():
        raise Refusal("E_CONSENT", "A consent that the site signed later is on file.")
    for consent in earlier.filter(state="valid"):
        end_consent(consent, "replaced", "replaced by a newer consent", by)


@transaction.atomic
def revoke_consent(*, consent: PoolConsent, reason: str = "", delete: bool = False, by: User) -> PoolConsent:
    """End a site's consent by one of its people: nothing uses its rows from now on. With `delete`, they are deleted.

    Doing so again changes nothing.

    Raises:
        Forbidden, NotFound: who does not speak for the site.
    """
    consent = _locked(consent)
    check_for_site(by, Permission.APPROVAL_REVOKE, consent.site, consent.study)
    if consent.state in states.REVOCABLE:
        end_consent(consent, "revoked", reason.strip()[:REASON_LENGTH], by)
    if delete:
        _ask_deletion(consent, by)
    return consent


@transaction.atomic
def record_revocation(*, envelope: bytes, trusted: Mapping[str, VerifyingKey], by: SiteAgent) -> PoolConsent:
    """End a site's consent by what the site signed, kept byte for byte; doing so again changes nothing.

    `trusted` holds the keys that speak for the node's site: those of its people, and the node's own.

    Raises:
        Refusal: the codes of `verify_revocation`; E_CONSENT when it is about another study, site or node.
        NotFound: E_NO_CONSENT when there is no such consent of this node.
    """
    said = verify_revocation(envelope, trusted)
    found = PoolConsent.objects.filter(sha256=said.consent, node_id=str(by.pk)).first()
    if found is None:
        raise NotFound("E_NO_CONSENT")
    consent = _locked(found)
    check(by, Permission.APPROVAL_REVOKE, consent.site)
    if (said.study, said.site, said.node) != (str(consent.study_id), str(consent.site_id), consent.node_id):
        raise Refusal("E_CONSENT", "The revocation is about another study, site or node.")
    if consent.state in states.REVOCABLE:
        end_consent(consent, "revoked", said.reason.strip()[:REASON_LENGTH], by, revocation=envelope)
    elif consent.revocation is None:
        consent.revocation = envelope
        consent.save(update_fields=["revocation"])
        _tell("signed_off", consent, by)
    if said.delete:
        _ask_deletion(consent, by)
    return consent


def _ask_deletion(consent: PoolConsent, by: Any) -> None:
    """Remove what the portal holds of these rows, and have the pool node destroy its key.

    A key with which a newer consent's rows are sealed is destroyed with these; until then the pool node removes what it
    holds of the older ones.
    """
    if consent.state != "revoked" or consent.delete_asked_at is not None:
        return
    consent.delete_asked_at = timezone.now()
    consent.save(update_fields=["delete_asked_at"])
    for item in consent.sent.exclude(state="refused").select_related("consent__site"):
        remove_object(item, DELETION_ASKED, by)
    _have_pool_look(consent)
    _tell("deletion_asked", consent, by)


@transaction.atomic
def record_deletion(*, envelope: bytes, trusted: Mapping[str, VerifyingKey], by: SiteAgent) -> PoolConsent:
    """Keep the pool node's signed statement that a site's rows and the key that opens them are gone.

    The same again changes nothing.

    Raises:
        Refusal: the codes of `verify_deletion`; E_CONSENT when it is about something else, or leaves an object out.
        NotFound: E_NO_CONSENT when the node holds nothing under such a consent.
    """
    said = verify_deletion(envelope, trusted)
    found = PoolConsent.objects.filter(sha256=said.consent, key__pool_node__node_id=str(by.pk)).first()
    if found is None:
        raise NotFound("E_NO_CONSENT")
    consent = _locked(found)
    _check_deletion(said, consent)
    if consent.state == "deleted":
        return consent
    _destroy_key(consent.key, parse_time(said.destroyed_at), by)
    consent.refresh_from_db()
    if consent.state in states.REVOCABLE:
        end_consent(consent, "revoked", f"the pool node deleted its rows ({said.reason})", by)
    states.CONSENT.move(consent, "deleted")
    consent.deletion, consent.deleted_at = envelope, parse_time(said.destroyed_at)
    consent.save(update_fields=["state", "deletion", "deleted_at"])
    for item in consent.sent.filter(state="revoked").select_related("consent__site"):
        states.OBJECT.move(item, "deleted")
        item.deleted_at = timezone.now()
        item.save(update_fields=["state", "deleted_at"])
        remove_object(item, KEY_DESTROYED, by)
    gone = (timezone.now() + BACKUPS_KEPT).date().isoformat()
    facts = {"statement": document_id(envelope), "objects": list(said.objects), "recipient": said.recipient}
    _tell("deleted", consent, by, destroyed_at=said.destroyed_at, backups_until=gone, **facts)
    return consent


def _check_deletion(said: PoolDeletion, consent: PoolConsent) -> None:
    pool = consent.key.pool_node
    about = (said.study, said.site, said.node, said.recipient)
    if about != (str(consent.study_id), str(consent.site_id), pool.node_id, consent.key.recipient):
        raise Refusal("E_CONSENT", "The statement is about another study, site, node or key.")
    came = consent.sent.filter(completed_at__isnull=False).values_list("sha256", flat=True)
    if not set(came) <= set(said.objects):
        raise Refusal("E_CONSENT", "The statement leaves out an object that came under this consent.")


def _destroy_key(key: PoolKey, at: datetime, by: Any) -> None:
    """Note that a key is gone; what else it sealed cannot be opened any more either."""
    if key.state == "destroyed":
        return
    states.KEY.move(key, "destroyed")
    key.destroyed_at = at
    key.save(update_fields=["state", "destroyed_at"])
    for consent in key.consents.select_for_update().filter(state="valid"):
        end_consent(consent, "revoked", "the key that its rows are sealed with was destroyed", by)


@transaction.atomic
def end_consents(*, site_id: UUID, study_id: UUID | None = None, node_id: UUID | None = None, reason: str,
                 by: Any) -> None:  # fmt: skip
    """Revoke what a site consented to, in one study or by one node; a consequence of a decision checked elsewhere."""
    rows = PoolConsent.objects.filter(site=site_id, state="valid")
    rows = rows if study_id is None else rows.filter(study=study_id)
    rows = rows if node_id is None else rows.filter(node_id=str(node_id))
    for consent in rows.order_by("study_id"):
        end_consent(_locked(consent), "revoked", reason, by)


@transaction.atomic
def expire_consents(now: datetime) -> int:
    """End the consents whose time is over; answers how many."""
    rows: QuerySet[PoolConsent] = PoolConsent.objects.filter(state="valid", not_after__lte=now)
    found = [_locked(consent) for consent in rows.order_by("study_id")]
    for consent in found:
        if consent.state == "valid":
            end_consent(consent, "expired", "", "system:pooling")
    return len(found)


def end_consent(consent: PoolConsent, state: str, reason: str, by: Any, *, revocation: bytes | None = None) -> None:
    """Let a consent count no more; the caller holds the study's lock, and has checked that `by` may.

    Its rows are used no more from this moment: the portal hands its object out to nobody, no run may use a table in
    which they are, and the pool node is told to drop them. What a newer consent replaced is not kept here either: the
    key that opens it may be in use for long. Unless one takes its place, the site is at a level at which it pools no
    more.
    """
    was_in_force = states.CONSENT.move(consent, state) == "valid"
    consent.ended_at, consent.reason = timezone.now(), reason
    consent.revocation = revocation
    consent.save(update_fields=["state", "ended_at", "reason", "revocation"])
    for item in consent.sent.filter(state__in=states.HELD).select_related("consent__site"):
        if item.state in states.COMING or state == "replaced":
            remove_object(item, CONSENT_REPLACED if state == "replaced" else CONSENT_ENDED, by)
        states.OBJECT.move(item, "revoked")
        item.ended_at = timezone.now()
        item.save(update_fields=["state", "ended_at"])
    if was_in_force:  # of one that ended before, no table that is good holds rows any more
        PooledTable.objects.filter(consents=consent, stale_since=None).update(stale_since=timezone.now())
    _have_pool_look(consent)
    _tell(state, consent, by, reason=reason)
    if was_in_force and state != "replaced":
        words = f"its consent to pool rows ended: {reason or state}"
        end_pooled_level(study=consent.study, site=consent.site, reason=words, by=by)


def _have_pool_look(consent: PoolConsent) -> None:
    have_look(PoolNode.objects.filter(keys=consent.key_id))


def _locked(consent: PoolConsent) -> PoolConsent:
    """The consent, locked after its study, as every change in a study does: nothing waits in a circle."""
    Study.objects.select_for_update(no_key=True).get(pk=consent.study_id)
    rows = PoolConsent.objects.select_for_update(of=("self",)).select_related("study", "site", "key__pool_node")
    return rows.get(pk=consent.pk)


def _tell(verb: str, consent: PoolConsent, by: Any, **detail: Any) -> None:
    facts = {"site_name": consent.site.name, "consent": consent.sha256, **detail}
    record(
        action=f"pooling:consent:{verb}",
        actor=by,
        obj=consent,
        study=consent.study_id,
        site=consent.site_id,
        detail=facts,
    )
    consent_changed.send(sender=PoolConsent, consent=consent, verb=verb, by=by)


__all__ = [
    "end_consent",
    "end_consents",
    "expire_consents",
    "record_consent",
    "record_deletion",
    "record_revocation",
    "revoke_consent",
]
