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

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from federation.runs import states
from federation.runs.models import Run

LEASE = timedelta(seconds=30)


class Fenced(Exception):
    """Another worker holds the run now, or its state has moved on: stop at once, write nothing."""


@dataclass(frozen=True)
class Lease:
    """A hold on a run.

    Attributes:
        taken_over: whether the holder before did not end in order: it may have taken in replies without noting them.
        unattended_s: for how long nobody had driven the run; some seconds too long where the holder before died.
    """

    run_id: uuid.UUID
    owner: str
    epoch: int
    taken_over: bool = False
    unattended_s: float = 0.0

    def hold(self) -> None:
        """Lock the run's row for the current transaction and renew the lease, in one statement.

        Raises:
            Fenced: the run is no longer this holder's, or nobody is to drive it.
        """
        mine = Run.objects.filter(pk=self.run_id, epoch=self.epoch, lease_owner=self.owner, state__in=states.DRIVEN)
        if not mine.update(lease_until=timezone.now() + LEASE):
            raise Fenced

    def locked_run(self) -> Run:
        """As `hold`; the run as it is now. Raises Fenced."""
        self.hold()
        return Run.objects.get(pk=self.run_id)

    def release(self, *, in_order: bool) -> None:
        """Let go of the run; `in_order` when everything that came was written down."""
        owner = "" if in_order else self.owner
        Run.objects.filter(pk=self.run_id, epoch=self.epoch).update(lease_owner=owner, lease_until=timezone.now())


def claim(run_id: uuid.UUID, hold_for: timedelta = LEASE) -> Lease | None:
    """Take the run if it is to be driven and nobody holds it; None otherwise."""
    now = timezone.now()
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    with transaction.atomic():
        rows = Run.objects.select_for_update(skip_locked=True).filter(free, pk=run_id, state__in=states.DRIVEN)
        before = rows.values_list("epoch", "lease_owner", "lease_until").first()
        if before is None:
            return None
        epoch, last_owner, held_until = before[0] + 1, before[1], before[2] or now
        Run.objects.filter(pk=run_id).update(epoch=epoch, lease_owner=owner, lease_until=now + hold_for)
    driven_until = held_until - LEASE if last_owner else held_until
    unattended_s = max((now - driven_until).total_seconds(), 0.0)
    return Lease(run_id=run_id, owner=owner, epoch=epoch, taken_over=bool(last_owner), unattended_s=unattended_s)
