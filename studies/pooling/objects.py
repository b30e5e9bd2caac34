"""Encrypted objects on their way through the portal, and the tables that the pool node makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.permissions import Permission, SiteAgent, can
from audit.services import record
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import read_unverified
from fedstudy_core.pooling.statements import ObjectManifest, check_manifest, verify_manifest
from studies.dictionary.models import Dataset
from studies.lifecycle.models import Study
from studies.pooling import states, storage
from studies.pooling.models import PoolConsent, PooledObject, PooledTable, PoolNode
from studies.pooling.news import have_look

# What every sealed object begins with (the age format's header with an X25519 recipient): plain rows do not.
SEALED = b"age-encryption.org/v1\n-> X25519 "
# Under one consent comes one object; what came otherwise than it was described may be sent anew a few times.
MOST_OBJECTS = 10


@transaction.atomic
def announce_object(*, manifest: bytes, trusted: Mapping[str, VerifyingKey], by: SiteAgent) -> PooledObject:
    """Expect the object that a site's node described; the same description again gives the same object.

    Raises:
        Forbidden: E_NO_CONSENT without a consent in force.
        Refusal: the codes of `verify_manifest` and `check_manifest`.
        Conflict: E_EXISTS when another object came under this consent; E_POOL_LIMIT when too much was refused.
        Invalid: E_TOO_LARGE.
    """
    said = verify_manifest(manifest, trusted)
    consent = _consent_for(said, by)
    check_manifest(said, read_unverified(Consent, bytes(consent.envelope)), consent.sha256)  # verified as it came
    if said.size > settings.FEDSTUDY_MAX_FREIGHT:
        raise Invalid("E_TOO_LARGE", f"A pooled object has at most {settings.FEDSTUDY_MAX_FREIGHT} bytes.", status=413)
    known = consent.sent.exclude(state="refused").first()
    if known is not None and known.sha256 == said.sha256:
        return known
    if known is not None:
        raise Conflict("E_EXISTS", "Another object came under this consent; new rows want a new consent.")
    _check_limit(consent, said.size)
    item = PooledObject.objects.create(
        consent=consent,
        manifest=manifest,
        sha256=said.sha256,
        size=said.size,
        rows=said.rows,
        columns=[list(column) for column in said.columns],
        smallest_group=said.k,
    )
    storage.expect(item)
    _record("announced", item, by)
    return item


def _check_limit(consent: PoolConsent, size: int) -> None:
    """Refuse (E_POOL_LIMIT) what would make too many objects, or too many bytes, of one consent."""
    bytes_before = consent.sent.aggregate(all=Sum("size"))["all"] or 0
    too_many = consent.sent.count() >= MOST_OBJECTS
    if too_many or bytes_before + size > 2 * settings.FEDSTUDY_MAX_FREIGHT:
        raise Conflict("E_POOL_LIMIT", "Too much of what was announced under this consent was refused: sign a new one.")


def _consent_for(said: ObjectManifest, by: SiteAgent) -> PoolConsent:
    """The consent, locked after its study. Raises Forbidden E_NO_CONSENT."""
    found = PoolConsent.objects.filter(sha256=said.consent, node_id=str(by.pk), state="valid").first()
    if found is None:
        raise Forbidden("E_NO_CONSENT")
    Study.objects.select_for_update(no_key=True).get(pk=found.study_id)
    consent = PoolConsent.objects.select_for_update(of=("self",)).select_related("site").get(pk=found.pk)
    if not consent.is_valid or not can(by, Permission.DATASET_REGISTER, consent.site):
        raise Forbidden("E_NO_CONSENT")
    return consent


@transaction.atomic
def begin_object(*, item: PooledObject) -> None:
    """Note that bytes of an object come. Raises as `complete_object`."""
    item = _coming(item)
    if item.state == "announced":
        states.OBJECT.move(item, "receiving")
        item.save(update_fields=["state"])


@transaction.atomic
def complete_object(*, item: PooledObject, by: SiteAgent) -> PooledObject:
    """Keep an object whose bytes have come and are those of its description; once more changes nothing.

    Raises:
        Forbidden: E_NO_CONSENT when its consent ended meanwhile; nothing is kept then.
    """
    item = _coming(item)
    if item.state == "complete":
        return item
    states.OBJECT.move(item, "complete")
    item.completed_at = timezone.now()
    item.save(update_fields=["state", "completed_at"])
    have_look(PoolNode.objects.filter(keys=item.consent.key_id))
    _record("received", item, by)
    return item


def _coming(item: PooledObject) -> PooledObject:
    item = locked(item)
    if item.state not in states.HELD or not item.consent.is_valid:
        raise Forbidden("E_NO_CONSENT")
    return item


@transaction.atomic
def refuse_object(*, item: PooledObject, code: str, by: SiteAgent) -> None:
    """Drop an object that is not what its description says, and keep nothing of it; the log notes the code."""
    item = locked(item)
    if item.state not in states.COMING:
        return
    states.OBJECT.move(item, "refused")
    item.ended_at = timezone.now()
    item.save(update_fields=["state", "ended_at"])
    transaction.on_commit(partial(storage.remove, item))
    _record("refused", item, by, outcome="refused", code=code)


def locked(item: PooledObject) -> PooledObject:
    """The object, locked after its study."""
    Study.objects.select_for_update(no_key=True).get(pool_consents__sent=item)
    rows = PooledObject.objects.select_for_update(of=("self",)).select_related("consent__site", "consent__key")
    return rows.get(pk=item.pk)


@transaction.atomic
def note_table(*, dataset: Dataset, consents: Sequence[str], by: SiteAgent) -> PooledTable:
    """Note under which consents, by their SHA-256, the rows of a pool node's dataset came.

    Raises:
        NotFound: E_NO_POOL when the node is not the pool node of the dataset's study.
        Refusal: E_CONSENT for one that is not of this study; E_CONSENT_REVOKED, E_CONSENT_EXPIRED for one that ended.
    """
    Study.objects.select_for_update(no_key=True).get(pk=dataset.study_id)
    pool = PoolNode.objects.filter(study=dataset.study_id, node_id=str(by.pk), state="named").first()
    if pool is None or dataset.node_id != pool.node_id:
        raise NotFound("E_NO_POOL")
    found = list(PoolConsent.objects.filter(sha256__in=consents, key__pool_node=pool))
    if not found or {consent.sha256 for consent in found} != set(consents):
        raise Refusal("E_CONSENT", "The table holds rows under a consent that is not on file for this pool node.")
    for consent in found:
        if not consent.is_valid:
            raise Refusal("E_CONSENT_EXPIRED" if consent.standing == "expired" else "E_CONSENT_REVOKED")
    until = min(consent.not_after for consent in found)
    made = {"pool_node": pool, "good_until": until, "stale_since": None}
    table, _ = PooledTable.objects.update_or_create(dataset=dataset, defaults=made)
    if not {consent.pk for consent in found} <= set(table.consents.values_list("pk", flat=True)):
        table.consents.add(*found)  # whose rows were in it before is remembered
        detail = {"consents": sorted(consents), "sites": len(found), "rows_band": dataset.rows_band}
        record(
            action="pooling:table:made", actor=by, obj=dataset, study=dataset.study_id, site=dataset.site_id,
            detail=detail,
        )  # fmt: skip
    return table


def _record(verb: str, item: PooledObject, by: Any, *, outcome: str = "done", **detail: Any) -> None:
    consent = item.consent
    facts = {"site_name": consent.site.name, "sha256": item.sha256, "rows": item.rows, "size": item.size}
    facts |= {"consent": consent.sha256, **detail}
    record(
        action=f"pooling:object:{verb}",
        actor=by,
        obj=item,
        study=consent.study_id,
        site=consent.site_id,
        outcome=outcome,
        detail=facts,
    )
