"""Under which circumstances a request writes events: who signed in how, from where, in which request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts import sessions
from accounts.models import ApiToken
from audit.context import pseudonym
from portal.throttles import address_of

NODE = {"method": "node key"}
NOBODY = {"method": "none"}


class OfRequest:
    """What is known of a request when an event is written: people may have signed in meanwhile."""

    def __init__(self, request: HttpRequest, identity: str) -> None:
        self._request, self._identity = request, identity

    def __call__(self) -> Mapping[str, Any]:
        request = self._request
        return {
            "auth": auth_of(request),
            "source": source_of(address_of(request), request.headers.get("User-Agent", "")),
            "request": self._identity,
        }


def source_of(address: str, agent: str) -> dict[str, str]:
    """Network address and program, as pseudonyms."""
    told = {"address": pseudonym("address", address), "agent": pseudonym("agent", agent)}
    return {name: value for name, value in told.items() if value}


def auth_of(request: HttpRequest) -> dict[str, Any]:
    """How the sender showed who they are. It asks the database nothing: a session is looked at where there is one."""
    auth = getattr(request, "auth", None)
    if isinstance(auth, ApiToken):
        return _of_token(auth)
    if isinstance(auth, int):  # the number of a node's signed request
        return NODE
    session = getattr(request, "session", None)
    if session is None or not (session.modified or settings.SESSION_COOKIE_NAME in request.COOKIES):
        return NOBODY
    handle = sessions.handle_of(session)
    if handle is None:
        return NOBODY
    return {"method": "session", "session": pseudonym("session", handle), **sessions.ways_of(session)}


def _of_token(token: ApiToken) -> dict[str, Any]:
    method = "program session" if token.is_session else "token"
    return {"method": method, "session": pseudonym("session", token.pk), "aal": token.aal}
