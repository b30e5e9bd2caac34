"""Whose turn it is: runs wait in one queue until their study and each of their nodes has a place for them.

The order is by the time of queueing, from which a priority takes a fixed head start. So nothing waits for ever: behind
a run that waits only those can slip in that came within the largest head start. A run that waits for a place at a
node holds its place open there: later runs do not take it, however small they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from federation.runs import states
from federation.runs.models import PRIORITIES, Participant, Run
from fedstudy_core.errors import Conflict, Invalid
from studies.lifecycle.services import check_under_way

HEAD_START: Mapping[str, timedelta] = MappingProxyType(
    {"low": timedelta(hours=-4), "normal": timedelta(0), "high": timedelta(hours=4)}
)
ADMISSION_LOCK = 0x464553  # advisory lock: one admission at a time
QUEUE = "system:queue"


@dataclass(frozen=True)
class Hindrance:
    """What a queued run waits for: a place in its study (`site` is empty) or at a site's node."""

    site: str
    limit: int

    @property
    def sentence(self) -> str:
        """What is waited for, such as "a place at the node of Hungary (4 runs at a time)"."""
        where = f"at the node of {self.site}" if self.site else "in its study"
        return f"a place {where} ({self.limit} run{'s' if self.limit > 1 else ''} at a time)"


@dataclass(frozen=True)
class Place:
    """A run's place in the queue, from 1, of how many, and what it waits for."""

    number: int
    length: int
    waits_for: tuple[Hindrance, ...]


@dataclass(frozen=True)
class _Entry:
    run: Run
    nodes: Mapping[UUID, str]


def turn(run: Run) -> datetime:
    """The moment by which queued runs are ordered."""
    return (run.queued_at or run.created_at) - HEAD_START[run.priority]


def _entries() -> list[_Entry]:
    waiting = Run.objects.filter(state="queued").select_related("study")
    queued = sorted(waiting, key=lambda run: (turn(run), str(run.pk)))
    nodes: dict[UUID, dict[UUID, str]] = {run.pk: {} for run in queued}
    rows = Participant.objects.filter(run__state="queued").values_list("run_id", "node_id", "enrolment__site__name")
    for run_id, node_id, site in rows:
        nodes.setdefault(run_id, {})[node_id] = site
    return [_Entry(run, nodes[run.pk]) for run in queued]


def walk(visit: Callable[[Run, int, tuple[Hindrance, ...]], None]) -> None:
    """Go through the queue in order; `visit` hears of each run, its place, and what hinders it (nothing: its turn)."""
    driven = Run.objects.filter(state__in=states.DRIVEN)
    in_study = Counter(driven.values_list("study_id", flat=True))
    at_node = Counter(Participant.objects.filter(run__in=driven).values_list("node_id", flat=True))
    most_in_study, most_at_node = settings.FEDSTUDY_RUNS_PER_STUDY, settings.FEDSTUDY_RUNS_PER_NODE
    for number, entry in enumerate(_entries(), start=1):
        run = entry.run
        full = [Hindrance(site, most_at_node) for node, site in entry.nodes.items() if at_node[node] >= most_at_node]
        if in_study[run.study_id] >= most_in_study:
            visit(run, number, (Hindrance("", most_in_study), *full))
            continue
        visit(run, number, tuple(full))
        at_node.update(entry.nodes.keys())  # admitted, or holds its places open
        if not full:
            in_study[run.study_id] += 1


def place_of(run: Run) -> Place | None:
    """Where a run stands; None when it is not queued."""
    found: list[tuple[int, tuple[Hindrance, ...]]] = []
    length = 0

    def note(visited: Run, number: int, hindrances: tuple[Hindrance, ...]) -> None:
        nonlocal length
        length = number
        if visited.pk == run.pk:
            found.append((number, hindrances))

    if run.state == "queued":
        walk(note)
    return Place(found[0][0], length, found[0][1]) if found else None


@transaction.atomic
def admit_runs() -> list[UUID]:
    """Let every run begin whose turn it is; returns their ids. Safe to repeat: a place is given once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADMISSION_LOCK])
    turns: list[UUID] = []
    walk(lambda run, _, hindrances: None if hindrances else turns.append(run.pk))
    admitted = []
    for run in Run.objects.select_for_update(of=("self",)).filter(pk__in=turns, state="queued"):
        states.RUN.move(run, "waiting")
        run.admitted_at = timezone.now()
        run.save(update_fields=["state", "admitted_at"])
        record(action="runs:run:admitted", actor=QUEUE, obj=run, study=run.study_id)
        _wake(run)
        admitted.append(run.pk)
    return admitted


@transaction.atomic
def set_priority(*, run: Run, priority: str, by: User) -> Run:
    """Give a run that has not begun another priority.

    Raises:
        Conflict: E_STATE once its turn has come, or the study is over.
        Invalid: E_INVALID for a priority that there is not.
    """
    run = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    check(by, Permission.RUN_START, run.study)
    check_under_way(run.study, "and its runs do not begin any more")
    if priority not in PRIORITIES:
        raise Invalid("E_INVALID", f"A priority is {', '.join(PRIORITIES[:-1])} or {PRIORITIES[-1]}.")
    if run.state not in ("draft", "queued", "paused"):
        raise Conflict("E_STATE", f"This run is {run.state}; a priority matters only until its turn has come.")
    before, run.priority = run.priority, priority
    run.save(update_fields=["priority"])
    detail = {"before": before, "priority": priority}
    record(action="runs:run:prioritised", actor=by, obj=run, study=run.study_id, detail=detail)
    return run


def _wake(run: Run) -> None:
    from federation.runs.tasks import drive

    transaction.on_commit(lambda: drive.delay(str(run.pk)))
