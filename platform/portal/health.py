"""How the parts of the platform are: each asked at the moment, or judged by when it was last heard of."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from time import perf_counter

import django
import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils import timezone
from redis.exceptions import RedisError

from audit.models import Checkpoint, Event, Queued
from nodes.registry.models import Node
from nodes.registry.selectors import online_nodes
from nodes.registry.versions import standing_of
from portal import pulses

log = structlog.get_logger("portal.health")

STATES = ("ok", "warning", "failing", "unknown")
QUIET = timedelta(seconds=60)  # beat wakes a worker every five seconds, and one for what goes outside every thirty
LITTLE_DISK, SCARCE_DISK = 0.15, 0.05
REDIS_ERRORS = (RedisError, OSError)


@dataclass(frozen=True)
class Part:
    """One part of the platform.

    Attributes:
        state: one of STATES.
        detail: a sentence of what was found.
        at: when it was last heard of, where that is how it is judged.
    """

    name: str
    state: str
    detail: str
    at: datetime | None = None

    @property
    def is_asked(self) -> bool:
        """Whether it was asked at the moment."""
        return self.name in ("database", "redis", "disk")


@dataclass(frozen=True)
class Software:
    """A piece of software and the version that runs."""

    name: str
    version: str
    standing: str = "current"


def database_answers() -> bool:
    """Whether PostgreSQL answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.error("database does not answer", error=str(error))
        return False
    return True


def redis_answers() -> bool:
    """Whether Redis answers."""
    try:
        cache.get("healthz")
    except REDIS_ERRORS as error:
        log.error("redis does not answer", error=str(error))
        return False
    return True


def parts() -> list[Part]:
    """All parts, those first that everything else stands on."""
    return [
        _asked("database", "PostgreSQL", database_answers),
        _asked("redis", "Redis", redis_answers),
        _workers(),
        _outside(),
        _superlink(),
        _log(),
        _disk(),
        _nodes(),
    ]


def software() -> list[Software]:
    """The software that runs here, the portal first, and the workers as they say."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = str(cursor.fetchone()[0])
    own = [
        Software("Portal", settings.FEDSTUDY_VERSION),
        *(Software(f"Worker {pulse.name}", found, standing_of(found, settings.FEDSTUDY_VERSION))
          for pulse in _all_workers() for found in [str(pulse.facts["version"])]),
    ]  # fmt: skip
    return [
        *own,
        Software("Flower", version("flwr")),
        Software("Django", django.get_version()),
        Software("Celery", version("celery")),
        Software("Python", platform.python_version()),
        Software("PostgreSQL", postgres),
    ]


def _asked(name: str, label: str, answers: Callable[[], bool]) -> Part:
    began = perf_counter()
    if not answers():
        return Part(name, "failing", f"{label} does not answer; the portal's log says why.")
    return Part(name, "ok", f"{label} answered in {1000 * (perf_counter() - began):.1f} ms.")


def _workers() -> Part:
    nobody = "No worker has finished anything in the last minute: runs stand still. Look at worker and beat."
    return _at_work("workers", _heard(pulses.WORKERS), nobody)


def _outside() -> Part:
    nobody = "Nobody sent e-mail and webhooks in the last minute: they wait. Look at the worker outside and beat."
    return _at_work("outside", _heard(pulses.OUTSIDE), nobody)


def _at_work(name: str, found: Sequence[pulses.Pulse], nobody: str) -> Part:
    awake = [pulse for pulse in found if timezone.now() - pulse.at <= QUIET]
    latest = max((pulse.at for pulse in found), default=None)
    if not awake:
        return Part(name, "failing", nobody, latest)
    old = [pulse for pulse in awake if pulse.facts["version"] != settings.FEDSTUDY_VERSION]
    if old:
        names = ", ".join(pulse.name for pulse in old)
        return Part(name, "warning", f"Not of the portal's version, restart them: {names}.", latest)
    return Part(name, "ok", f"{len(awake)} at work: {', '.join(pulse.name for pulse in awake)}.", latest)


def _all_workers() -> list[pulses.Pulse]:
    """Every worker once; one that serves both queues is heard of twice."""
    found = {pulse.name: pulse for kind in (pulses.OUTSIDE, pulses.WORKERS) for pulse in _heard(kind)}
    return [found[name] for name in sorted(found)]


def _superlink() -> Part:
    found = next(iter(_heard(pulses.SUPERLINK)), None)
    if found is None:
        return Part("superlink", "unknown", "No worker has spoken with the SuperLink yet.")
    code = found.facts["code"]
    if code:
        return Part("superlink", "failing", f"The SuperLink did not answer a worker ({code}).", found.at)
    if timezone.now() - found.at > QUIET:
        return Part("superlink", "unknown", "No worker has asked the SuperLink in the last minute.", found.at)
    return Part("superlink", "ok", "The SuperLink answered a worker.", found.at)


def _log() -> Part:
    first = Queued.objects.order_by("event").values("event")[:1]
    waits_since = Event.objects.filter(pk__in=first).values_list("at", flat=True).first()
    latest = Checkpoint.objects.values_list("at", flat=True).first()
    if waits_since is not None and timezone.now() - waits_since > QUIET:
        detail = "Events have waited for their place in the log's tree for more than a minute. Look at the sequencer."
        return Part("log", "failing", detail, latest)
    return Part("log", "ok", "Events get their place in the log's tree; the last checkpoint shows when.", latest)


def _disk() -> Part:
    usage = shutil.disk_usage(settings.FEDSTUDY_DATA_DIR)
    share = usage.free / usage.total
    state = "failing" if share < SCARCE_DISK else "warning" if share < LITTLE_DISK else "ok"
    gib = 1024**3
    detail = f"{usage.free / gib:.1f} GiB of {usage.total / gib:.1f} GiB are free where models and files lie."
    return Part("disk", state, detail)


def _nodes() -> Part:
    active = Node.objects.filter(state="active")
    latest = Node.objects.aggregate(at=Max("last_seen_at"))["at"]
    expected, online = active.count(), online_nodes().count()
    if not expected:
        return Part("nodes", "unknown", "No node is active yet.", latest)
    state = "ok" if online == expected else "warning"
    return Part("nodes", state, f"{online} of {expected} active nodes were heard of in the last 30 seconds.", latest)


def _heard(kind: str) -> list[pulses.Pulse]:
    try:
        return pulses.heard(kind)
    except REDIS_ERRORS:
        return []
