"""Under which circumstances events are written: how the actor showed who they are, from where, by which software.

Whoever takes up a request, a task or a connection says so once, by `under`; every event that is written meanwhile takes
it along. What could lead to a person is a pseudonym: a keyed hash, whose secret can be replaced and forgotten. The
whole text is bound to the event's leaf by a salt, as names and details are.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings

from fedstudy_core import canonical

Circumstances = Callable[[], Mapping[str, Any]]
SYSTEM = "system"
_HEX_DIGITS = 16
Beginning = Token[Circumstances | None]
_current: ContextVar[Circumstances | None] = ContextVar("audit_circumstances", default=None)


@contextmanager
def under(circumstances: Circumstances) -> Iterator[None]:
    """Write the events of this block under these circumstances, which are asked at each event.

    Args:
        circumstances: gives canonical JSON values by name: `auth` with its `method`, `source`, `request`.
    """
    token = begin(circumstances)
    try:
        yield
    finally:
        end(token)


def begin(circumstances: Circumstances) -> Beginning:
    """As `under`, for whoever is told of beginning and end by callbacks."""
    return _current.set(circumstances)


def end(beginning: Beginning) -> None:
    """Go back to the circumstances of before."""
    _current.reset(beginning)


def of_system(part: str, request: str = "") -> Circumstances:
    """What a part of the portal does by itself, as a task or a command."""
    told: dict[str, Any] = {"auth": {"method": SYSTEM, "part": part}}
    return lambda: told | ({"request": request} if request else {})


def text_for(actor: Any, about: Collection[str] = ()) -> str:
    """The context of an event that is written now, as canonical JSON.

    Args:
        actor: whose `audit_standing` (kind or site by name, roles) is told, if it has one.
        about: ids of the study and the site that the event concerns: the roles in these are told.
    """
    circumstances = _current.get() or of_system(_program())
    told = {**circumstances(), "software": settings.FEDSTUDY_SOFTWARE}
    standing = actor.audit_standing(about) if hasattr(actor, "audit_standing") else None
    return canonical.dumps({**told, "actor": standing} if standing else told).decode("utf-8")


def pseudonym(kind: str, value: object) -> str:
    """What stands for a session, an address or a program in the log; empty for nothing.

    The same value has the same pseudonym for as long as the secret (`FEDSTUDY_LOG_SECRET`) stays.
    """
    text = str(value or "")
    data = f"fedstudy-{kind}-v1\n{text}".encode("utf-8", "surrogateescape")
    return hmac.digest(settings.FEDSTUDY_LOG_SECRET.encode(), data, sha256).hex()[:_HEX_DIGITS] if text else ""


@cache
def _program() -> str:
    """What this process was started as: the name of a management command, or of the program."""
    name, *rest = [*sys.argv, ""]
    path = Path(name)
    if path.name == "manage.py" and rest[0]:
        return rest[0]
    return path.parent.name if path.stem == "__main__" else path.stem
