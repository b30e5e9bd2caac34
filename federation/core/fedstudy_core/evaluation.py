"""How well a classifier does, from counts of its scores alone: area with interval, calibration, errors at a threshold.

Counts are (bins,) rows of one class with a score in each of equal bins over [0, 1], lowest score first. Within a bin a
score counts as the bin's middle, so that figures agree with those of single rows to half a bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
GROUPS = 10
HALF = 0.5
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Counts = Sequence[int | float]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval at `CONFIDENCE`; None where it cannot be estimated."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Errors:
    """Right and wrong decisions where a row counts as positive from a threshold on."""

    threshold: float
    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    @property
    def sensitivity(self) -> Estimate | None:
        """Share of the positive rows that are found."""
        return share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> Estimate | None:
        """Share of the negative rows that are left alone."""
        return share(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def precision(self) -> Estimate | None:
        """Share of positive rows among those that were called so (positive predictive value)."""
        return share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def negative_precision(self) -> Estimate | None:
        """Share of negative rows among those that were called so (negative predictive value)."""
        return share(self.true_negatives, self.true_negatives + self.false_negatives)


@dataclass(frozen=True)
class Group:
    """Rows with scores in [low, high): their mean score, and the share of them that is positive."""

    low: float
    high: float
    rows: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class Calibration:
    """Whether scores are probabilities.

    Attributes:
        groups: those of `GROUPS` equal ranges of scores in which there are rows.
        predicted, observed: mean score and share of positive rows, over all rows.
        brier: mean squared distance of score and outcome (Brier 1950).
        error: mean distance of `predicted` and `observed` over the groups, weighted by their rows (Naeini et al. 2015).
    """

    groups: tuple[Group, ...]
    predicted: float
    observed: float
    brier: float
    error: float


def share(part: int, whole: int) -> Estimate | None:
    """A proportion with Wilson's score interval (Wilson 1927); None of no rows."""
    if whole <= 0:
        return None
    value, square = part / whole, _Z**2
    middle = (value + square / (2 * whole)) / (1 + square / whole)
    reach = _Z / (1 + square / whole) * math.sqrt(value * (1 - value) / whole + square / (4 * whole**2))
    return Estimate(value, (max(middle - reach, 0.0), min(middle + reach, 1.0)))


def area(positives: Counts, negatives: Counts) -> Estimate | None:
    """The area under the ROC curve, ties half, with the interval of DeLong, DeLong and Clarke-Pearson (1988).

    The interval is made on the logit scale, so that it stays within 0 and 1 (Pepe 2003, 4.3). There is none for fewer
    than two rows of a class, nor for an area of 0 or 1.

    Returns:
        None when one of the classes has no rows, or the two have different bins.
    """
    if not _comparable(positives, negatives):
        return None
    positive, negative = np.asarray(positives, float), np.asarray(negatives, float)
    m, n = positive.sum(), negative.sum()
    # For each bin the share of the other class that a row there is ranked rightly against.
    against_negatives = (np.cumsum(negative) - negative / 2) / n
    against_positives = (m - np.cumsum(positive) + positive / 2) / m
    value = float(np.average(against_negatives, weights=positive))
    if min(m, n) < 2 or not 0 < value < 1:
        return Estimate(value, None)
    variance = _variance(against_negatives, positive, value) / m + _variance(against_positives, negative, value) / n
    reach = _Z * math.sqrt(variance) / (value * (1 - value))
    middle = math.log(value / (1 - value))
    return Estimate(value, (_logistic(middle - reach), _logistic(middle + reach)))


def _variance(values: np.ndarray, counts: np.ndarray, mean: float) -> float:
    return float((counts * (values - mean) ** 2).sum() / (counts.sum() - 1))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def errors_at(positives: Counts, negatives: Counts, threshold: float = HALF) -> Errors | None:
    """Decisions at the edge of bins that is nearest to a threshold in [0, 1]; None as for `area`."""
    if not _comparable(positives, negatives):
        return None
    edge = round(threshold * len(positives))
    found, missed = sum(positives[edge:]), sum(positives[:edge])
    alarms, left = sum(negatives[edge:]), sum(negatives[:edge])
    return Errors(edge / len(positives), round(found), round(missed), round(left), round(alarms))


def best_threshold(positives: Counts, negatives: Counts) -> float | None:
    """The threshold with the largest sum of sensitivity and specificity (Youden 1950), the lowest of several."""
    if not _comparable(positives, negatives):
        return None
    below = np.cumsum(negatives) / sum(negatives) - np.cumsum(positives) / sum(positives)
    gains = np.concatenate([[0.0], below])
    return float(np.flatnonzero(gains >= gains.max() - 1e-12)[0] / len(positives))


def calibration(positives: Counts, negatives: Counts) -> Calibration | None:
    """How scores and outcomes agree, by groups of rows and over all of them; None as for `area`."""
    if not _comparable(positives, negatives):
        return None
    positive, every = np.asarray(positives, float), np.asarray(positives, float) + np.asarray(negatives, float)
    middles = (np.arange(len(every)) + HALF) / len(every)
    rows = every.sum()
    groups = _groups(positive, every, middles)
    squared = positive * (1 - middles) ** 2 + (every - positive) * middles**2
    apart = sum(group.rows * abs(group.predicted - group.observed.value) for group in groups)
    return Calibration(
        groups,
        predicted=float(np.average(middles, weights=every)),
        observed=float(positive.sum() / rows),
        brier=float(squared.sum() / rows),
        error=float(apart / rows),
    )


def _groups(positive: np.ndarray, every: np.ndarray, middles: np.ndarray) -> tuple[Group, ...]:
    places = np.minimum((middles * GROUPS).astype(int), GROUPS - 1)
    found = []
    for place in range(GROUPS):
        chosen = places == place
        rows = round(every[chosen].sum())
        observed = share(round(positive[chosen].sum()), rows)
        if observed is not None:
            predicted = float(np.average(middles[chosen], weights=every[chosen]))
            found.append(Group(place / GROUPS, (place + 1) / GROUPS, rows, predicted, observed))
    return tuple(found)


def _comparable(positives: Counts, negatives: Counts) -> bool:
    """Whether both classes have rows, in the same bins."""
    return len(positives) == len(negatives) and sum(positives) > 0 and sum(negatives) > 0
