"""The figures of one way of training: per site, over all test rows in one ranking, and as plain means."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

POSITIVES, NEGATIVES = "score-positives", "score-negatives"


@dataclass(frozen=True)
class SiteFigures:
    """How a model does on one site's test rows; `auc` is None where they are all of one class."""

    train_rows: int
    test_rows: int
    accuracy: float
    auc: float | None


@dataclass(frozen=True)
class Figures:
    """How one way of training does.

    Attributes:
        accuracy: share of all test rows that are right at the threshold 0.5.
        auc: area under the ROC of all test rows in a single ranking.
    """

    sites: dict[str, SiteFigures]
    accuracy: float
    auc: float | None

    @property
    def mean_accuracy(self) -> float:
        """Plain mean of the sites' accuracies (FLamby's figure)."""
        return float(np.mean([site.accuracy for site in self.sites.values()]))

    @property
    def mean_auc(self) -> float | None:
        """Plain mean of the AUCs of the sites that have one; None where no site has."""
        aucs = [site.auc for site in self.sites.values() if site.auc is not None]
        return float(np.mean(aucs)) if aucs else None

    @property
    def weighted_auc(self) -> float | None:
        """Mean of the sites' AUCs weighted by test rows (FL4E's figure); None where no site has one."""
        ranked = [(site.auc, site.test_rows) for site in self.sites.values() if site.auc is not None]
        if not ranked:
            return None
        aucs, weights = zip(*ranked, strict=True)
        return float(np.average(aucs, weights=weights))

    def as_json(self) -> dict[str, Any]:
        """For the demo's JSON file."""
        return {
            "sites": {name: asdict(site) for name, site in self.sites.items()},
            "pooled": {"accuracy": self.accuracy, "auc": self.auc},
            "mean_accuracy": self.mean_accuracy,
            "mean_auc": self.mean_auc,
            "weighted_auc": self.weighted_auc,
        }


def from_json(value: Mapping[str, Any]) -> Figures:
    """Figures from what `as_json` gave."""
    sites = {name: SiteFigures(**site) for name, site in value["sites"].items()}
    return Figures(sites, value["pooled"]["accuracy"], value["pooled"]["auc"])


def of_last_round(*last_rounds: Mapping[str, Any]) -> Figures:
    """Figures from the API's account of the last round of a run, or of several runs with one site each."""
    trained: dict[str, int] = {}
    evaluated: dict[str, Mapping[str, Any]] = {}
    for last in last_rounds:
        for answer in last["sites"]:
            if answer["state"] == "done" and answer["phase"] == "train":
                trained[answer["site"]] = int(answer["examples"])
            elif answer["state"] == "done" and answer["phase"] == "evaluate":
                evaluated[answer["site"]] = answer["metrics"]
    sites = {
        name: SiteFigures(
            train_rows=trained[name],
            test_rows=int(metrics["num-examples"]),
            accuracy=float(metrics["accuracy"]),
            auc=metrics.get("auc"),
        )
        for name, metrics in evaluated.items()
    }
    return Figures(
        sites,
        accuracy=_weighted_accuracy(sites),
        auc=ranking_auc(
            _sum([metrics[POSITIVES] for metrics in evaluated.values()]),
            _sum([metrics[NEGATIVES] for metrics in evaluated.values()]),
        ),
    )


def ranking_auc(positives: Sequence[int], negatives: Sequence[int]) -> float | None:
    """Area under the ROC from score histograms (equal bins, lowest score first); ties in a bin count half."""
    positive, negative = np.asarray(positives, dtype=float), np.asarray(negatives, dtype=float)
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def _sum(histograms: Sequence[Sequence[int]]) -> list[int]:
    return [int(count) for count in np.sum(np.asarray(histograms), axis=0)]


def _weighted_accuracy(sites: Mapping[str, SiteFigures]) -> float:
    rows = [site.test_rows for site in sites.values()]
    return float(np.average([site.accuracy for site in sites.values()], weights=rows))
