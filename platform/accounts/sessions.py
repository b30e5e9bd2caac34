"""Where a person is signed in: browsers' sessions, and those of programs that signed in by the API.

A browser's session carries a handle that outlives the rotation of its key; what is shown of it lies in the session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction
from django.utils import timezone

from accounts.models import ApiToken, Session, User
from audit.services import record
from fedstudy_core.errors import NotFound

HANDLE, STARTED, SEEN, ADDRESS, AGENT = "handle", "started", "seen", "address", "agent"
VERIFIED = "verified"  # when the person showed last that it is them
WAYS = "ways"  # by what they signed in
STRONG = frozenset({"passkey", "code"})  # a passkey asks for a PIN or a finger, and a code comes after a password


class SessionStore(DatabaseStore):
    """Django's sessions in the database, each with its person in a column."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.user_id = None if SESSION_KEY not in data else UUID(data[SESSION_KEY])
        return row


@dataclass(frozen=True)
class SignedIn:
    """One place where a person is signed in.

    Attributes:
        kind: "browser" or "program".
        address: of the network, at sign-in.
        agent: what the browser or program calls itself.
    """

    id: UUID
    kind: str
    address: str
    agent: str
    started_at: datetime
    seen_at: datetime


def begin(session: SessionBase, *, address: str, agent: str) -> None:
    """Note in a browser's session, at sign-in, when and where it began."""
    now = timezone.now().timestamp()
    moments = {STARTED: now, SEEN: now, VERIFIED: now}
    session.update({HANDLE: str(uuid4()), **moments, ADDRESS: address[:45], AGENT: agent[:200]})


def note_ways(session: SessionBase, ways: Sequence[str], *, has_factor: bool = False) -> None:
    """Note in a browser's session by what its person signed in.

    Args:
        ways: "password", "code", "passkey", "single sign-on".
        has_factor: a second factor was shown elsewhere.
    """
    session[WAYS] = {"ways": list(ways), "aal": 2 if has_factor or STRONG.intersection(ways) else 1}


def ways_of(session: SessionBase) -> dict[str, Any]:
    """By what the person of a session signed in (`ways`), and with how many factors (`aal`, 1 or 2); {} if unknown."""
    return dict(session.get(WAYS, {}))


def handle_of(session: SessionBase) -> UUID | None:
    """The handle of a browser's session that began by a sign-in."""
    return UUID(session[HANDLE]) if HANDLE in session else None


def sessions_of(user: User) -> list[SignedIn]:
    """Where the person is signed in; the place of the last use comes first."""
    found = [item for _, item in _in_browsers(user)]
    for token in ApiToken.objects.filter(user=user, scopes=[], expiry__gt=timezone.now()):
        seen = token.last_used_at or token.created
        found.append(SignedIn(token.pk, "program", token.address, token.agent, token.created, seen))
    return sorted(found, key=lambda item: (item.seen_at, str(item.id)), reverse=True)


@transaction.atomic
def end_session(*, id: UUID, by: User) -> None:
    """End one of the person's own sessions.

    Raises:
        NotFound: E_NOT_FOUND.
    """
    if not _delete(by, {id}):
        raise NotFound("E_NOT_FOUND", "There is no such session, or it is over.")
    record(action="accounts:session:ended", actor=by, obj=by, detail={"sessions": "1"})


@transaction.atomic
def end_other_sessions(*, keep: UUID | None, by: User) -> int:
    """End all of the person's sessions but one; returns how many there were."""
    ended = _delete(by, {item.id for item in sessions_of(by)} - {keep})
    if ended:
        record(action="accounts:session:ended", actor=by, obj=by, detail={"sessions": str(ended)})
    return ended


def end_sessions(user: User) -> None:
    """End all sessions of a person, in browsers and of programs."""
    Session.objects.filter(user=user).delete()
    ApiToken.objects.filter(user=user, scopes=[]).delete()


def end_everything(user: User) -> None:
    """End all that lets a person in: sessions and tokens. They do not come back with the account."""
    end_sessions(user)
    ApiToken.objects.filter(user=user).delete()


def _in_browsers(user: User) -> Iterator[tuple[Session, SignedIn]]:
    for row in Session.objects.filter(user=user, expire_date__gt=timezone.now()):
        data = row.get_decoded()
        if HANDLE in data:
            started, seen = (datetime.fromtimestamp(data[name], UTC) for name in (STARTED, SEEN))
            yield row, SignedIn(UUID(data[HANDLE]), "browser", data[ADDRESS], data[AGENT], started, seen)


def _delete(user: User, ids: set[UUID]) -> int:
    keys = [row.pk for row, item in _in_browsers(user) if item.id in ids]
    ended, _ = Session.objects.filter(pk__in=keys).delete()
    programs, _ = ApiToken.objects.filter(user=user, scopes=[], pk__in=ids).delete()
    return ended + programs
