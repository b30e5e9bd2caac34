"""A run's evaluation as values for its page: a forest plot, a calibration plot and tables of errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from federation.runs.evaluation import Assessment, Evaluation, SubgroupResult
from fedstudy_core.evaluation import Errors, Estimate, Group
from fedstudy_core.subgroups import LEAST_CELL
from portal.web.presenters.charts import pooled_name, series_number

WIDTH = 240  # of the forest plot's scale, in units of its drawing
SIDE = 300  # of the calibration plot
_LARGEST, _SMALLEST = 7.0, 2.5
_TICKS_AT_MOST = 6


@dataclass(frozen=True)
class ForestRow:
    """One line of the forest plot; places are on its scale of `WIDTH` units, `size` is half the square's side."""

    name: str
    series: int
    positives: int
    negatives: int
    estimate: Estimate
    at: float
    low: float | None
    high: float | None
    size: float

    @property
    def left(self) -> float:
        """The square's left edge."""
        return self.at - self.size

    @property
    def top(self) -> float:
        """The square's upper edge, on a line 24 units high."""
        return 12 - self.size

    @property
    def side(self) -> float:
        """The square's side."""
        return 2 * self.size


@dataclass(frozen=True)
class Forest:
    """Areas under the curve of all sites, each with its interval, on one scale; `chance` is the place of 1/2."""

    rows: tuple[ForestRow, ...]
    together: ForestRow
    ticks: tuple[tuple[float, str], ...]
    chance: float


@dataclass(frozen=True)
class Dot:
    """A group of rows on the calibration plot of `SIDE` units, the origin at the lower left."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    group: Group


@dataclass(frozen=True)
class ErrorRow:
    """Decisions at one threshold, at a site or at all of them."""

    name: str
    series: int
    errors: Errors
    brier: float
    predicted: float
    observed: float


@dataclass(frozen=True)
class SubgroupRow:
    """Rows of one subgroup over the sites that told of them; `told` says of how many sites."""

    subgroup: str
    value: str
    told: str
    rows_band: str
    auc: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None


@dataclass(frozen=True)
class EvaluationCard:
    """What the run page shows of an evaluation."""

    round: int
    forest: Forest
    dots: tuple[Dot, ...]
    together: Assessment
    rows: tuple[ErrorRow, ...]
    thresholds: tuple[tuple[str, Errors], ...]
    subgroups: tuple[SubgroupRow, ...] = ()
    least_cell: int = LEAST_CELL


def present_evaluation(evaluation: Evaluation | None, names: Sequence[str]) -> EvaluationCard | None:
    """The card; `names` are the run's sites in the order that gives them their colours."""
    if evaluation is None:
        return None
    together = evaluation.together
    rows = (*(_error_row(site, names) for site in evaluation.sites), _error_row(together, names))
    half, best = together.at_half, together.at_best
    thresholds = tuple(
        (_("From {threshold} on").format(threshold=f"{errors.threshold:.2f}"), errors) for errors in (half, best)
    )
    return EvaluationCard(
        evaluation.round,
        _forest(evaluation, names),
        _dots(together.calibration.groups),
        together,
        rows,
        thresholds if best.threshold != half.threshold else thresholds[:1],
        tuple(map(_subgroup_row, evaluation.subgroups)),
    )


def _subgroup_row(item: SubgroupResult) -> SubgroupRow:
    told = _("{told} of {asked}").format(told=item.sites, asked=item.sites + item.withheld)
    band = item.rows_band.replace("-", "–")
    return SubgroupRow(item.subgroup, item.value, told, band, item.auc, item.sensitivity, item.specificity)


def _series(item: Assessment, names: Sequence[str]) -> int:
    return series_number(names.index(item.site)) if item.site in names else 0


def _error_row(item: Assessment, names: Sequence[str]) -> ErrorRow:
    agreement = item.calibration
    return ErrorRow(
        item.site or pooled_name(),
        _series(item, names),
        item.at_half,
        agreement.brier,
        agreement.predicted,
        agreement.observed,
    )


def _forest(evaluation: Evaluation, names: Sequence[str]) -> Forest:
    everyone = (*evaluation.sites, evaluation.together)
    lows = [item.auc.interval[0] if item.auc.interval else item.auc.value for item in everyone]
    first = min(math.floor(min(lows) * 10), 5) / 10
    most = max((item.positives + item.negatives for item in evaluation.sites), default=1)
    rows = tuple(_forest_row(item, names, first, most) for item in everyone)
    step = 0.1 if (1 - first) / 0.1 <= _TICKS_AT_MOST else 0.2
    count = math.floor((1 - first) / step + 1e-9)
    ticks = [1 - step * (count - place) for place in range(count + 1)]
    drawn = tuple((_place(tick, first), f"{tick:.1f}") for tick in ticks)
    return Forest(rows[:-1], rows[-1], drawn, _place(0.5, first))


def _forest_row(item: Assessment, names: Sequence[str], first: float, most: int) -> ForestRow:
    low, high = item.auc.interval or (None, None)
    weight = min((item.positives + item.negatives) / most, 1.0)
    return ForestRow(
        item.site or pooled_name(),
        _series(item, names),
        item.positives,
        item.negatives,
        item.auc,
        _place(item.auc.value, first),
        None if low is None else _place(low, first),
        None if high is None else _place(high, first),
        round(max(_LARGEST * math.sqrt(weight), _SMALLEST), 1),
    )


def _place(value: float, first: float) -> float:
    return round(WIDTH * (value - first) / (1 - first), 1)


def _dots(groups: Sequence[Group]) -> tuple[Dot, ...]:
    most = max((group.rows for group in groups), default=1)
    return tuple(
        Dot(
            round(SIDE * group.predicted, 1),
            _height(group.observed.value),
            _height(group.observed.interval[0] if group.observed.interval else group.observed.value),
            _height(group.observed.interval[1] if group.observed.interval else group.observed.value),
            round(max(_LARGEST * math.sqrt(group.rows / most), _SMALLEST), 1),
            group,
        )
        for group in groups
    )


def _height(value: float) -> float:
    return round(SIDE - SIDE * value, 1)
