"""What the portal answers about oneself, and about people who are invited."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from fedstudy_client.records import Record


@dataclass(frozen=True)
class Notification(Record):
    """Something that one is told; `link` is a path of the portal's pages."""

    id: str
    kind: str
    subject: str
    link: str
    created_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True)
class Session(Record):
    """A place where one is signed in. Kinds: browser, program."""

    id: str
    kind: str
    address: str
    agent: str
    started_at: datetime
    seen_at: datetime
    is_current: bool


@dataclass(frozen=True)
class Factor(Record):
    """A second factor of one's own. Kinds: app, passkey."""

    id: int
    name: str
    kind: str
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Invitation(Record):
    """Somebody without an account who is invited to a role. `token` is there once, right after `invite`."""

    id: str
    email: str
    role: str
    created_at: datetime
    expires_at: datetime
    token: str = field(default="", repr=False)
