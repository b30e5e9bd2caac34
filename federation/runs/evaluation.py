"""What a run's model is worth: areas with intervals, calibration and errors, of all sites, of each and by subgroup.

Made of the score histograms that sites report of their test rows; no row is needed. A script that reports none, or a
test without rows of one class, has none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.runs.models import Participation, Round
from federation.runs.phases import EVALUATE
from fedstudy_core.bands import band
from fedstudy_core.evaluation import Calibration, Errors, Estimate, area, best_threshold, calibration, errors_at
from fedstudy_core.metrics import NEGATIVES, POSITIVES, Metric
from fedstudy_core.subgroups import names_of


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
class SubgroupResult:
    """A test's rows with one value of a subgroup, of the sites that told of them.

    Attributes:
        subgroup, value: as people call them; `name` is the script's own, such as `sex.female`.
        sites: told of these rows; `withheld` tested the model and did not, because they have too few such rows.
        rows_band: of the rows together; "" where no site told.
        auc, sensitivity, specificity: None where no site told; the latter two from a score of 1/2 on.
    """

    name: str
    subgroup: str
    value: str
    sites: int
    withheld: int
    rows_band: str
    auc: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None


@dataclass(frozen=True)
class Evaluation:
    """The newest test of a run's model; sites in the run's order, those without rows of both classes left out."""

    round: int
    together: Assessment
    sites: tuple[Assessment, ...]
    subgroups: tuple[SubgroupResult, ...] = ()


def newest_evaluation(rounds: Sequence[Round], declaration: Mapping[str, Any]) -> Evaluation | None:
    """That of the last of these committed rounds (of `selectors.rounds_of`) with score histograms of all sites.

    Args:
        declaration: of the run's script.
    """
    for round_ in reversed(rounds):
        together = assess(round_.metrics.get(EVALUATE, {}))
        if together is not None:
            rows = sorted(round_.participations.all(), key=lambda row: row.participant.position)
            done = [row for row in rows if row.phase == EVALUATE and row.state == "done"]
            sites = tuple(site for site in map(_assess_site, done) if site is not None)
            subgroups = _subgroups(round_.metrics[EVALUATE], done, declaration.get("subgroups", ()))
            return Evaluation(round_.number, together, sites, tuple(subgroups))
    return None


def _subgroups(
    metrics: Mapping[str, Metric], answers: Sequence[Participation], declared: Sequence[Mapping[str, Any]]
) -> Iterator[SubgroupResult]:
    tested = [row.metrics for row in answers if POSITIVES in row.metrics]
    for subgroup in declared:
        for value in subgroup["values"]:
            positives, negatives = names_of(subgroup["name"], value["name"])
            told = sum(positives in answer for answer in tested)
            found = assess({POSITIVES: metrics.get(positives, 0), NEGATIVES: metrics.get(negatives, 0)})
            yield SubgroupResult(
                name=f"{subgroup['name']}.{value['name']}",
                subgroup=subgroup["label"],
                value=value["label"],
                sites=told,
                withheld=len(tested) - told,
                rows_band=band(found.positives + found.negatives) if found else "",
                auc=found.auc if found else None,
                sensitivity=found.at_half.sensitivity if found else None,
                specificity=found.at_half.specificity if found else None,
            )


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
