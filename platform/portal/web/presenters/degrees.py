"""A comparison of degrees of federation as its page shows it: tables, a plot, what is lacking, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from federation.degrees.kinds import ALONE, CENTRAL, FEDERATED, HYBRID, LEFT_OUT, OF_ONE_SITE, PERSONALISED
from federation.degrees.measuring import Measured, ended_untold
from federation.degrees.models import DegreeComparison
from federation.degrees.outline import NO_POOL, POOLED_AWAY, STILL_LOCAL, Lacking
from federation.degrees.personal import is_personal, personal_strategies
from federation.degrees.reckoning import Contribution, DegreeRow, Degrees
from federation.runs.models import Run
from federation.runs.states import LIVE
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core.figures import AUC, Figure
from portal.web.formats import duration, score, share, size
from portal.web.presenters.charts import metric_name, series_number
from portal.web.presenters.degree_plot import Plot, plot_of


@dataclass(frozen=True)
class Cell:
    """A figure, how its seeds deviate from it, and its interval or what else stands small below it."""

    text: str
    sub: str = ""
    apart: str = ""


@dataclass(frozen=True)
class Line:
    """One degree of federation."""

    name: str
    sub: str
    seeds: str
    degree: str
    sites: tuple[Cell, ...]
    weighted: Cell
    ranking: Cell
    gain: Cell
    ranking_gain: Cell
    trained: str
    exposed: int
    time: str
    size: str


@dataclass(frozen=True)
class SiteLine:
    """What one site has of the shared model."""

    site: str
    series: int
    rows: int
    own: Cell
    shared: Cell
    over_own: Cell
    over_pooled: Cell
    personalised: tuple[Cell, ...]
    to_itself: Cell
    to_others: Cell
    warning: str


@dataclass(frozen=True)
class RunLine:
    """A run of the comparison, and which row it belongs to."""

    run: Run
    kind: str
    seed: int | None


@dataclass(frozen=True)
class DegreesPage:
    """What the page shows; `metrics` are the other tables that there could be.

    `offered` are names and titles of strategies that leave a part of the model at each site, where one is better alone;
    `personalised` are the titles of those that were tried; `keeps_layers` says that the plan's own is such a strategy.
    """

    comparison: DegreeComparison
    metric: str
    has_ranking: bool
    metrics: tuple[tuple[str, str, bool], ...]
    sites: tuple[tuple[str, int], ...]
    lines: tuple[Line, ...]
    base: str
    contributions: tuple[SiteLine, ...]
    runs: tuple[RunLine, ...]
    completed: int
    lacking: tuple[str, ...]
    plot: Plot | None
    worse: tuple[str, ...]
    offered: tuple[tuple[str, str], ...]
    personalised: tuple[str, ...]
    keeps_layers: bool
    same_rows: bool
    is_bootstrapped: bool
    is_live: bool
    seeds: str
    has_seeds: bool
    lack_replicates: tuple[str, ...]


def present_degrees(found: Degrees, lacking: Sequence[Lacking]) -> DegreesPage:
    """The comparison as tables with texts."""
    worse = tuple(item.site for item in found.contributions if item.is_worse)
    names = [row_name(row) for row in found.rows]
    return DegreesPage(
        comparison=found.comparison,
        metric=metric_name(found.metric),
        has_ranking=found.metric == AUC,
        metrics=tuple((name, metric_name(name), name == found.metric) for name in found.metrics),
        sites=tuple((name, series_number(place)) for place, name in enumerate(found.sites)),
        lines=tuple(_line(row) for row in found.rows),
        base=kind_name(found.base) if found.base else "",
        contributions=tuple(_site(item, place) for place, item in enumerate(found.contributions)),
        runs=tuple(_run(item) for item in found.runs),
        completed=sum(item.run.state == "completed" for item in found.runs),
        lacking=tuple(map(_lacking, lacking)),
        plot=plot_of(found, names),
        worse=worse,
        offered=tuple((item.name, item.title) for item in personal_strategies(found.comparison)) if worse else (),
        personalised=tuple(_title(item.strategy) for told in found.contributions[:1] for item in told.personalised),
        keeps_layers=is_personal(found.comparison.plan["strategy"]),
        same_rows=found.same_rows,
        is_bootstrapped=any(figure and figure.replicates for row in found.rows for figure in row.sites),
        is_live=any(item.run.state in LIVE for item in found.runs),
        seeds=", ".join(map(str, found.comparison.seeds)),
        has_seeds=any(len(row.seeds) > 1 for row in found.rows),
        lack_replicates=tuple(item.run.label for item in found.runs if ended_untold(item)),
    )


def kind_name(kind: str) -> str:
    """A way of training as people call it."""
    return {
        ALONE: _("Each site alone"),
        LEFT_OUT: _("Without the site"),
        FEDERATED: _("Federated"),
        PERSONALISED: _("Personalised"),
        HYBRID: _("Hybrid"),
        CENTRAL: _("Central"),
    }[kind]


def row_name(row: DegreeRow) -> str:
    """A row's name; of hybrid ones with the sites whose rows were pooled, of what keeps layers with the strategy."""
    name = kind_name(row.kind)
    if row.kind == PERSONALISED or (row.kind == FEDERATED and is_personal(row.strategy)):
        return f"{name} ({_title(row.strategy)})"
    return f"{name} ({', '.join(row.pooled_sites)})" if row.kind == HYBRID and row.pooled_sites else name


