"""Keeping the sites' signed statements: recording them as received, and revoking them.

The portal checks a statement to tell people early what is wrong with it. The check that counts is the node's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.groups import holders
from accounts.models import Site, User
from accounts.permissions import Permission, SiteAgent, check
from accounts.roles import Role
from audit.services import record
from fedstudy_core.approvers import Approver
from fedstudy_core.canonical import digest
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Conflict, Forbidden, Refusal
from fedstudy_core.revocation import verify_revocation
from fedstudy_core.statement import MAX_VALIDITY, Statement, statement_id, verify_statement
from fedstudy_core.times import parse_time
from studies.dictionary.models import Dataset
from studies.lifecycle.states import EDITABLE
from studies.scripts import states
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.selectors import replaced_versions
from studies.scripts.signals import approval_recorded, approval_revoked

Person = User | SiteAgent
REASON_LENGTH = 300
NAMES_LENGTH = 200


@transaction.atomic
def record_approval(
    *,
    version: ScriptVersion,
    site: Site,
    node_id: UUID | str,
    dataset: Dataset,
    envelope: bytes,
    trusted: Mapping[str, Approver],
    by: Person,
) -> Approval:
    """Store a site's signed statement on a version, byte for byte; the same statement again changes nothing.

    A newer statement of the same node on the same version and dataset replaces the older one. `trusted` holds those who
    may sign at the site's node, by the ids of their keys.

    Raises:
        Forbidden: E_FORBIDDEN when `by` does not speak for the site.
        Refusal: the codes of `verify_statement`; E_STUDY, E_AUDIENCE, E_BUNDLE, E_DATASET when the statement is about
            something else; E_TOO_LONG, E_EXPIRED; E_APPROVER when the study's own investigator signed.
        Conflict: E_STATE when the version was taken back, or the study is closed; E_REVOKED for a revoked statement.
    """
    version = ScriptVersion.objects.select_for_update(of=("self",)).select_related("script__study").get(pk=version.pk)
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
    _check_speaker(by, site, node_id)
    statement = verify_statement(envelope, trusted)
    _check_subject(statement, version, site, node_id, dataset)
    _check_approver(statement, version, by)
    known = Approval.objects.filter(statement_id=statement_id(envelope)).first()
    if known is not None:
        if known.state == "revoked":
            raise Conflict("E_REVOKED")
        return known
    _check_usable(version, dataset)
    approval = _read(statement, envelope)
    approval.version, approval.site, approval.node_id, approval.dataset = version, site, str(node_id), dataset
    _replace_earlier(approval, by)
    approval.save()
    detail = {"decision": approval.decision, "signed_at": statement.issued_at, "not_after": statement.not_after}
    detail["envelope"] = digest(envelope)
    _record("recorded", approval, by, detail)
    approval_recorded.send(sender=Approval, approval=approval, by=by)
    return approval


def _read(statement: Statement, envelope: bytes) -> Approval:
    """The row of a statement, for people to read and search; what it is about is set by the caller."""
    begin, end = _period(statement)
    return Approval(
        envelope=envelope,
        statement=statement.model_dump(mode="json", exclude_none=True),
        statement_id=statement_id(envelope),
        decision=statement.meaning,
        signed_at=parse_time(statement.issued_at),
        not_before=begin,
        not_after=end,
        approver_name=" and ".join(signer.name for signer in statement.approvers)[:NAMES_LENGTH],
        approver_role=" and ".join(signer.role for signer in statement.approvers),
        key_id=statement.approvers[0].key,
    )


def _check_speaker(by: Person, site: Site, node_id: UUID | str) -> None:
    check(by, Permission.SCRIPT_APPROVE, site)
    if isinstance(by, SiteAgent) and str(by.pk) != str(node_id):
        raise Forbidden("E_FORBIDDEN", "A node hands in its own approvals only.")


def _check_subject(
    statement: Statement, version: ScriptVersion, site: Site, node_id: UUID | str, dataset: Dataset
) -> None:
    if statement.study != str(version.script.study_id):
        raise Refusal("E_STUDY")
    if (statement.site, statement.node) != (str(site.pk), str(node_id)):
        raise Refusal("E_AUDIENCE")
    if (statement.script.sha256, statement.script.size) != (version.sha256, version.size):
        raise Refusal("E_BUNDLE")
    offered = (dataset.study_id, dataset.site_id, dataset.node_id)
    if offered != (version.script.study_id, site.pk, str(node_id)):
        raise Refusal("E_DATASET", "The dataset is not one that this node offers to this study.")
    if (statement.dataset.id, statement.dataset.fingerprint) != (str(dataset.pk), dataset.fingerprint):
        raise Refusal("E_DATASET")


def _check_approver(statement: Statement, version: ScriptVersion, by: Person) -> None:
    """Nobody approves their own study: neither by account nor under a name that the statement gives."""
    signers = {signer.name.casefold() for signer in statement.approvers}
    for person in holders(Role.PI, version.script.study):
        if person.pk == by.pk or signers & {person.name.casefold(), person.email}:
            raise Refusal("E_APPROVER", f"{person.name} leads this study and cannot approve for a site.")


def _check_usable(version: ScriptVersion, dataset: Dataset) -> None:
    if version.state != "submitted":
        raise Conflict("E_STATE", "This version was taken back.")
    if version.script.study.state not in EDITABLE:
        raise Conflict("E_STATE", f"This study is {version.script.study.state}.")
    if dataset.state == "withdrawn":
        raise Conflict("E_STATE", "This dataset was withdrawn.")


def _period(statement: Statement) -> tuple[datetime, datetime]:
    begin, end = parse_time(statement.not_before), parse_time(statement.not_after)
    if end - begin > MAX_VALIDITY:
        raise Refusal("E_TOO_LONG")
    if end <= begin or end <= timezone.now():
        raise Refusal("E_EXPIRED", f"The approval ended at {statement.not_after}.")
    return begin, end


def _replace_earlier(approval: Approval, by: Any) -> None:
    """End what a new statement stands in place of: the node's word on this version for this dataset, and, where it
    approves from now on, its approvals of the versions that this one replaces."""
    rows = Approval.objects.select_for_update(of=("self",)).select_related("version__script", "site")
    rows = rows.filter(node_id=approval.node_id, dataset=approval.dataset, state="valid")
    for earlier in rows.filter(version=approval.version):
        _revoke(earlier, "replaced by a newer statement", None, by)
    if approval.decision == "approved" and approval.not_before <= timezone.now():
        for earlier in rows.filter(version__in=replaced_versions(approval.version), decision="approved"):
            _revoke(earlier, f"replaced by version {approval.version.number}", None, by)


@transaction.atomic
def revoke_approval(*, approval: Approval, reason: str = "", by: Person) -> Approval:
    """End a site's approval, by one of its people; revoking it again changes nothing.

    Raises:
        Forbidden: E_FORBIDDEN when `by` does not speak for the site, or is a node: those hand in what the site signed.
    """
    approval = _locked(approval)
    check(by, Permission.APPROVAL_REVOKE, approval.site)
    if isinstance(by, SiteAgent):
        raise Forbidden("E_FORBIDDEN", "A node revokes by a signed revocation.")
    if approval.state != "revoked":
        _revoke(approval, reason.strip()[:REASON_LENGTH], None, by)
    return approval


@transaction.atomic
def record_revocation(
    *, approval: Approval, envelope: bytes, trusted: Mapping[str, VerifyingKey], by: SiteAgent
) -> Approval:
    """End a site's approval by the site's signed revocation, kept byte for byte; doing so again changes nothing.

    `trusted` holds the keys that speak for the node's site, by `fedstudy_core.keys.key_id`.

    Raises:
        Forbidden: E_FORBIDDEN when the node did not make the approval.
        Refusal: the codes of `verify_revocation`; E_REVOCATION when it is about another approval.
    """
    approval = _locked(approval)
    check(by, Permission.APPROVAL_REVOKE, approval.site)
    if str(by.pk) != approval.node_id:
        raise Forbidden("E_FORBIDDEN", "A node revokes its own approvals only.")
    revocation = verify_revocation(envelope, trusted)
    if (revocation.statement, revocation.node) != (approval.statement_id, approval.node_id):
        raise Refusal("E_REVOCATION")
    if approval.state != "revoked":
        _revoke(approval, revocation.reason.strip()[:REASON_LENGTH], envelope, by)
    return approval


def _locked(approval: Approval) -> Approval:
    return (
        Approval.objects.select_for_update(of=("self",)).select_related("version__script", "site").get(pk=approval.pk)
    )


@transaction.atomic
def revoke_approvals(
    *,
    site: Site | UUID,
    study_id: UUID | None = None,
    node_id: UUID | str | None = None,
    reason: str,
    by: Any,
) -> int:
    """Revoke what a site approved, in one study or by one node; a consequence of a decision checked elsewhere.

    Returns:
        How many approvals were revoked.
    """
    rows = Approval.objects.select_for_update(of=("self",)).select_related("version__script", "site")
    rows = rows.filter(site=site, state="valid")
    if study_id is not None:
        rows = rows.filter(version__script__study=study_id)
    if node_id is not None:
        rows = rows.filter(node_id=str(node_id))
    found = list(rows)
    for approval in found:
        _revoke(approval, reason, None, by)
    return len(found)


def _revoke(approval: Approval, reason: str, revocation: bytes | None, by: Any) -> None:
    states.APPROVAL.move(approval, "revoked")
    approval.revoked_at, approval.revoked_reason, approval.revocation = timezone.now(), reason, revocation
    approval.save(update_fields=["state", "revoked_at", "revoked_reason", "revocation"])
    signed = {"envelope": digest(revocation)} if revocation else {}
    _record("revoked", approval, by, {"reason": reason} | signed)
    approval_revoked.send(sender=Approval, approval=approval, by=by)


def _record(verb: str, approval: Approval, by: Any, detail: dict[str, Any]) -> None:
    facts = {
        "approver": approval.approver_name,
        "version": str(approval.version),
        "site_name": approval.site.name,
        "statement": approval.statement_id,
        "sha256": approval.version.sha256,
    }
    study = approval.version.script.study_id
    action = f"scripts:approval:{verb}"
    record(action=action, actor=by, obj=approval, study=study, site=approval.site_id, detail=facts | detail)
