"""Naming the node that holds a study's pooled rows, and taking the keys that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.duplicates import refuse_duplicates
from accounts.models import Site, User
from accounts.permissions import Permission, SiteAgent, check
from audit.services import record
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Conflict, Forbidden, NotFound, Refusal
from fedstudy_core.pooling.statements import verify_key
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.pooling import states
from studies.pooling.consents import end_consent
from studies.pooling.models import PoolConsent, PoolKey, PoolNode
from studies.pooling.news import have_look
from studies.pooling.selectors import pool_node_of


@transaction.atomic
def name_pool_node(*, study: Study, site: Site, node: SiteAgent, node_name: str, by: User) -> PoolNode:
    """Name the node that is to hold the study's pooled rows; the same node again changes nothing.

    Raises:
        Forbidden, NotFound: as for inviting sites.
        Conflict: E_STATE in a study that is over; E_NODE for a node that is not active; E_NOT_READY when its site takes
            no part in the study; E_EXISTS when another node is named.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    check(by, Permission.STUDY_INVITE, study)
    check_under_way(study, "and names no pool node")
    if not node.may_act or node.site_id != site.pk:
        raise Conflict("E_NODE", "A pool node is an active node of its site.")
    if not Enrolment.objects.filter(study=study, site=site, state__in=TAKING_PART).exists():
        raise Conflict(
            "E_NOT_READY", f"{site.name} takes no part in this study: invite it as coordinating centre first."
        )
    named = pool_node_of(study)
    if named is not None:
        if named.node_id == str(node.pk):
            return named
        raise Conflict("E_EXISTS", f"“{named}” holds this study's pooled rows; end that first.")
    pool = PoolNode.objects.create(study=study, site=site, node_id=str(node.pk), node_name=node_name, named_by=by)
    have_look(PoolNode.objects.filter(pk=pool.pk))
    _record("node:named", pool, by, {})
    return pool


@transaction.atomic
def end_pool_node(*, pool: PoolNode, reason: str, by: User) -> PoolNode:
    """Name no pool node any more: every consent to pool rows at it is revoked, and its tables are used no more.

    Raises:
        Forbidden, NotFound: as for inviting sites.
        Conflict: E_STATE when it was ended before.
    """
    check(by, Permission.STUDY_INVITE, pool.study)
    return _end(pool, reason.strip()[:300], by)


@transaction.atomic
def end_pools_of(*, node_id: UUID | str | None = None, site: Site | None = None, study_id: UUID | None = None,
                 reason: str, by: Any) -> None:  # fmt: skip
    """End the pool nodes that a decision elsewhere, checked there, leaves without their node or site."""
    rows = PoolNode.objects.filter(state="named")
    if node_id is not None:
        rows = rows.filter(node_id=str(node_id))
    if site is not None:
        rows = rows.filter(site=site, study=study_id)
    for pool in rows.select_related("study", "site"):
        _end(pool, reason, by)


def _end(pool: PoolNode, reason: str, by: Any) -> PoolNode:
    Study.objects.select_for_update(no_key=True).get(pk=pool.study_id)
    pool = PoolNode.objects.select_for_update(of=("self",)).select_related("study", "site").get(pk=pool.pk)
    states.POOL_NODE.move(pool, "ended")
    pool.ended_at, pool.ended_reason = timezone.now(), reason
    pool.save(update_fields=["state", "ended_at", "ended_reason"])
    have_look(PoolNode.objects.filter(pk=pool.pk))
    _record("node:ended", pool, by, {"reason": reason})
    for consent in PoolConsent.objects.select_for_update().filter(key__pool_node=pool, state="valid"):
        end_consent(consent, "revoked", "the pool node was ended", by)
    return pool


@transaction.atomic
def register_key(
    *, pool: PoolNode, site: Site, recipient: str, envelope: bytes, trusted: Mapping[str, VerifyingKey], by: SiteAgent
) -> PoolKey:
    """Keep the public key that the pool node made for a site; the same key again changes nothing.

    Raises:
        NotFound: E_NO_POOL for a node that is not the study's pool node; E_NOT_FOUND for a site that takes no part.
        Refusal: the codes of `verify_key`; E_CONSENT when the statement is about something else.
        Conflict: E_EXISTS when there is another key for the site, or the key was used before.
    """
    Study.objects.select_for_update(no_key=True).get(pk=pool.study_id)
    pool = PoolNode.objects.select_for_update(of=("self",)).select_related("study", "site").get(pk=pool.pk)
    if pool.state != "named" or pool.node_id != str(by.pk):
        raise NotFound("E_NO_POOL")
    if not by.may_act:
        raise Forbidden("E_NODE")
    check_under_way(pool.study, "and takes no keys")
    if not Enrolment.objects.filter(study=pool.study_id, site=site, state__in=TAKING_PART).exists():
        raise NotFound("E_NOT_FOUND")
    said = verify_key(envelope, trusted)
    if (said.study, said.site, said.node, said.recipient) != (
        str(pool.study_id),
        str(site.pk),
        pool.node_id,
        recipient,
    ):
        raise Refusal("E_CONSENT", "The statement is about another study, site, node or key.")
    known = pool.keys.filter(site=site, state="active").first()
    if known is not None and known.recipient == recipient:
        return known
    if known is not None:
        raise Conflict("E_EXISTS", f"There is a key for {site.name} already.")
    with refuse_duplicates("This key was used before; a pool node makes a new one for each site."):
        key = PoolKey.objects.create(pool_node=pool, site=site, recipient=recipient, envelope=envelope)
    _record("key:registered", pool, by, {"recipient": recipient, "site_name": site.name}, site=site)
    return key


def _record(verb: str, pool: PoolNode, by: Any, detail: dict[str, Any], *, site: Site | None = None) -> None:
    facts = {"node": pool.node_id, "pool_site": pool.site.name, **detail}
    record(action=f"pooling:{verb}", actor=by, obj=pool, study=pool.study_id, site=site or pool.site_id, detail=facts)
