"""What a leaf of the log says: who did what to what and when, by ids only.

Names of people and things, and the details of what happened, are not in a leaf but bound to it: the leaf holds
SHA-256 over a random salt and the text. Who has salt and text can show that they belong to the leaf; once both are
erased, nothing about anybody is left in a log that itself can never be changed.

A leaf says in which form it is written (`v`). Form 1 has names and detail. Form 2 has the context as well: how the
actor showed who they are, from where, in which request, by which software.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from fedstudy_core import canonical

SALT_BYTES = 16
_DOMAIN = b"fedstudy-text-v1\n"
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class BoundText:
    """A text that a leaf commits to without holding it; `salt` is 16 random bytes."""

    salt: bytes
    text: str

    @property
    def commitment(self) -> str:
        """SHA-256, in hexadecimal."""
        return hashlib.sha256(_DOMAIN + self.salt + self.text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class Leaf:
    """One event.

    Attributes:
        event: the event's own id.
        at: when it happened, in UTC.
        actor: user:<id>, node:<id> or system:<part>.
        action: area:subject:action.
        object_type, object_id: what it happened to.
        study, site: ids, or empty.
        outcome: done, refused or failed.
        names: the labels of actor and object, as canonical JSON.
        detail: what else is known, as canonical JSON.
        context: under which circumstances, as canonical JSON; None for events of before there was one (form 1).
    """

    event: str
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    study: str
    site: str
    outcome: str
    names: BoundText
    detail: BoundText
    context: BoundText | None = None

    def body(self) -> bytes:
        """The leaf's bytes: canonical JSON. Characters that could deceive are replaced: every event has a leaf."""
        told = {
            "actor": self.actor,
            "action": self.action,
            "study": self.study,
            "site": self.site,
            "outcome": self.outcome,
        }
        object_ = {"type": self.object_type, "id": self.object_id}
        context = {} if self.context is None else {"context": self.context.commitment}
        return canonical.dumps(
            {
                "v": 2 if context else 1,
                "event": self.event,
                "at": self.at.astimezone(UTC).strftime(_FORMAT),
                "object": {name: canonical.plain_text(text) for name, text in object_.items()},
                **{name: canonical.plain_text(text) for name, text in told.items()},
                "names": self.names.commitment,
                "detail": self.detail.commitment,
                **context,
            }
        )


def names_text(actor: str, object_: str) -> str:
    """The labels of an event's actor and object as the text that its leaf commits to."""
    return canonical.dumps({"actor": canonical.plain_text(actor), "object": canonical.plain_text(object_)}).decode(
        "utf-8"
    )
