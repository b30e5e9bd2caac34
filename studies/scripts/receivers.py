"""What happens elsewhere that ends approvals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from accounts.signals import node_revoked
from audit.reasons import NODE_REVOKED, SITE_WITHDREW
from studies.enrolment.models import Enrolment
from studies.enrolment.signals import enrolment_changed
from studies.scripts.approvals import revoke_approvals


def connect() -> None:
    enrolment_changed.connect(_revoke_when_site_leaves, dispatch_uid="scripts.enrolment_changed")
    node_revoked.connect(_revoke_of_node, dispatch_uid="scripts.node_revoked")


def _revoke_when_site_leaves(*, enrolment: Enrolment, by: Any, **_: Any) -> None:
    if enrolment.state == "withdrawn":
        revoke_approvals(site=enrolment.site, study_id=enrolment.study_id, reason=SITE_WITHDREW, by=by)


def _revoke_of_node(*, node_id: UUID, site_id: UUID, by: Any, **_: Any) -> None:
    revoke_approvals(site=site_id, node_id=node_id, reason=NODE_REVOKED, by=by)
