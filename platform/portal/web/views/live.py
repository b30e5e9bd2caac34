"""The stream on which an open page hears that something changed which it shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.selectors import visible_sites
from accounts.sessions import SessionStore
from federation.runs.selectors import runs_for
from fedstudy_core.errors import FedStudyError, Forbidden, NotFound
from portal import streams
from portal.changes import now_ms
from portal.session_life import EVENTS, is_over
from studies.lifecycle import selectors as studies

VISIBLE: Mapping[str, Callable[[User], QuerySet]] = {
    "run": runs_for,
    "study": studies.visible_to,
    "site": visible_sites,
    "person": lambda user: User.objects.filter(pk=user.pk),
}
WORD = re.compile(rf"({'|'.join(VISIBLE)}):([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")
MOST = 40
LONGEST_MOMENT = 16  # digits


@require_GET
async def events(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events of what changed of all that `about` names ("run:<id>"), from the moment `since` (in ms) on.

    204 says that no stream is to be had now: the page asks by itself then.
    """
    session, about = request.session.session_key or "", request.GET.getlist("about")
    since = request.GET.get("since", "")

    async def may_stay() -> bool:
        try:
            await sync_to_async(_reader)(session, about)
        except FedStudyError:
            return False
        return True

    try:
        reader = await sync_to_async(_reader)(session, about)
        if not isinstance(request, ASGIRequest):
            raise streams.Full
        moment = int(since) if since.isdecimal() and len(since) <= LONGEST_MOMENT else now_ms()
        told = streams.stream(person=str(reader.pk), about=about, since=moment, may_stay=may_stay)
        first = await anext(told)
    except FedStudyError as error:
        return HttpResponse(status=error.status, content_type="text/plain")
    except streams.Full:
        return HttpResponse(status=204, content_type="text/plain")
    response = StreamingHttpResponse(_begun(first, told), content_type=EVENTS)
    # What stands between would keep events back until many have come.
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _begun(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _reader(session: str, about: list[str]) -> User:
    """Who is signed in by this session and sees all of that. The database is let go: the answer lasts for minutes.

    Raises:
        Forbidden: E_AUTHENTICATION.
        NotFound: E_NOT_FOUND.
    """
    try:
        asked = HttpRequest()
        asked.session = SessionStore(session)
        user = get_user(asked)
        if not isinstance(user, User) or is_over(asked.session):
            raise Forbidden("E_AUTHENTICATION", status=401)
        if not _sees_all(user, about):
            raise NotFound("E_NOT_FOUND", "There is no such thing, or it is not yours to see.")
        return user
    finally:
        if not connection.in_atomic_block:
            connection.close()


def _sees_all(user: User, about: list[str]) -> bool:
    words = [found for found in map(WORD.fullmatch, set(about)) if found]
    if not 0 < len(words) == len(set(about)) <= MOST:
        return False
    asked: dict[str, set[UUID]] = {}
    for word in words:
        asked.setdefault(word[1], set()).add(UUID(word[2]))
    return all(VISIBLE[kind](user).filter(pk__in=ids).count() == len(ids) for kind, ids in asked.items())
