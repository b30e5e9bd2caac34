"""The degree of federation of a study: the share of its rows that stay at their hospitals, now and over time.

Rows are known as bands. By convention a site counts with the middle of the band of the dataset that it offers now
(the open band with its beginning), a pooled row as one that does not stay. 1 is fully federated, 0 centralised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from studies.enrolment.models import Enrolment, LevelChange
from studies.enrolment.pooling import pooling
from studies.enrolment.states import POOLED_LEVELS, TAKING_PART
from studies.lifecycle.models import Study


@dataclass(frozen=True)
class SiteShare:
    """A site that takes part, with the share of its rows that stay; `rows_band` is empty where none are known."""

    site: str
    site_id: UUID
    level: str
    rows_band: str
    local: float


@dataclass(frozen=True)
class LevelMove:
    """A site's level from a moment on (`old` is empty where it began), and the study's degree from then on."""

    at: datetime
    site: str
    old: str
    new: str
    degree: float | None


@dataclass(frozen=True)
class Degree:
    """`value` is None while no rows are known; moves in their order."""

    value: float | None
    sites: tuple[SiteShare, ...]
    moves: tuple[LevelMove, ...]


def degree_of(study: Study, enrolments: Sequence[Enrolment]) -> Degree:
    """The degree of a study of whose enrolments site and dataset are at hand."""
    pool = pooling()
    pooled = pool.rows_pooled(study) if pool else {}
    tables = pool.tables(study) if pool else ()
    taking = [item for item in enrolments if item.state in TAKING_PART and item.dataset_id not in tables]
    changes = list(LevelChange.objects.filter(enrolment__in=taking))
    return Degree(
        value=_share(((item, item.level) for item in taking), pooled),
        sites=tuple(_site(item, pooled) for item in taking),
        moves=tuple(_moves(taking, changes, pooled)),
    )


def middle_of(band: str) -> float:
    """The number of rows that a band counts as."""
    low, _, high = band.rstrip("+").partition("-")
    if not low.isdecimal():
        return 0.0
    return (int(low) + int(high)) / 2 if high.isdecimal() else float(low)


def _rows(enrolment: Enrolment) -> float:
    return middle_of(enrolment.dataset.rows_band) if enrolment.dataset else 0.0


def _local(enrolment: Enrolment, level: str, pooled: Mapping[UUID, int]) -> float:
    """How many of a site's rows stay with it at a level."""
    rows = _rows(enrolment)
    return max(rows - pooled.get(enrolment.pk, 0), 0.0) if level in POOLED_LEVELS else rows


def _share(parts: Iterable[tuple[Enrolment, str]], pooled: Mapping[UUID, int]) -> float | None:
    sites = list(parts)
    rows = sum(_rows(enrolment) for enrolment, _ in sites)
    return sum(_local(enrolment, level, pooled) for enrolment, level in sites) / rows if rows else None


def _site(enrolment: Enrolment, pooled: Mapping[UUID, int]) -> SiteShare:
    rows = _rows(enrolment)
    local = _local(enrolment, enrolment.level, pooled) / rows if rows else 1.0
    band = enrolment.dataset.rows_band if enrolment.dataset else ""
    return SiteShare(enrolment.site.name, enrolment.site_id, enrolment.level, band, local)


def _moves(
    taking: Sequence[Enrolment], changes: Sequence[LevelChange], pooled: Mapping[UUID, int]
) -> Iterable[LevelMove]:
    known = {item.pk: item for item in taking}
    levels: dict[UUID, str] = {}
    for change in changes:
        enrolment, old = known[change.enrolment_id], levels.get(change.enrolment_id, "")
        levels[enrolment.pk] = change.level
        degree = _share(((known[key], level) for key, level in levels.items()), pooled)
        yield LevelMove(change.at, enrolment.site.name, old, change.level, degree)
