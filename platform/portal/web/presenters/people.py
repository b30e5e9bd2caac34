"""People and their roles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.selectors import Holder


@dataclass(frozen=True)
class Person:
    """A person with the words for their role."""

    name: str
    role: str


def people_rows(holders: Iterable[Holder]) -> list[Person]:
    """The holders of roles, in their order."""
    return [Person(item["user"].name, item["role"].label.capitalize()) for item in holders]
