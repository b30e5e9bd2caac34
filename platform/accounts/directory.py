"""All people of the platform, for those who manage accounts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.factors import factors_of
from accounts.models import RoleGroup, User
from accounts.roles import HeldRole, Role
from accounts.sessions import sessions_of
from accounts.tokens import tokens_of


@dataclass(frozen=True)
class Account:
    """A person with what lets them in and what they may.

    Attributes:
        sessions: how many are open, in browsers and of programs.
        seen_at: when one of them was last used.
    """

    user: User
    roles: list[HeldRole]
    factors: int
    tokens: int
    sessions: int
    seen_at: datetime | None


def narrowed_accounts(rows: QuerySet[User], *, q: str = "", is_active: bool | None = None) -> QuerySet[User]:
    """Those accounts whose name or e-mail address has the words in it, and that are open or closed."""
    for word in q.split():
        rows = rows.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return rows if is_active is None else rows.filter(is_active=is_active)


def account_of(user: User) -> Account:
    """One person."""
    sessions = sessions_of(user)
    return Account(
        user=user,
        roles=user.roles,
        factors=factors_of(user).count(),
        tokens=tokens_of(user).count(),
        sessions=len(sessions),
        seen_at=sessions[0].seen_at if sessions else None,
    )


def roles_counted(people: Iterable[User]) -> Mapping[UUID, Mapping[Role, int]]:
    """How many roles of each kind people hold; in one query."""
    held = RoleGroup.objects.filter(group__user__in=[person.pk for person in people])
    found: defaultdict[UUID, Counter[Role]] = defaultdict(Counter)
    for person, role in held.order_by("role").values_list("group__user", "role"):
        found[person][Role(role)] += 1
    return found
