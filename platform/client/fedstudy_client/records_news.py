"""What the portal tells: notifications, webhooks and their messages."""

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
class Webhook(Record):
    """An address that is told of a study's news. States: active, disabled. `secret` is there once."""

    id: str
    url: str
    kinds: list[str]
    state: str
    disabled_reason: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Delivery(Record):
    """A message of a webhook. States: waiting, delivered, failed; `status` is what the receiver answered last."""

    id: str
    message: str
    kind: str
    body: str
    state: str
    tries: int
    status: int | None = None
    problem: str = ""
    tried_at: datetime | None = None
    created_at: datetime | None = None
