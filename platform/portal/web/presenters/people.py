"""People and their roles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import Invitation
from accounts.roles import Role
from accounts.selectors import Holder


@dataclass(frozen=True)
class Person:
    """A person with the words for their role; ``revoke`` is where the reader may take it back, or empty."""

    id: UUID
    name: str
    email: str
    role: str
    is_active: bool
    revoke: str = ""

    @property
    def key(self) -> str:
        """The name of the confirmation on the page; a person holds one role in one object."""
        return f"role-{self.id}"


def people_rows(holders: Iterable[Holder], here: str = "") -> list[Person]:
    """The holders of roles, in their order; ``here`` is their page where the reader may change it."""
    return [
        Person(
            id=item["user"].pk,
            name=item["user"].name,
            email=item["user"].email,
            role=_word(item["role"]),
            is_active=item["user"].is_active,
            revoke=f"{here}/{item['user'].pk}/{item['role'].value}/revoke" if here else "",
        )
        for item in holders
    ]


def _word(role: Role) -> str:
    return _(role.label).capitalize()


@dataclass(frozen=True)
class Invited:
    """Somebody who is invited and has no account yet; ``revoke`` is where the link is ended."""

    email: str
    role: str
    expires_at: dt.datetime
    revoke: str


def invitation_rows(found: Iterable[Invitation], here: str) -> list[Invited]:
    """Open invitations on the page ``here``."""
    return [Invited(item.email, _word(Role(item.role)), item.expires_at, f"{here}/{item.pk}/revoke") for item in found]
