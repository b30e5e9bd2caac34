"""From the runs of a comparison to its tables: what each degree of federation brings at each site, and what it costs.

A row of sites alone, or of sites left out, is made of several runs: each site's figure there is of the model that it
trained by itself, or that never saw its rows. All other rows are of one run. Of several seeds a row has each of its
runs once a seed, and figures are means over them; differences are taken seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from federation.degrees.kinds import CENTRAL, FEDERATED, HYBRID, KINDS, OF_ONE_SITE, PERSONALISED
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
        seconds, bytes: what the runs of one seed took; of several the mean.
    """

    kind: str
    strategy: str
    runs: tuple[Measured, ...]
    seeds: tuple[int | None, ...]
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
class Personalised:
    """A site's test of a model of which it keeps a part, by one strategy; `over_own` is that less its own model's."""

    strategy: str
    figure: Figure | None
    over_own: Figure | None


@dataclass(frozen=True)
class Contribution:
    """What a site has of the shared model, and the others of the site.

    Attributes:
        own, shared: the site's test of its own model, and of the base row's.
        over_own, over_pooled: the shared model less its own, and less that of pooled rows.
        personalised: of models of which it keeps a part, in the order of their rows; of each site the same strategies.
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
    personalised: tuple[Personalised, ...]
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


Tests = Mapping[UUID, Metrics]
Seed = int | None  # None of a script without one


@dataclass(frozen=True)
class _Part:
    """The runs of a row, and by seed each site's test that counts there."""

    kind: str
    runs: tuple[Measured, ...]
    tests: Mapping[Seed, Tests]

    def of(self, site: UUID) -> dict[Seed, Metrics]:
        """A site's test of each seed of which there is one."""
        return {seed: tests[site] for seed, tests in self.tests.items() if site in tests}


def _parts(measured: Measurements) -> Sequence[_Part]:
    found = []
    for kind in KINDS:
        groups: dict[Any, list[Measured]] = {}
        for item in measured.runs:
            if item.entry.kind == kind and item.is_tested:
                strategy = item.run.strategy if kind == PERSONALISED else ""
                alike = () if kind in OF_ONE_SITE else (item.entry.table_id, item.trains, strategy)
                groups.setdefault(alike, []).append(item)
        found += [_Part(kind, tuple(runs), _by_seed(kind, runs)) for runs in groups.values()]
    return found


def _by_seed(kind: str, runs: Sequence[Measured]) -> dict[Seed, Tests]:
    """By seed all tests of its run, or the diagonal of its runs; of several about the same the newest."""
    found: dict[Seed, dict[UUID, Metrics]] = {}
    for item in runs:
        tests = found.setdefault(item.entry.seed, {})
        if kind not in OF_ONE_SITE:
            tests.update(item.tests)
        elif (site := item.entry.enrolment_id) is not None and site in item.tests:
            tests[site] = item.tests[site]
    return {seed: tests for seed, tests in found.items() if tests}


def _names(runs: Sequence[Measured]) -> tuple[str, ...]:
    tests = [metrics for item in runs for metrics in item.tests.values()]
    found = {name for metrics in tests for name, value in metrics.items() if isinstance(value, int | float)}
    found |= {AUC} if any(site_figure([metrics], AUC) for metrics in tests) else set()
    return tuple(sorted(found - NO_FIGURES, key=lambda name: (name != AUC, name)))


def _same_rows(runs: Sequence[Measured]) -> bool:
    counts: dict[UUID, set[object]] = {}
    for item in runs:
        for site, metrics in item.tests.items():
            counts.setdefault(site, set()).add(metrics.get(WEIGHT))
    return all(len(told) == 1 for told in counts.values())


