"""The degree of federation of a study, as its page shows it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from portal.web.presenters.levels import Level, level_of
from studies.enrolment.degree import Degree


@dataclass(frozen=True)
class Move:
    """A change of a site's level, and the degree from then on; `old` is None where the site began."""

    at: dt.datetime
    site: str
    old: Level | None
    new: Level
    degree: float | None


@dataclass(frozen=True)
class Share:
    """A site with the share of its rows that stay."""

    site: str
    level: Level
    rows_band: str
    local: float


@dataclass(frozen=True)
class DegreeCard:
    """Shares from 0 to 1; `value` is None while no rows are known. Moves are the newest first."""

    value: float | None
    sites: tuple[Share, ...]
    moves: tuple[Move, ...]


def present_degree(found: Degree) -> DegreeCard:
    """The card of a study's degree."""
    return DegreeCard(
        value=found.value,
        sites=tuple(Share(item.site, level_of(item.level), item.rows_band, item.local) for item in found.sites),
        moves=tuple(
            Move(item.at, item.site, level_of(item.old) if item.old else None, level_of(item.new), item.degree)
            for item in reversed(found.moves)
        ),
    )
