"""People and their roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.roles import Role


@dataclass(frozen=True)
class Person:
    """A person with the words for their role."""

    name: str
    role: str


def people_rows(holders: Iterable[Mapping[str, Any]]) -> list[Person]:
    """Principal investigators first."""
    order = list(Role)
    held = sorted(((Role(item["role"]), item["user"]) for item in holders), key=lambda pair: order.index(pair[0]))
    return [Person(user.name, role.label.capitalize()) for role, user in held]
