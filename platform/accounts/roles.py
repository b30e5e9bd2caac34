"""The roles that people hold in a study or at a site."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.utils.translation import gettext_noop


class Role(StrEnum):
    """A role; `scope` says in what it is held."""

    PI = "pi"
    CO_INVESTIGATOR = "co_investigator"
    AUDITOR = "auditor"
    ADMIN = "admin"
    STEWARD = "steward"

    @property
    def scope(self) -> str:
        """ "study" or "site"."""
        return "site" if self in SITE_ROLES else "study"

    @property
    def label(self) -> str:
        return LABELS[self]


STUDY_ROLES = (Role.PI, Role.CO_INVESTIGATOR, Role.AUDITOR)
SITE_ROLES = (Role.ADMIN, Role.STEWARD)
LEADERS = {"study": Role.PI, "site": Role.ADMIN}
LABELS = {
    Role.PI: gettext_noop("principal investigator"),
    Role.CO_INVESTIGATOR: gettext_noop("co-investigator"),
    Role.AUDITOR: gettext_noop("auditor"),
    Role.ADMIN: gettext_noop("site admin"),
    Role.STEWARD: gettext_noop("data steward"),
}


@dataclass(frozen=True)
class HeldRole:
    """A role that a person holds: `kind` is "study" or "site", `id` and `name` say which."""

    role: Role
    kind: str
    id: UUID
    name: str
