"""The roles that a person holds, read from the groups that stand for them (`study:<id>:pi`)."""

from __future__ import annotations

from accounts.models import User
from accounts.roles import Role


def held_roles(user: User) -> list[tuple[Role, str]]:
    """Each role with the id of the study or site in which it is held."""
    held = []
    for name in user.groups.values_list("name", flat=True):
        scope, _, rest = name.partition(":")
        obj, _, role = rest.rpartition(":")
        if scope in ("study", "site") and role in Role:
            held.append((Role(role), obj))
    return held
