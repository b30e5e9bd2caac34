"""A worker holds a run by a lease; the epoch fences off whoever held it before.

The lease is one conditional UPDATE, so two workers never both win, and every later write of the holder locks the run's
row and compares the epoch: a worker that was paused past its lease finds its writes refused, not merged.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from federation.runs import states
from federation.runs.models import Run

LEASE = timedelta(seconds=30)


class Fenced(Exception):
    """Another worker holds the run now, or its state has moved on: stop at once, write nothing."""


@dataclass(frozen=True)
class Lease:
    run_id: uuid.UUID
    owner: str
    epoch: int

    def hold(self) -> Run:
        """Lock the run's row for the current transaction, renew the lease, and answer the run.

        Raises:
            Fenced: the run is no longer this holder's, or is in a final state.
        """
        run = Run.objects.select_for_update().get(pk=self.run_id)
        if run.epoch != self.epoch or run.lease_owner != self.owner or run.is_final:
            raise Fenced
        run.lease_until = timezone.now() + LEASE
        run.save(update_fields=["lease_until"])
        return run

    def release(self) -> None:
        Run.objects.filter(pk=self.run_id, epoch=self.epoch).update(lease_owner="", lease_until=None)


def claim(run_id: uuid.UUID) -> Lease | None:
    """Take the run if it is live and nobody holds it; None otherwise."""
    now = timezone.now()
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    claimed = Run.objects.filter(free, pk=run_id, state__in=states.LIVE).update(
        epoch=F("epoch") + 1, lease_owner=owner, lease_until=now + LEASE
    )
    if not claimed:
        return None
    epoch = Run.objects.values_list("epoch", flat=True).get(pk=run_id)
    return Lease(run_id=run_id, owner=owner, epoch=epoch)
