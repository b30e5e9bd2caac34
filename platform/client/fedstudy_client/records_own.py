"""What the portal answers about oneself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fedstudy_client.records import Record


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
