"""News from below that concern runs: nodes that come, go and change keys, sites that share less or take rows back,
studies that close."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from federation.runs import states
from federation.runs.cancelling import cancel_waiting
from federation.runs.lowering import follow_level
from federation.runs.models import Run
from fedstudy_core.errors import Conflict
from nodes.registry.signals import node_confirmed, node_revoked, node_rotated
from studies.enrolment.models import Enrolment
from studies.enrolment.signals import level_changed
from studies.lifecycle.models import Study
from studies.lifecycle.signals import study_moving
from studies.pooling.models import PoolConsent
from studies.pooling.signals import consent_changed
from studies.pooling.states import ENDINGS


def _sync(**_: object) -> None:
    from federation.runs.tasks import sync_nodes

    transaction.on_commit(sync_nodes.delay)


def _refuse_closed_with_live_runs(*, study: Study, **_: object) -> None:
    if study.state != "closed":
        return
    live = Run.objects.filter(study=study, state__in=states.LIVE).first()
    if live is not None:
        raise Conflict("E_STATE", f"“{live.label}” is {live.state}; stop it first, or let it end.")


def _follow_level(*, enrolment: Enrolment, by: Any, **_: object) -> None:
    follow_level(enrolment=enrolment, by=by)


def _cancel_waiting(*, consent: PoolConsent, verb: str, by: Any, **_: object) -> None:
    if verb in ENDINGS:
        cancel_waiting(consent=consent, by=by)


def connect() -> None:
    consent_changed.connect(_cancel_waiting, dispatch_uid="runs.consent_changed")
    level_changed.connect(_follow_level, dispatch_uid="runs.level_changed")
    study_moving.connect(_refuse_closed_with_live_runs, dispatch_uid="runs.study_moving")
    node_confirmed.connect(_sync, dispatch_uid="runs.sync_confirmed_node")
    node_rotated.connect(_sync, dispatch_uid="runs.sync_rotated_node")
    node_revoked.connect(_sync, dispatch_uid="runs.sync_revoked_node")
