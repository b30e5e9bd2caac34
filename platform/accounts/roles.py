"""The roles that people hold in a study or at a site."""

from enum import StrEnum


class Role(StrEnum):
    """A role; `scope` says in what it is held."""

    PI = "pi"
    CO_INVESTIGATOR = "co_investigator"
    AUDITOR = "auditor"
    ADMIN = "admin"
    STEWARD = "steward"

    @property
    def scope(self) -> str:
        """"site" or "study"."""
        return "site" if self in SITE_ROLES else "study"

    @property
    def label(self) -> str:
        return LABELS[self]


STUDY_ROLES = (Role.PI, Role.CO_INVESTIGATOR, Role.AUDITOR)
SITE_ROLES = (Role.ADMIN, Role.STEWARD)
LABELS = {
    Role.PI: "principal investigator",
    Role.CO_INVESTIGATOR: "co-investigator",
    Role.AUDITOR: "auditor",
    Role.ADMIN: "site admin",
    Role.STEWARD: "data steward",
}
