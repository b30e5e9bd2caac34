"""Requests for roles as pages show them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import AccessRequest
from accounts.roles import Role


@dataclass(frozen=True)
class RequestRow:
    """A request; ``where`` is the study or site."""

    id: UUID
    person: str
    email: str
    role: str
    where: str
    reason: str
    state: str
    asked_at: dt.datetime
    answer: str
    decided_by: str
    decided_at: dt.datetime | None

    @property
    def key(self) -> str:
        """The name of the confirmation on the page."""
        return f"request-{self.id}"


def request_rows(found: Iterable[AccessRequest]) -> list[RequestRow]:
    """Requests in their order."""
    return [
        RequestRow(
            id=item.pk,
            person=item.person.name,
            email=item.person.email,
            role=_(Role(item.role).label),
            where=str(item.content_object),
            reason=item.reason,
            state=item.state,
            asked_at=item.asked_at,
            answer=item.answer,
            decided_by=item.decided_by.name if item.decided_by else "",
            decided_at=item.decided_at,
        )
        for item in found
    ]
