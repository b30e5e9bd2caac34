"""What a token of the API is for. It opens no more than its owner may, and never lets sign, approve or administer."""

from __future__ import annotations

from enum import StrEnum


class TokenScope(StrEnum):
    """One purpose of a token; `portal.api.scopes` says which operations it opens."""

    READ = "read"
    DESIGN = "design"
    RUN = "run"

    @property
    def label(self) -> str:
        """What it is for, in words."""
        return LABELS[self]


LABELS = {
    TokenScope.READ: "Read studies, sites, scripts, runs and the log",
    TokenScope.DESIGN: "Write studies: description, protocol, data dictionary, invitations of sites, scripts",
    TokenScope.RUN: "Plan, start and stop runs, and fetch their models",
}
