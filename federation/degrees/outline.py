"""The ways in which a study's model can be trained now, and what stands between it and the others.

A site whose rows lie in the pool's table trains there or at home, never at both. Its test rows never left: whoever
trains, every site tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from federation.degrees.kinds import ALONE, CENTRAL, FEDERATED, HYBRID, LEFT_OUT, PERSONALISED
from federation.runs.models import Run
from federation.runs.roles import TRAINS, is_narrower, role_at
from studies.enrolment.models import Enrolment
from studies.enrolment.states import POOLED_LEVELS
from studies.lifecycle.models import Study
from studies.pooling.models import PooledTable

FEWEST_LEFT = 2  # sites that federate, also when one is left out
NO_POOL, STILL_LOCAL, POOLED_AWAY, TOO_FEW = "no_pool", "still_local", "pooled_away", "too_few"


@dataclass(frozen=True)
class Shape:
    """One way of training.

    Attributes:
        trains: the enrolments that train; of a pool node one.
        tests: all sites with rows of their own.
        enrolment: the site that trains alone, or is left out.
        strategy: of a personalised one; "" for that of the comparison's plan.
    """

    kind: str
    trains: tuple[Enrolment, ...]
    tests: tuple[Enrolment, ...]
    enrolment: Enrolment | None = None
    table: PooledTable | None = None
    strategy: str = ""

    @property
    def way(self) -> tuple[str, UUID | None, UUID | None]:
        """What it is called: by its kind, its site or its table of pooled rows."""
        return self.kind, self.enrolment.pk if self.enrolment else None, self.table.pk if self.table else None

    @property
    def key(self) -> tuple[str, UUID | None, UUID | None, frozenset[UUID], str]:
        """By which two shapes are the same."""
        return *self.way, frozenset(item.pk for item in self.trains), self.strategy


@dataclass(frozen=True)
class Lacking:
    """A way of training that is not possible now.

    Attributes:
        reason: NO_POOL: no rows are pooled; STILL_LOCAL: these sites train at home; POOLED_AWAY: these sites' own nodes
            only test; TOO_FEW: fewer sites train than that needs.
    """

    kind: str
    reason: str
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """What a study's levels and pooled rows allow now."""

    shapes: tuple[Shape, ...]
    lacking: tuple[Lacking, ...]


def outline_of(study: Study) -> Outline:
    """The outline of a study from its ready sites; two queries and one for each table of pooled rows."""
    ready = Enrolment.objects.filter(study=study, state="ready").select_related("site", "dataset__pooled_table")
    everybody = list(ready.order_by("site__name"))
    own = tuple(item for item in everybody if _table(item) is None)
    pool = next((item for item in everybody if (table := _table(item)) is not None and table.is_good), None)
    training = tuple(item for item in own if role_at(item.level) == TRAINS)
    shapes = [*_at_home(own, training), *_with_pool(own, training, pool)]
    return Outline(tuple(shapes), tuple(_lacking(own, training, {item.kind for item in shapes}, pool)))


def shape_of(run: Run) -> Shape | None:
    """In which way a run trained, whether that is possible today or not.

    None where nothing was trained, or a site only tested whose level allowed more: that is not all together.
    """
    parts = list(run.participants.select_related("enrolment__site", "enrolment__dataset__pooled_table"))
    own = tuple(item.enrolment for item in parts if _table(item.enrolment) is None)
    trains = tuple(item.enrolment for item in parts if item.role == TRAINS)
    table = next((found for item in trains if (found := _table(item)) is not None), None)
    if table is not None:
        return Shape(HYBRID if len(trains) > 1 else CENTRAL, trains, own, table=table)
    if len(trains) < FEWEST_LEFT:
        return Shape(ALONE, trains, own, enrolment=trains[0]) if trains else None
    if any(is_narrower(item.role, item.level) for item in parts):
        return None
    return Shape(FEDERATED, trains, own)


def personal_shapes(outline: Outline, strategies: Sequence[str]) -> list[Shape]:
    """All sites together by each of these strategies; none where their rows do not all train at home."""
    together = next((item for item in outline.shapes if item.kind == FEDERATED), None)
    return [replace(together, kind=PERSONALISED, strategy=name) for name in strategies] if together else []


def _table(enrolment: Enrolment) -> PooledTable | None:
    found: PooledTable | None = getattr(enrolment.dataset, "pooled_table", None)
    return found


def _at_home(own: tuple[Enrolment, ...], training: tuple[Enrolment, ...]) -> Iterator[Shape]:
    for item in training:
        yield Shape(ALONE, (item,), own, enrolment=item)
    if _away(own) or len(training) < FEWEST_LEFT:
        return
    if len(training) > FEWEST_LEFT:
        for left in training:
            yield Shape(LEFT_OUT, tuple(item for item in training if item != left), own, enrolment=left)
    yield Shape(FEDERATED, training, own)


def _away(own: Sequence[Enrolment]) -> tuple[str, ...]:
    """The sites whose own nodes train nothing, because at their level rows are pooled."""
    return tuple(item.site.name for item in own if item.level in POOLED_LEVELS)


def _with_pool(own: tuple[Enrolment, ...], training: tuple[Enrolment, ...], pool: Enrolment | None) -> Iterator[Shape]:
    table = _table(pool) if pool else None
    if pool is None or table is None:
        return
    pooled = _pooled_sites(table)
    at_home = tuple(item for item in training if item.site_id not in pooled)
    yield Shape(HYBRID if at_home else CENTRAL, (*at_home, pool), own, table=table)


def _pooled_sites(table: PooledTable) -> set[UUID]:
    return set(table.consents.values_list("site", flat=True))


def _lacking(
    own: Sequence[Enrolment], training: Sequence[Enrolment], found: set[str], pool: Enrolment | None
) -> Iterator[Lacking]:
    if FEDERATED not in found:
        away = _away(own)
        yield Lacking(FEDERATED, POOLED_AWAY, away) if away else Lacking(FEDERATED, TOO_FEW)
    if pool is None:
        yield Lacking(HYBRID, NO_POOL)
        yield Lacking(CENTRAL, NO_POOL)
    elif CENTRAL not in found:
        table = _table(pool)
        pooled = _pooled_sites(table) if table else set()
        yield Lacking(CENTRAL, STILL_LOCAL, tuple(item.site.name for item in training if item.site_id not in pooled))