def _row(part: _Part, base: _Part | None, ids: Sequence[UUID], metric: str) -> DegreeRow:
    together = _together([part.tests], ids)[0]
    others = base if base is not part else None
    ours, theirs = _together([part.tests, others.tests], ids) if others else ([], [])
    at_home = sum(sum(item.trained.values()) for item in part.runs)
    pooled, exposed = sum(item.pooled for item in part.runs), part.runs[-1].exposed
    trained = [sum(item.trained.values()) + item.pooled for item in part.runs]
    seeds = len({item.entry.seed for item in part.runs})
    return DegreeRow(
        kind=part.kind,
        strategy=part.runs[0].run.strategy,
        runs=part.runs,
        seeds=tuple(part.tests),
        pooled_sites=tuple(sorted(exposed)),
        degree=at_home / (at_home + pooled) if at_home + pooled else None,
        sites=tuple(site_figure([*part.of(site).values()], metric) for site in ids),
        weighted=weighted_figure(together, metric),
        ranking=ranking_figure(together) if metric == AUC else None,
        gains=tuple(_gain(part, others, site, metric) for site in ids),
        weighted_gain=weighted_difference(ours, theirs, metric),
        ranking_gain=ranking_difference(ours, theirs) if metric == AUC else None,
        trained=(min(trained), max(trained)),
        exposed=sum(exposed.values()),
        seconds=sum(item.effort.duration_ms or 0 for item in part.runs) / 1000 / seeds,
        bytes=round(sum(item.effort.bytes_sent + item.effort.bytes_received for item in part.runs) / seeds),
    )


def _together(parts: Sequence[Mapping[Seed, Tests]], ids: Sequence[UUID]) -> list[list[list[Metrics]]]:
    """Of each part by seed the tests of the same sites: those seeds that all have, and of them those of the most sites.

    While runs are under way a seed may lack sites: a mean over others would not be the same measure.
    """
    common = {
        seed: [site for site in ids if all(site in part[seed] for part in parts)]
        for seed in parts[0]
        if all(seed in part for part in parts)
    }
    sites = max(common.values(), key=len, default=[])
    seeds = [seed for seed, found in common.items() if found == sites and sites]
    return [[[part[seed][site] for site in sites] for seed in seeds] for part in parts]


def _gain(one: _Part | None, other: _Part | None, site: UUID, metric: str) -> Figure | None:
    """One row less another at a site, seed by seed; None where there is no seed of which both have a test of it."""
    if one is None or other is None:
        return None
    ours, theirs = one.of(site), other.of(site)
    seeds = [seed for seed in ours if seed in theirs]
    return site_difference([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds], metric)


def _contributions(
    measured: Measurements, parts: Sequence[_Part], base: _Part, metric: str, better: str
) -> Sequence[Contribution]:
    by_kind = {part.kind: part for part in parts}
    own, unseen = by_kind.get("alone"), by_kind.get("left-out")
    personal = {part.runs[0].run.strategy: part for part in parts if part.kind == PERSONALISED}
    pooled = next((by_kind[kind] for kind in (CENTRAL, HYBRID) if kind in by_kind and by_kind[kind] is not base), None)
    found = []
    for enrolment in measured.sites:
        site = enrolment.pk
        over_own = _gain(base, own, site, metric)
        shared = _figure_of(base, site, metric)
        found.append(
            Contribution(
                site=enrolment.site.name,
                rows=shared.rows if shared else 0,
                own=_figure_of(own, site, metric),
                shared=shared,
                over_own=over_own,
                over_pooled=_gain(base, pooled, site, metric),
                personalised=tuple(
                    Personalised(name, _figure_of(part, site, metric), _gain(part, own, site, metric))
                    for name, part in personal.items()
                ),
                unseen=_figure_of(unseen, site, metric),
                over_unseen=_gain(base, unseen, site, metric),
                to_others=_to_others(base, unseen, site, metric),
                is_worse=_is_worse(over_own, better),
                is_clearly=_is_clear(over_own),
            )
        )
    return found


def _figure_of(part: _Part | None, site: UUID, metric: str) -> Figure | None:
    return site_figure([*part.of(site).values()], metric) if part else None


def _to_others(base: _Part, unseen: _Part | None, left: UUID, metric: str) -> Figure | None:
    """What the other sites have of a site's rows: the shared model less the one without them."""
    runs = unseen.runs if unseen else ()
    without = {item.entry.seed: item.tests for item in runs if item.entry.enrolment_id == left}
    others = [site for tests in base.tests.values() for site in tests if site != left]
    ours, theirs = _together([base.tests, without], list(dict.fromkeys(others)))
    return weighted_difference(ours, theirs, metric)


def _is_worse(gain: Figure | None, better: str) -> bool:
    return gain is not None and (gain.value > 0 if better == "lower" else gain.value < 0)


def _is_clear(gain: Figure | None) -> bool:
    """Whether the interval of a difference leaves out 0."""
    return gain is not None and gain.low is not None and gain.high is not None and not gain.low <= 0 <= gain.high
