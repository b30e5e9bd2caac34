"""What a run's model is worth: areas with intervals, calibration and errors, of all sites together and of each.

Made of the score histograms that sites report of their test rows; no row is needed. A script that reports none, or a
test without rows of one class, has none of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.runs.models import Participation, Round
from federation.runs.phases import EVALUATE
from fedstudy_core.evaluation import Calibration, Errors, Estimate, area, best_threshold, calibration, errors_at
from fedstudy_core.metrics import NEGATIVES, POSITIVES, Metric


@dataclass(frozen=True)
class Assessment:
    """One site's test of a model, or all sites' together (`site` is empty).

    Attributes:
        positives, negatives: rows of each class that were tested.
        at_half: decisions from a score of 1/2 on.
        at_best: decisions from the threshold with the largest sum of sensitivity and specificity on.
    """

    site: str
    site_id: str
    positives: int
    negatives: int
    auc: Estimate
    at_half: Errors
    at_best: Errors
    calibration: Calibration


@dataclass(frozen=True)
class Evaluation:
    """The newest test of a run's model; sites in the run's order, those without rows of both classes left out."""

    round: int
    together: Assessment
    sites: tuple[Assessment, ...]


def newest_evaluation(rounds: Sequence[Round]) -> Evaluation | None:
    """That of the last of these committed rounds (of `selectors.rounds_of`) with score histograms of all sites."""
    for round_ in reversed(rounds):
        together = assess(round_.metrics.get(EVALUATE, {}))
        if together is not None:
            rows = sorted(round_.participations.all(), key=lambda row: row.participant.position)
            sites = (_assess_site(row) for row in rows if row.phase == EVALUATE and row.state == "done")
            return Evaluation(round_.number, together, tuple(site for site in sites if site is not None))
    return None


def _assess_site(row: Participation) -> Assessment | None:
    site = row.participant.enrolment.site
    return assess(row.metrics, site.name, str(site.pk))


def assess(metrics: Mapping[str, Metric], site: str = "", site_id: str = "") -> Assessment | None:
    """What the score histograms among the metrics say; None without them, or without rows of both classes."""
    positives, negatives = metrics.get(POSITIVES), metrics.get(NEGATIVES)
    if not isinstance(positives, Sequence) or not isinstance(negatives, Sequence):
        return None
    auc, threshold = area(positives, negatives), best_threshold(positives, negatives)
    at_half, agreement = errors_at(positives, negatives), calibration(positives, negatives)
    if auc is None or threshold is None or at_half is None or agreement is None:
        return None
    at_best = errors_at(positives, negatives, threshold) or at_half
    return Assessment(site, site_id, round(sum(positives)), round(sum(negatives)), auc, at_half, at_best, agreement)
