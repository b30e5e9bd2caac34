"""All runs that are under way or wait for their turn, for those who keep the platform going.

They see which study, how far, and what is waited for; never a result, a script or a configuration.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Q

from federation.runs import states
from federation.runs.models import Participant, Participation, Run
from federation.runs.participants import is_away
from federation.runs.queue import walk

MOST = 100


@dataclass(frozen=True)
class Work:
    """A run under way, or queued.

    Attributes:
        place: in the queue, from 1; 0 for a run whose turn has come.
        committed: rounds of `rounds` that are committed.
        waits_for: what it waits for, in words.
        driven: whether a worker holds it at the moment.
    """

    id: UUID
    study: str
    state: str
    priority: str
    rounds: int
    committed: int
    queued_at: datetime
    started_at: datetime | None
    place: int
    waits_for: tuple[str, ...]
    driven: bool


@dataclass(frozen=True)
class Overview:
    """The first MOST of each, in order, and how many there are."""

    running: list[Work]
    queued: list[Work]
    running_count: int
    queued_count: int


def overview(now: datetime) -> Overview:
    """What workers do and what waits for them; in a fixed number of queries."""
    driven = Run.objects.filter(state__in=states.DRIVEN).select_related("study")
    committed = Count("round_set", filter=Q(round_set__state="committed", round_set__number__gt=0))
    rows = list(driven.annotate(committed=committed).order_by(F("admitted_at").asc(nulls_last=True), "pk")[:MOST])
    awaited = _awaited([run.pk for run in rows], now)
    running = [_work(run, run.committed, awaited.get(run.pk, ()), now=now) for run in rows]
    queued = _queued(now)
    return Overview(running, queued[:MOST], driven.count(), len(queued))


def _awaited(runs: Collection[UUID], now: datetime) -> dict[UUID, tuple[str, ...]]:
    """The sites that each run waits for: that are to answer, or before its start those that are not there."""
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    asked = Participation.objects.filter(round__run__in=runs, round__state="open", state="awaited")
    for run, site in asked.values_list("round__run_id", "participant__enrolment__site__name"):
        found[run].append(f"the answer of {site}")
    absent = Participant.objects.filter(run__in=runs, run__state="waiting").select_related("node", "enrolment__site")
    for participant in absent:
        if is_away(participant, now):
            found[participant.run_id].append(f"the node of {participant.enrolment.site.name}")
    return {run: tuple(sorted(waits)) for run, waits in found.items()}


def _queued(now: datetime) -> list[Work]:
    found: list[Work] = []
    walk(
        lambda run, number, hindrances: found.append(
            _work(run, 0, tuple(item.sentence for item in hindrances), place=number, now=now)
        )
    )
    return found


def _work(run: Run, committed: int, waits_for: tuple[str, ...], *, now: datetime, place: int = 0) -> Work:
    return Work(
        id=run.pk,
        study=run.study.title,
        state=run.state,
        priority=run.priority,
        rounds=run.rounds,
        committed=committed,
        queued_at=run.queued_at or run.created_at,
        started_at=run.started_at,
        place=place,
        waits_for=waits_for,
        driven=run.lease_until is not None and run.lease_until > now,
    )
