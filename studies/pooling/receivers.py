"""What happens elsewhere that ends consents and pool nodes, or that a pool node must look at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from accounts.signals import node_revoked
from audit.reasons import NODE_REVOKED, SITE_WITHDREW
from studies.enrolment.models import Enrolment
from studies.enrolment.pooling import register
from studies.enrolment.signals import enrolment_changed
from studies.enrolment.states import TAKING_PART
from studies.pooling.consents import end_consents
from studies.pooling.levels import PooledRows
from studies.pooling.models import PoolNode
from studies.pooling.news import have_look
from studies.pooling.services import end_pools_of


def connect() -> None:
    register(PooledRows())
    enrolment_changed.connect(_end_when_site_leaves, dispatch_uid="pooling.enrolment_changed")
    node_revoked.connect(_end_of_node, dispatch_uid="pooling.node_revoked")


def _end_when_site_leaves(*, enrolment: Enrolment, old: str, by: Any, **_: Any) -> None:
    if enrolment.state == "withdrawn":
        reason = SITE_WITHDREW
        end_consents(site_id=enrolment.site_id, study_id=enrolment.study_id, reason=reason, by=by)
        end_pools_of(site=enrolment.site, study_id=enrolment.study_id, reason=reason, by=by)
    elif enrolment.state in TAKING_PART and old not in TAKING_PART:
        have_look(PoolNode.objects.filter(study=enrolment.study_id, state="named"))


def _end_of_node(*, node_id: UUID, site_id: UUID, by: Any, **_: Any) -> None:
    end_consents(site_id=site_id, node_id=node_id, reason=NODE_REVOKED, by=by)
    end_pools_of(node_id=node_id, reason=NODE_REVOKED, by=by)
