"""How long a browser's session lasts: half an hour without use, half a day in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts import sessions
from portal.throttles import address_of

NOTED_EVERY_S = 60
EVENTS = "text/event-stream"
LIVE = "FedStudy-Live"  # live.js sends it with what a page fetches by itself


def connect() -> None:
    """Listen; called once when the pages are loaded."""
    user_logged_in.connect(_begin, dispatch_uid="portal.session_life")


def _begin(*, request: HttpRequest, **_: Any) -> None:
    sessions.begin(request.session, address=address_of(request), agent=request.headers.get("User-Agent", ""))


class SessionLife:
    """Ends sessions that are over, and notes to the minute when one was used.

    A page that fetches itself again while nobody touches it, or listens to what changes, is no use.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session:
            self._look_at(request)
        return self.get_response(request)

    def _look_at(self, request: HttpRequest) -> None:
        session, now = request.session, timezone.now().timestamp()
        if is_over(session):
            logout(request)
        elif now - session[sessions.SEEN] > NOTED_EVERY_S and not _is_by_itself(request):
            session[sessions.SEEN] = now


def is_over(session: SessionBase) -> bool:
    """Whether nobody used a session for too long, or it began too long ago."""
    now = timezone.now().timestamp()
    started, seen = session.get(sessions.STARTED, 0), session.get(sessions.SEEN, 0)
    return now - started > settings.SESSION_COOKIE_AGE or now - seen > settings.FEDSTUDY_SESSION_IDLE_S


def _is_by_itself(request: HttpRequest) -> bool:
    return LIVE in request.headers or request.headers.get("Accept") == EVENTS
