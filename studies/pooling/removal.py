"""The portal's own part in the end of pooled rows: it removes what it holds, whether or not the pool node lives.

With an object go the keys of its content, which lie in its head, sealed for the pool node and the site. What the pool
node holds only the pool node destroys, and proves: until it did, a consent waits for that proof (`awaits_proof`).
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.reasons import RETENTION_OVER
from audit.services import record
from studies.lifecycle.models import Study
from studies.pooling import storage
from studies.pooling.models import PoolConsent, PooledObject

CLOCK = "system:pooling"


def remove_object(item: PooledObject, reason: str, by: Any) -> None:
    """Remove what there is of an object and say so in the log; once more changes nothing. The caller holds the lock."""
    if item.removed_at is not None:
        return
    item.removed_at = timezone.now()
    item.save(update_fields=["removed_at"])
    transaction.on_commit(partial(storage.remove, item))
    consent = item.consent
    detail = {"site_name": consent.site.name, "sha256": item.sha256, "consent": consent.sha256, "reason": reason}
    record(
        action="pooling:object:removed", actor=by, obj=item, study=consent.study_id, site=consent.site_id, detail=detail
    )


@transaction.atomic
def end_retention(now: datetime) -> int:
    """Remove the objects of consents whose retention is over; answers how many."""
    kept = PooledObject.objects.filter(removed_at=None, consent__retention_until__lte=now).exclude(state="refused")
    overdue = PoolConsent.objects.filter(pk__in=kept.values("consent")).exclude(state="valid")
    number = 0
    for pk, study in overdue.order_by("study_id", "pk").values_list("pk", "study_id"):
        Study.objects.select_for_update(no_key=True).get(pk=study)
        rows = kept.filter(consent=pk).select_for_update(of=("self",)).select_related("consent__site")
        for item in rows:
            remove_object(item, RETENTION_OVER, CLOCK)
            number += 1
    return number


def sweep() -> None:
    """Remove what an interruption left on the disk of objects that are removed or refused."""
    there = [UUID(name) for name in storage.names()]
    over = Q(removed_at__isnull=False) | Q(state="refused")
    for item in PooledObject.objects.filter(over, pk__in=there):
        storage.remove(item)
