"""How the metrics of several sites become one, and what a score histogram tells.

A script declares for each metric how it aggregates (`[tool.fedstudy.metrics]`); what it does not declare is averaged
with the sites' example counts as weights, as Flower does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Number = int | float
Metric = int | float | Sequence[int | float]

WEIGHT = "num-examples"
LISTS = ("histogram", "replicates")  # the kinds of metrics that are lists
SITES_OWN = ("replicates", "identity")
MAX_EXAMPLES = 10**9  # more than that no site has
POSITIVES = "score-positives"
NEGATIVES = "score-negatives"
REPLICATES_OF = "replicates-of"  # which rows were drawn how: a number to be compared, and for nothing else
MOST_REPLICATES = 200
MOST_IDENTITY = 2**48
_REPLICATES = "-replicates"


def is_score_count(name: str) -> bool:
    """Whether a metric is a score histogram, of all rows or of a subgroup's."""
    return name.partition(".")[0] in (POSITIVES, NEGATIVES)


def replicates_name(metric: str) -> str:
    """The name of a metric's bootstrap replicates."""
    return f"{metric}{_REPLICATES}"


def is_raw(name: str) -> bool:
    """Whether figures are made of a metric, which is none itself: score counts, replicates and whose they are."""
    return is_score_count(name) or name == REPLICATES_OF or name.endswith(_REPLICATES)


def replicates_contradiction(kinds: Mapping[str, str]) -> str:
    """In what the declared replicates do not fit the other metrics; "" when they fit."""
    for name, kind in kinds.items():
        if (kind == "replicates") != name.endswith(_REPLICATES) or (kind == "identity") != (name == REPLICATES_OF):
            return f"“{name}” is the name of replicates, or their kind, and not both."
        if kind == "replicates" and kinds.get(name.removesuffix(_REPLICATES), "replicates") in (
            "replicates",
            "histogram",
        ):
            return f"“{name}” are replicates of no declared number."
    if "replicates" in kinds.values() and REPLICATES_OF not in kinds:
        return f"Replicates need “{REPLICATES_OF}” among the declared metrics."
    return ""


@dataclass(frozen=True)
class Curve:
    """A receiver operating characteristic, from (0, 0) to (1, 1).

    Attributes:
        auc: the area under it; ties within a bin count half.
        false_positive_rates: (k,) rising.
        true_positive_rates: (k,) rising.
    """

    auc: float
    false_positive_rates: list[float]
    true_positive_rates: list[float]


def combine(sites: Sequence[Mapping[str, Metric]], kinds: Mapping[str, str]) -> dict[str, Metric]:
    """One set of metrics for all sites; what is beyond all numbers together is left out.

    Args:
        sites: each site's metrics; a metric that a site does not report is left out for it.
        kinds: metric name to "mean" (weighted by `num-examples`), "sum", "min", "max" or "histogram" (summed up);
            "replicates" and "identity" are each site's own and left out.
    """
    names = dict.fromkeys(name for site in sites for name in site if kinds.get(name) not in SITES_OWN)
    with np.errstate(over="ignore", invalid="ignore"):
        combined = {name: _combine_one(name, sites, kinds.get(name, "mean")) for name in names}
    return {name: value for name, value in combined.items() if np.isfinite(value).all()}


def _combine_one(name: str, sites: Sequence[Mapping[str, Metric]], kind: str) -> Metric:
    reporting = _of_one_length(name, sites)
    values = np.array([site[name] for site in reporting], dtype=float)
    if name == WEIGHT or kind in ("sum", "histogram"):
        return _plain(values.sum(axis=0))
    if kind in ("min", "max"):
        return _plain(getattr(values, kind)(axis=0))
    weights = np.array([site.get(WEIGHT, 1) for site in reporting], dtype=float)
    return _plain(np.average(values, axis=0, weights=weights))


def _of_one_length(name: str, sites: Sequence[Mapping[str, Metric]]) -> list[Mapping[str, Metric]]:
    """The sites that report the metric; of histograms those with the length that most have."""
    reporting = [site for site in sites if name in site]
    lengths = Counter(_length(site[name]) for site in reporting)
    usual = lengths.most_common(1)[0][0]
    return [site for site in reporting if _length(site[name]) == usual]


def _length(value: Metric) -> int:
    return len(value) if isinstance(value, Sequence) else 0


def _plain(value: np.ndarray | np.generic) -> Metric:
    plain = value.tolist()
    if isinstance(plain, list):
        return [int(item) if float(item).is_integer() else item for item in plain]
    return int(plain) if float(plain).is_integer() else plain


def roc(positives: Sequence[Number], negatives: Sequence[Number]) -> Curve | None:
    """The curve of a classifier from counts of its scores in equal bins over [0, 1].

    Args:
        positives, negatives: (bins,) rows of each class with a score in the bin, lowest score first.

    Returns:
        None when one of the classes has no rows, or the two have different bins.
    """
    if len(positives) != len(negatives):
        return None
    positive = np.asarray(positives, dtype=float)[::-1]
    negative = np.asarray(negatives, dtype=float)[::-1]
    if positive.sum() == 0 or negative.sum() == 0:
        return None
    true_rate = np.concatenate([[0.0], np.cumsum(positive) / positive.sum()])
    false_rate = np.concatenate([[0.0], np.cumsum(negative) / negative.sum()])
    area = float(np.trapezoid(true_rate, false_rate))
    corner = np.concatenate([[True], (np.diff(true_rate) > 0) | (np.diff(false_rate) > 0)])
    return Curve(area, false_rate[corner].tolist(), true_rate[corner].tolist())


def with_pooled_auc(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The metrics with `pooled-auc`, the area under the curve of all rows in one ranking, where histograms allow it."""
    answer = dict(metrics)
    positives, negatives = metrics.get(POSITIVES), metrics.get(NEGATIVES)
    if isinstance(positives, Sequence) and isinstance(negatives, Sequence):
        curve = roc(positives, negatives)
        if curve is not None:
            answer["pooled-auc"] = curve.auc
    return answer
