"""What people and nodes tried without being allowed to, in the log."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError

from accounts.models import Site, User
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


def note_locked_out(*, limit: str, key: str, lasts_s: int, email: str = "") -> None:
    """Note that somebody tried too often to show who they are; once for as long as that is counted.

    One event for a known account and for an unknown one, as for each try that was refused.

    Args:
        limit: which count is full: "sign-in", "sign-in-account", "password" or "code".
        key: of the count.
    """
    if not _is_new(f"locked:{key}", lasts_s):
        return
    known = User.objects.filter(email=email.strip().lower()).first() or User(name="an unknown account")
    with transaction.atomic():
        detail = {"limit": limit, "seconds": str(lasts_s)}
        record(action="accounts:session:locked", actor="system:sign-in", obj=known, outcome="refused", detail=detail)


def _is_new(key: str, lasts_s: int = NOTED_FOR_S) -> bool:
    """Whether nothing was noted under the key a moment ago; without the cache everything is."""
    try:
        return bool(cache.add(key, True, lasts_s))
    except RedisError as error:
        log.warning("refusals_not_counted", error=type(error).__name__)
        return True
