"""What the log is told when the portal starts: that it runs another version, or with other settings, than before."""

from __future__ import annotations

import json
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from audit.context import of_system, under
from audit.models import Event
from audit.services import Thing, record
from fedstudy_core.canonical import digest
from portal.body_limit import Application, Receive, Scope, Send

log = structlog.get_logger("portal.start")
ACTOR = "system:portal"
UPGRADED, CHANGED = "portal:software:upgraded", "portal:settings:changed"
LOCK = 0x666564_737461  # "fedsta": several processes start together, and one of them tells
SECRET = frozenset({"FEDSTUDY_LOG_SECRET"})
OF_THE_SOFTWARE = frozenset({"FEDSTUDY_VERSION", "FEDSTUDY_SOFTWARE"})
OF_A_PROCESS = frozenset({"FEDSTUDY_LOG_KEY"})  # the sequencer's alone


class Start:
    """ASGI middleware: answers the server's word that it starts and ends, and hands on everything else."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        await receive()
        await sync_to_async(tell_start)()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def tell_start() -> None:
    """Tell the log what is new; a portal that cannot, as its database is away, starts all the same."""
    try:
        with under(of_system("portal")):
            note_start()
    except DatabaseError as error:
        log.warning("start_not_noted", error=str(error))
    finally:
        if not connection.in_atomic_block:
            connection.close()


@transaction.atomic
def note_start() -> None:
    """Write what differs from the last start that was written down: version and settings, each an event, once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    portal = Thing("portal", settings.FEDSTUDY_LOG_ORIGIN[:64], settings.FEDSTUDY_PUBLIC_URL)
    before = _last(UPGRADED).get("version", "")
    if before != settings.FEDSTUDY_SOFTWARE:
        detail = {"version": settings.FEDSTUDY_SOFTWARE, "before": before or "none"}
        record(action=UPGRADED, actor=ACTOR, obj=portal, detail=detail)
    known, told = _last(CHANGED).get("settings"), settings_told()
    if known != told:
        names = sorted({*told, *(known or {})})
        changed = [name for name in names if (known or {}).get(name) != told.get(name)] if known else ["all"]
        record(action=CHANGED, actor=ACTOR, obj=portal, detail={"changed": ", ".join(changed), "settings": told})


def settings_told() -> dict[str, str]:
    """Of each setting of an installation that is no secret, by its name, 16 digits of the SHA-256 of its value."""
    left_out = SECRET | OF_THE_SOFTWARE | OF_A_PROCESS
    names = [name for name in dir(settings) if name.startswith("FEDSTUDY_") and name not in left_out]
    values = {name: getattr(settings, name) for name in [*names, "ALLOWED_HOSTS", "SESSION_COOKIE_AGE"]}
    values["FEDSTUDY_SINGLE_SIGN_ON"] = settings.FEDSTUDY_SINGLE_SIGN_ON.open_part
    return {name: digest(repr(values[name]).encode())[:16] for name in sorted(values)}


def _last(action: str) -> dict[str, Any]:
    """What the newest event of a kind says; nothing before the first."""
    detail = Event.objects.filter(action=action).order_by("-pk").values_list("detail", flat=True).first()
    found: dict[str, Any] = json.loads(detail or "{}")
    return found
