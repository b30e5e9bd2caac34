"""What a token of the API is for. It opens no more than its owner may, and never lets sign, approve or administer."""

from __future__ import annotations

from enum import StrEnum

from django.utils.translation import gettext_noop


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
    TokenScope.READ: gettext_noop("Read studies, sites, scripts, runs and the log"),
    TokenScope.DESIGN: gettext_noop(
        "Write studies: description, protocol, data dictionary, invitations of sites, scripts"
    ),
    TokenScope.RUN: gettext_noop("Plan, start and stop runs, and fetch their models"),
}
