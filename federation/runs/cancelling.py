"""Runs that wait to use what may be used no more: they are stopped before they begin."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services import record
from federation.runs import states
from federation.runs.models import Run
from federation.runs.pooled import REVOKED
from federation.runs.services import leave
from fedstudy_core.codes import CODES
from studies.pooling.models import PoolConsent

NOT_BEGUN = ("queued", "waiting")


@transaction.atomic
def cancel_waiting(*, consent: PoolConsent, by: Any) -> None:
    """Stop the runs that wait for their turn, or for their sites, to use rows under a consent that ended.

    Those under way go on without the pool node, as far as their quorum allows (`participants.absence`).
    """
    using = Run.objects.filter(
        state__in=NOT_BEGUN,
        participants__approval__dataset__pooled_table__consents=consent,
        participants__approval__dataset__pooled_table__stale_since__isnull=False,  # it may stand on newer consents now
    )
    for run in Run.objects.select_for_update(of=("self",)).filter(pk__in=using.values("pk"), state__in=NOT_BEGUN):
        states.RUN.move(run, "stopped")
        run.ended_at, run.reason_code, run.reason = timezone.now(), REVOKED, CODES[REVOKED]
        run.epoch, run.lease_owner, run.lease_until = run.epoch + 1, "", None
        run.save()
        detail = {"reason": run.reason, "code": REVOKED}
        record(action="runs:run:stopped", actor=by, obj=run, study=run.study_id, detail=detail)
        leave(run)
