"""Who read what: one event for each person, thing and day, however often they look at it on that day."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import structlog
from django.core.cache import cache
from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from redis.exceptions import RedisError

from audit.models import Event
from audit.services import record

DAY_S = 24 * 60 * 60
log = structlog.get_logger("audit")


def note_log_read(*, by: Any, study: Model | None) -> None:
    """Note that somebody reads the log of a study, or all of it that they may read."""
    note_daily(action="audit:log:read", by=by, obj=study or by, study=study)


def note_proof(*, by: Any) -> None:
    """Note that somebody has the log proved: that events are in it, or that it only grew."""
    note_daily(action="audit:log:proved", by=by, obj=by)


def note_daily(*, action: str, by: Any, obj: Model, study: object = None) -> None:
    """Note that somebody does something with a thing; the first time on a day (UTC)."""
    today = timezone.now().date()
    if _is_first(f"noted:{action}:{by.pk}:{obj.pk}:{today}", action=action, by=by, obj=obj):
        with transaction.atomic():
            record(action=action, actor=by, obj=obj, study=study, detail={"day": f"{today}"})


def _is_first(key: str, *, action: str, by: Any, obj: Model) -> bool:
    """Whether it was not noted yet; without the cache the log itself is asked."""
    try:
        return bool(cache.add(key, True, DAY_S))
    except RedisError as error:
        log.warning("readings_not_counted", error=type(error).__name__)
    since = datetime.combine(timezone.now().date(), time(), tzinfo=timezone.now().tzinfo)
    noted = Event.objects.filter(actor=by.audit_name, action=action, object_id=str(obj.pk), at__gte=since)
    return not noted.exists()
