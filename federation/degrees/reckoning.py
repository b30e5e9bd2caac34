"""From the runs of a comparison to its tables: what each degree of federation brings at each site, and what it costs.

A row of sites alone, or of sites left out, is made of several runs: each site's figure there is of the model that it
trained by itself, or that never saw its rows. All other rows are one run each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from federation.degrees.kinds import CENTRAL, FEDERATED, HYBRID, KINDS, OF_ONE_SITE
from federation.degrees.measuring import Measured, Measurements
from federation.degrees.models import DegreeComparison
from federation.runs.halting import better_when
from fedstudy_core.figures import (
    AUC,
    Figure,
    Metrics,
    ranking_difference,
    ranking_figure,
    site_difference,
    site_figure,
    weighted_difference,
    weighted_figure,
)
from fedstudy_core.metrics import WEIGHT

NO_FIGURES = {WEIGHT, "replicates-of"}  # whole numbers of a test that measure nothing
BASES = (FEDERATED, HYBRID, CENTRAL)  # with which the others are compared: the first that there is


@dataclass(frozen=True)
class DegreeRow:
    """One degree of federation. Figures and differences by site stand in the comparison's order of sites.

    Attributes:
        degree: share of the rows trained on that stayed at their sites; None where nothing was trained yet.
        pooled_sites: whose rows lay at the pool node.
        weighted: mean of the sites weighted by test rows; `ranking`: of all test rows in one ranking, of AUC only.
        weighted_gain, ranking_gain, gains: less the base row's, on the same test rows; None for the base itself.
        trained: rows on which a model was trained: of the row's runs the fewest and the most.
        exposed: rows that had left their sites.
    """

    kind: str
    runs: tuple[Measured, ...]
    pooled_sites: tuple[str, ...]
    degree: float | None
    sites: tuple[Figure | None, ...]
    weighted: Figure | None
    ranking: Figure | None
    gains: tuple[Figure | None, ...]
    weighted_gain: Figure | None
    ranking_gain: Figure | None
    trained: tuple[int, int]
    exposed: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Contribution:
    """What a site has of the shared model, and the others of the site.

    Attributes:
        own, shared: the site's test of its own model, and of the base row's.
        over_own, over_pooled: the shared model less its own, and less that of pooled rows.
        unseen: of the model that the others trained without it; `over_unseen` is what its own rows bring to itself.
        to_others: the shared model less the one without it, in the weighted mean of the other sites.
        is_worse: the shared model is worse for it than its own; `is_clearly` that the interval says so too.
    """

    site: str
    rows: int
    own: Figure | None
    shared: Figure | None
    over_own: Figure | None
    over_pooled: Figure | None
    unseen: Figure | None
    over_unseen: Figure | None
    to_others: Figure | None
    is_worse: bool
    is_clearly: bool


@dataclass(frozen=True)
class Degrees:
    """The tables of a comparison for one metric.

    Attributes:
        metrics: the names that all can be made of.
        base: kind of the row with which the others are compared; "" where none is there yet.
        same_rows: whether each site tested equally many rows in all runs.
    """

    comparison: DegreeComparison
    metric: str
    better: str
    metrics: tuple[str, ...]
    sites: tuple[str, ...]
    rows: tuple[DegreeRow, ...]
    base: str
    contributions: tuple[Contribution, ...]
    runs: tuple[Measured, ...]
    same_rows: bool


def reckon(comparison: DegreeComparison, measured: Measurements, metric: str = "") -> Degrees:
    """The tables; a metric that nobody reported gives the script's headline."""
    names = _names(measured.runs)
    headline = str(comparison.version.declaration.get("headline", "")) or AUC
    chosen = metric if metric in names else headline if headline in names or not names else names[0]
    ids = [item.pk for item in measured.sites]
    parts = list(_parts(measured))
    base = next((part for kind in BASES for part in parts if part.kind == kind), None)
    better = better_when(chosen)
    return Degrees(
        comparison=comparison,
        metric=chosen,
        better=better,
        metrics=names,
        sites=tuple(item.site.name for item in measured.sites),
        rows=tuple(_row(part, base, ids, chosen) for part in parts),
        base=base.kind if base else "",
        contributions=tuple(_contributions(measured, parts, base, chosen, better)) if base else (),
        runs=measured.runs,
        same_rows=_same_rows(measured.runs),
    )


@dataclass(frozen=True)
class _Part:
    """The runs of a row, and each site's test that counts there."""

    kind: str
    runs: tuple[Measured, ...]
    tests: Mapping[UUID, Metrics]


def _parts(measured: Measurements) -> Sequence[_Part]:
    found = []
    for kind in KINDS:
        runs = tuple(item for item in measured.runs if item.entry.kind == kind and item.is_tested)
        if kind not in OF_ONE_SITE:
            found += [_Part(kind, (item,), item.tests) for item in runs]
        elif runs:
            found.append(_Part(kind, runs, _diagonal(runs)))
    return found


