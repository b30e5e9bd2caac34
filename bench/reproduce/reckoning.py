"""From the sites' metrics to the rows of the tables: means over the seeds, their spread, and what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.reproduce.playing import Metrics, Played
from bench.reproduce.recipes import CENTRES, MAJORITY, TEST_ROWS, Degree, Recipe
from fedstudy_core.metrics import NEGATIVES, POSITIVES, roc

WITHIN = 0.02
SLACK = 0.01
BEST_AUC = 0.846
NAMES = tuple(f"c{number}" for number in range(len(CENTRES)))
LOCAL, POOLED, BEYOND = "flamby-alone-local", "flamby-central-pooled", "ours-full-fedbn"

Row = Mapping[str, Any]


class Incomplete(Exception):
    """A row lacks the test of a centre, or a centre tested other rows than the published figures are of."""


@dataclass(frozen=True)
class Tested:
    """One model for each centre, tested at the four of them with one seed.

    Attributes:
        accuracy, auc: (4,) by centre.
        ranking: the AUC of all test rows in one ranking, from the histograms of scores.
        ranking_within: how far from it the AUC of the very scores may be: half the pairs that share a bin.
        pair: the AUC of Hungary's and Switzerland's test rows in one ranking, in the same way.
    """

    accuracy: np.ndarray
    auc: np.ndarray
    ranking: float
    ranking_within: float
    pair: float

    @property
    def auc_weighted(self) -> float:
        """The centres' AUCs weighted by test rows: FL4E's measure."""
        return float(np.average(self.auc, weights=TEST_ROWS))

    def as_fl4e_has_it(self, degree: Degree) -> float:
        """FL4E's measure at that degree: where sites pool, their test rows are ranked as one site's."""
        if degree == "central":
            return self.ranking
        if degree == "hybrid":
            first, second, third, fourth = TEST_ROWS
            three = [self.auc[0], self.pair, self.auc[3]]
            return float(np.average(three, weights=[first, second + third, fourth]))
        return self.auc_weighted


def tested(metrics: Mapping[str, Metrics]) -> Tested:
    """Read what the centres told. Raises Incomplete."""
    rows = tuple(int(metrics.get(centre, {}).get("num-examples", 0)) for centre in CENTRES)
    if rows != TEST_ROWS:
        raise Incomplete(f"The centres tested {rows} rows; the figures are of {TEST_ROWS}.")
    told = [metrics[centre] for centre in CENTRES]
    positives, negatives = (np.array([site[name] for site in told]) for name in (POSITIVES, NEGATIVES))
    pairs_in_a_bin = (positives.sum(axis=0) * negatives.sum(axis=0)).sum()
    return Tested(
        accuracy=np.array([site["accuracy"] for site in told]),
        auc=np.array([site["auc"] for site in told]),
        ranking=_ranking(positives, negatives),
        ranking_within=float(pairs_in_a_bin / 2 / positives.sum() / negatives.sum()),
        pair=_ranking(positives[1:3], negatives[1:3]),
    )


def _ranking(positives: np.ndarray, negatives: np.ndarray) -> float:
    """The AUC of several centres' rows in one ranking, from their histograms (centres, bins)."""
    curve = roc(positives.sum(axis=0).tolist(), negatives.sum(axis=0).tolist())
    if curve is None:
        raise Incomplete("All test rows are of one class.")
    return curve.auc


def row_of(recipe: Recipe, played: Sequence[Played]) -> dict[str, Any]:
    """One row: means over the seeds by centre. Raises Incomplete."""
    seeds = [tested(item.metrics) for item in played]
    accuracy = np.array([seed.accuracy for seed in seeds])
    auc = np.array([seed.auc for seed in seeds])
    row: dict[str, Any] = {
        "source": recipe.source,
        "degree": recipe.degree,
        "strategy": recipe.strategy,
        "accuracy": _by_centre(accuracy.mean(axis=0))
        | {"weighted": _round(np.average(accuracy.mean(0), weights=TEST_ROWS))},
        "auc": _by_centre(auc.mean(axis=0)),
        "auc_weighted": _mean([seed.auc_weighted for seed in seeds]),
        "auc_pooled_ranking": _mean([seed.ranking for seed in seeds]),
        "auc_pooled_ranking_within": _mean([seed.ranking_within for seed in seeds]),
        "published": published(recipe),
        "seeds": len(seeds),
        "spread": _spread(seeds),
        "note": recipe.note,
        "runs": [run for item in played for run in item.runs],
    }
    if recipe.source == "flamby":
        differences = np.abs(accuracy.mean(axis=0) - recipe.accuracy)
        row |= {"largest_difference": _round(differences.max()), "within": bool((differences <= WITHIN).all())}
    if recipe.source == "fl4e":
        measured = [seed.as_fl4e_has_it(recipe.degree) for seed in seeds]
        row["auc_as_published"] = _mean(measured)
        row["spread"]["auc_as_published"] = [_round(min(measured)), _round(max(measured))]
    return row


def _by_centre(values: np.ndarray) -> dict[str, float]:
    return {name: _round(value) for name, value in zip(NAMES, values, strict=True)} | {"mean": _round(values.mean())}


def _by_rows(accuracy: np.ndarray) -> float:
    return _round(np.average(accuracy.mean(axis=0), weights=TEST_ROWS))


def _spread(seeds: Sequence[Tested]) -> dict[str, Any]:
    """Standard deviations over the seeds, and the least and the greatest mean accuracy and weighted AUC."""
    accuracy = np.array([seed.accuracy for seed in seeds])
    weighted = [seed.auc_weighted for seed in seeds]
    means = accuracy.mean(axis=1)
    return {
        "accuracy": {name: _round(value) for name, value in zip(NAMES, accuracy.std(axis=0), strict=True)},
        "mean_accuracy": [_round(means.min()), _round(means.max())],
        "auc_weighted": [_round(min(weighted)), _round(max(weighted))],
    }


def published(recipe: Recipe) -> dict[str, Any]:
    """The published figures of a row, empty where there are none."""
    if not recipe.accuracy:
        return {}
    if len(recipe.accuracy) == len(CENTRES):
        return {"accuracy": _by_centre(np.array(recipe.accuracy))}
    return {"accuracy": {"mean": recipe.accuracy[0]}, "auc": recipe.auc, "measure": recipe.measure}


def verdict(rows: Mapping[str, Row]) -> dict[str, Any] | None:
    """Whether the configuration beyond the tables holds what it should; None where a row for it is missing.

    At each centre the bar is the best of training alone, of training on pooled rows and of the majority class.
    """
    if not {LOCAL, POOLED, BEYOND} <= set(rows):
        return None
    beyond = rows[BEYOND]
    bars = {
        name: _round(max(rows[LOCAL]["accuracy"][name], rows[POOLED]["accuracy"][name], majority) - SLACK)
        for name, majority in zip(NAMES, MAJORITY, strict=True)
    }
    met = all(beyond["accuracy"][name] >= bar for name, bar in bars.items())
    return {
        "accuracy_at_least": bars,
        "auc_above": BEST_AUC,
        "met": bool(met and beyond["auc_weighted"] > BEST_AUC),
    }


def _mean(values: Sequence[float]) -> float:
    return _round(np.mean(values))


def _round(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)