def _title(strategy: str) -> str:
    return STRATEGIES[strategy].title


def _line(row: DegreeRow) -> Line:
    least, most = row.trained
    return Line(
        name=row_name(row),
        sub=_about(row),
        seeds=_seeds(row),
        degree=share(row.degree),
        sites=tuple(map(_cell, row.sites)),
        weighted=_cell(row.weighted),
        ranking=_cell(row.ranking),
        gain=_gain(row.weighted_gain),
        ranking_gain=_gain(row.ranking_gain),
        trained=str(most) if least == most else _("{least} to {most}").format(least=least, most=most),
        exposed=row.exposed,
        time=duration(1000 * row.seconds),
        size=size(row.bytes),
    )


def _seeds(row: DegreeRow) -> str:
    """How many seeds its figures are of, where it is more than one."""
    number = len(row.seeds)
    return ngettext("{number} seed", "{number} seeds", number).format(number=number) if number > 1 else ""


def _about(row: DegreeRow) -> str:
    return {
        ALONE: _("tested by each its own model"),
        LEFT_OUT: _("tested by each the model of the others"),
        FEDERATED: _("all sites train, rows stay"),
        PERSONALISED: _("a part of the model stays, too"),
        HYBRID: _("some rows pooled"),
        CENTRAL: _("all rows pooled"),
    }[row.kind]


def _cell(figure: Figure | None) -> Cell:
    if figure is None:
        return Cell("–")
    return Cell(score(figure.value), _interval(figure, score), _apart(figure))


def _gain(figure: Figure | None) -> Cell:
    if figure is None:
        return Cell("–")
    return Cell(f"{figure.value:+.3f}", _interval(figure, lambda value: f"{value:+.3f}"), _apart(figure))


def _apart(figure: Figure) -> str:
    return "" if figure.deviation is None else f"± {figure.deviation:.3f}"


def _interval(figure: Figure, text: object) -> str:
    if figure.low is None or figure.high is None or not callable(text):
        return ""
    return _("{low} to {high}").format(low=text(figure.low), high=text(figure.high))


def _site(item: Contribution, place: int) -> SiteLine:
    warning = ""
    if item.is_worse:
        warning = _("Clearly better alone") if item.is_clearly else _("Better alone")
    return SiteLine(
        site=item.site,
        series=series_number(place),
        rows=item.rows,
        own=_cell(item.own),
        shared=_cell(item.shared),
        over_own=_gain(item.over_own),
        over_pooled=_gain(item.over_pooled),
        personalised=tuple(_gain(model.over_own) for model in item.personalised),
        to_itself=_gain(item.over_unseen),
        to_others=_gain(item.to_others),
        warning=warning,
    )


def _run(item: Measured) -> RunLine:
    entry = item.entry
    name = kind_name(entry.kind)
    if entry.kind in OF_ONE_SITE and entry.enrolment:
        name = f"{name}: {entry.enrolment.site.name}"
    return RunLine(item.run, name, entry.seed)


def _lacking(item: Lacking) -> str:
    sites, kind = ", ".join(item.sites), kind_name(item.kind)
    if item.reason == NO_POOL:
        return _(
            "{kind}: no rows are pooled. Name a pool node; then sites consent at level F3 or F4, choose the level and"
            " send their rows, and the pool node’s people sign the script."
        ).format(kind=kind)
    if item.reason == STILL_LOCAL:
        return _(
            "{kind}: {sites} train with rows at home. They would have to consent to F4 and send their rows."
        ).format(kind=kind, sites=sites)
    if item.reason == POOLED_AWAY:
        return _("{kind}: the nodes of {sites} only test while their rows are pooled (F3, F4).").format(
            kind=kind, sites=sites
        )
    return _("{kind}: fewer than two sites train.").format(kind=kind)