def _diagonal(runs: Sequence[Measured]) -> dict[UUID, Metrics]:
    """Of each run the test of the site that it is about; of several about one site the newest."""
    sites = [(item.entry.enrolment_id, item) for item in runs]
    return {site: item.tests[site] for site, item in sites if site is not None and site in item.tests}


def _names(runs: Sequence[Measured]) -> tuple[str, ...]:
    tests = [metrics for item in runs for metrics in item.tests.values()]
    found = {name for metrics in tests for name, value in metrics.items() if isinstance(value, int | float)}
    found |= {AUC} if any(site_figure(metrics, AUC) for metrics in tests) else set()
    return tuple(sorted(found - NO_FIGURES, key=lambda name: (name != AUC, name)))


def _same_rows(runs: Sequence[Measured]) -> bool:
    counts: dict[UUID, set[object]] = {}
    for item in runs:
        for site, metrics in item.tests.items():
            counts.setdefault(site, set()).add(metrics.get(WEIGHT))
    return all(len(told) == 1 for told in counts.values())


def _row(part: _Part, base: _Part | None, ids: Sequence[UUID], metric: str) -> DegreeRow:
    tests = [part.tests[site] for site in ids if site in part.tests]
    others = base if base is not part else None
    both = [site for site in ids if others and site in part.tests and site in others.tests]
    ours, theirs = [part.tests[site] for site in both], [others.tests[site] for site in both if others]
    at_home = sum(sum(item.trained.values()) for item in part.runs)
    pooled, exposed = sum(item.pooled for item in part.runs), part.runs[-1].exposed
    trained = [sum(item.trained.values()) + item.pooled for item in part.runs]
    return DegreeRow(
        kind=part.kind,
        runs=part.runs,
        pooled_sites=tuple(sorted(exposed)),
        degree=at_home / (at_home + pooled) if at_home + pooled else None,
        sites=tuple(_if_there(part.tests.get(site), lambda item: site_figure(item, metric)) for site in ids),
        weighted=weighted_figure(tests, metric),
        ranking=ranking_figure(tests) if metric == AUC else None,
        gains=tuple(_gain(part, others, site, metric) for site in ids),
        weighted_gain=weighted_difference(ours, theirs, metric) if both else None,
        ranking_gain=ranking_difference(ours, theirs) if both and metric == AUC else None,
        trained=(min(trained), max(trained)),
        exposed=sum(exposed.values()),
        seconds=sum(item.effort.duration_ms or 0 for item in part.runs) / 1000,
        bytes=sum(item.effort.bytes_sent + item.effort.bytes_received for item in part.runs),
    )


def _if_there(metrics: Metrics | None, make: Callable[[Metrics], Figure | None]) -> Figure | None:
    return None if metrics is None else make(metrics)


def _gain(one: _Part | None, other: _Part | None, site: UUID, metric: str) -> Figure | None:
    """One row less another at a site; None where one of them has no test of it."""
    if one is None or other is None or site not in one.tests or site not in other.tests:
        return None
    return site_difference(one.tests[site], other.tests[site], metric)


def _contributions(
    measured: Measurements, parts: Sequence[_Part], base: _Part, metric: str, better: str
) -> Sequence[Contribution]:
    by_kind = {part.kind: part for part in parts}
    own, unseen = by_kind.get("alone"), by_kind.get("left-out")
    pooled = next((by_kind[kind] for kind in (CENTRAL, HYBRID) if kind in by_kind and by_kind[kind] is not base), None)
    found = []
    for enrolment in measured.sites:
        site = enrolment.pk
        over_own = _gain(base, own, site, metric)
        shared = _if_there(base.tests.get(site), lambda item: site_figure(item, metric))
        found.append(
            Contribution(
                site=enrolment.site.name,
                rows=shared.rows if shared else 0,
                own=_if_there(own.tests.get(site) if own else None, lambda item: site_figure(item, metric)),
                shared=shared,
                over_own=over_own,
                over_pooled=_gain(base, pooled, site, metric),
                unseen=_if_there(unseen.tests.get(site) if unseen else None, lambda item: site_figure(item, metric)),
                over_unseen=_gain(base, unseen, site, metric),
                to_others=_to_others(base, unseen, site, metric),
                is_worse=_is_worse(over_own, better),
                is_clearly=_is_clear(over_own),
            )
        )
    return found


def _to_others(base: _Part, unseen: _Part | None, left: UUID, metric: str) -> Figure | None:
    """What the other sites have of a site's rows: the shared model less the one without them."""
    run = next((item for item in unseen.runs if item.entry.enrolment_id == left), None) if unseen else None
    if run is None:
        return None
    others = [site for site in base.tests if site != left and site in run.tests]
    ours, theirs = [base.tests[site] for site in others], [run.tests[site] for site in others]
    return weighted_difference(ours, theirs, metric) if others else None


def _is_worse(gain: Figure | None, better: str) -> bool:
    return gain is not None and (gain.value > 0 if better == "lower" else gain.value < 0)


def _is_clear(gain: Figure | None) -> bool:
    """Whether the interval of a difference leaves out 0."""
    return gain is not None and gain.low is not None and gain.high is not None and not gain.low <= 0 <= gain.high
