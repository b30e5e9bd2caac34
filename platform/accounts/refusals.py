"""What people and nodes tried without being allowed to, in the log."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError

from accounts.models import Site
from accounts.permissions import Denied
from audit.services import record

NOTED_FOR_S = 60
log = structlog.get_logger("accounts")


def note_denied(error: Denied, *, by: Any) -> None:
    """Note a refusal after what was tried is undone; once a minute for each person and thing: nobody fills the log."""
    about = error.obj or by
    if not _is_new(f"denied:{by.pk}:{error.permission.value}:{about.pk}"):
        return
    with transaction.atomic():
        record(
            action="accounts:permission:denied",
            actor=by,
            obj=about,
            study=error.obj if error.permission.scope == "study" else None,
            site=error.obj if isinstance(error.obj, Site) else None,
            outcome="refused",
            detail={"permission": error.permission.value},
        )


def _is_new(key: str) -> bool:
    """Whether nothing was noted under the key a moment ago; without the cache everything is."""
    try:
        return bool(cache.add(key, True, NOTED_FOR_S))
    except RedisError as error:
        log.warning("refusals_not_counted", error=type(error).__name__)
        return True
