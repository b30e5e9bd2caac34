"""What levels at which rows are pooled ask of whoever pools them, which stands above enrolments and registers here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from studies.enrolment.models import Enrolment
from studies.enrolment.states import OFFERED_LEVELS, POOLED_LEVELS
from studies.lifecycle.models import Study


class Pooling(Protocol):
    """What is known of pooled rows."""

    def check_consent(self, enrolment: Enrolment, level: str) -> None:
        """Refuse (Refusal) a level for which the site has no valid consent on file."""

    def rows_pooled(self, study: Study) -> Mapping[UUID, int]:
        """The rows that lie at the pool node, by enrolment."""

    def tables(self, study: Study) -> Collection[UUID]:
        """The datasets that are made of pooled rows: no site's own."""


_registered: list[Pooling] = []


def register(pooling: Pooling) -> None:
    """Offer the levels at which rows are pooled; called once when the applications are loaded."""
    _registered[:] = [pooling]


def pooling() -> Pooling | None:
    """Who pools rows; None where nobody does."""
    return _registered[0] if _registered else None


def levels_to_choose() -> tuple[str, ...]:
    """The levels that a site may choose."""
    return OFFERED_LEVELS + (POOLED_LEVELS if _registered else ())
