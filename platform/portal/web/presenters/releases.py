"""A model card as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from federation.releases.card import model_of
from federation.runs.models import Run
from portal.web.formats import score, value_text
from portal.web.presenters.charts import metric_name, pooled_name
from portal.web.presenters.signatures import under
from studies.scripts.signatures import Signature


@dataclass(frozen=True)
class ResultRow:
    """The model at a site, or at all of them together; estimates with their intervals in words."""

    site: str
    rows: int
    auc: str
    sensitivity: str
    specificity: str
    brier: str
    is_total: bool


def models_to_release(run: Run) -> list[tuple[int, str]]:
    """The run's newest model and, where it is another, the best: round and words."""
    newest = model_of(run)
    found = [(newest.round_number, _("The newest, of round {number}").format(number=newest.round_number))]
    if run.best_round is not None and run.best_round != newest.round_number:
        words = _("The best by {metric}, of round {number}").format(
            metric=metric_name(run.metric), number=run.best_round
        )
        found.append((run.best_round, words))
    return found


def facts_of(card: dict[str, Any]) -> list[tuple[str, str]]:
    """What the card tells of the model in pairs."""
    configuration = ", ".join(f"{name} {value_text(value)}" for name, value in sorted(card["configuration"].items()))
    dictionary = card["dictionary_version"]
    committed = _("{number} of {planned} committed")
    return [
        (_("After round"), str(card["model_round"])),
        (_("Rounds"), committed.format(number=card["rounds_committed"], planned=card["rounds_planned"])),
        (_("Parameters"), f"{card['model_parameters']:,}".replace(",", " ")),
        (_("Strategy"), card["strategy"]),
        (_("Script"), f"{card['script']} v{card['script_version']}"),
        (_("Data dictionary"), _("version {number}").format(number=dictionary) if dictionary else _("none")),
        (_("Configuration"), configuration or _("none")),
    ]


def parts_of(card: dict[str, Any]) -> list[tuple[dict[str, Any], list[Signature]]]:
    """Each site's part, with the signatures under its approval; cards of before had none."""
    return [(site, under(site.get("signatures", []))) for site in card["sites"]]


def result_rows(card: dict[str, Any]) -> list[ResultRow]:
    """The sites' results, all together last."""
    rows = [
        ResultRow(
            site=item["site"] or pooled_name(),
            rows=item["rows"],
            auc=_estimate(item["auc"]),
            sensitivity=_estimate(item["sensitivity"]),
            specificity=_estimate(item["specificity"]),
            brier=score(item["brier"]),
            is_total=not item["site"],
        )
        for item in card["results"]
    ]
    return sorted(rows, key=lambda row: row.is_total)


@dataclass(frozen=True)
class SubgroupRow:
    """The model on one subgroup's rows; `told` is of how many sites, in words."""

    name: str
    told: str
    rows: str
    auc: str
    sensitivity: str
    specificity: str


def subgroup_rows(card: dict[str, Any]) -> list[SubgroupRow]:
    """The results by subgroup; cards of before there were such have none."""
    return [
        SubgroupRow(
            name=f"{item['subgroup']}: {item['value']}",
            told=_("{told} of {asked}").format(told=item["sites"], asked=item["sites"] + item["withheld"]),
            rows=item["rows_band"] or _("too few"),
            auc=_estimate(item["auc"]),
            sensitivity=_estimate(item["sensitivity"]),
            specificity=_estimate(item["specificity"]),
        )
        for item in card.get("subgroups", ())
    ]


def _estimate(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return score(None)
    interval = estimate["interval"]
    words = score(estimate["value"])
    if not interval:
        return words
    return _("{value} ({low} to {high})").format(value=words, low=score(interval[0]), high=score(interval[1]))
