"""What came out of a run, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedstudy_client.cli.output import Output
from fedstudy_client.client import FedStudy
from fedstudy_client.records import Run
from fedstudy_client.results import ALL_SITES, RATES, with_interval


def show_results(connected: FedStudy, run: Run, output: Output) -> None:
    """Show a run with its metrics by site and for all."""
    results = connected.runs.results(run)
    output.facts({**run.raw, "results": results})
    reason = f": {run.reason_code} {run.reason}".rstrip(". ") if run.reason_code else ""
    output.say(f"“{run.label}” is {run.state}{reason}. Rounds: {results['committed']} of {results['total']}.")
    sites = [(site["site"], site["metrics"]) for site in results["sites"]]
    columns = [("all sites", results["pooled"]), *sites]
    names = _names(metrics for _, metrics in columns)
    rows = [(name, *(metrics.get(name) for _, metrics in columns)) for name in names]
    output.table("Metrics after the last round", ("", *(column for column, _ in columns)), rows)
    _show_subgroups((results.get("evaluation") or {}).get("subgroups", []), output)


def _show_subgroups(subgroups: Sequence[Mapping[str, Any]], output: Output) -> None:
    if subgroups:
        titles = ("", "sites", "rows", "AUC", *RATES)
        output.table("Performance by subgroup", titles, list(map(_subgroup, subgroups)))


def _subgroup(item: Mapping[str, Any]) -> tuple[Any, ...]:
    figures = [with_interval(item[name]) for name in ("auc", *RATES)]
    told = f"{item['sites']} of {item['sites'] + item['withheld']}"
    return (f"{item['subgroup']}: {item['value']}", told, item["rows_band"] or "too few", *figures)


def show_by_site(run: Run, results: Mapping[str, Any], output: Output) -> None:
    """Show a run's results with a line for each site: metrics, then what the evaluation estimates, with intervals."""
    output.facts({"run": run.id, "label": run.label, "state": run.state, **results})
    output.say(f"“{run.label}” is {run.state}. Rounds: {results['committed']} of {results['total']}.")
    lines = [(site["site"], site["round"], site["metrics"]) for site in results["sites"]]
    if results["pooled"]:
        lines.append((ALL_SITES, results["committed"], results["pooled"]))
    names = _names(metrics for _, _, metrics in lines)
    rows = [(site, number, *map(metrics.get, names)) for site, number, metrics in lines]
    output.table("Metrics after the last round", ("site", "round", *names), rows)
    evaluation = results.get("evaluation")
    if evaluation:
        tested = [_tested(item["site"], item) for item in evaluation["sites"]]
        tested.append(_tested(ALL_SITES, evaluation["together"]))
        columns = ("site", "positive", "negative", "AUC", *RATES, "Brier score")
        output.table(f"Test of round {evaluation['round']}, intervals of 95 %", columns, tested)
        _show_subgroups(evaluation["subgroups"], output)


def _tested(site: str, item: Mapping[str, Any]) -> tuple[Any, ...]:
    rates = (with_interval(item["at_half"][name]) for name in RATES)
    return (
        site,
        item["positives"],
        item["negatives"],
        with_interval(item["auc"]),
        *rates,
        item["calibration"]["brier"],
    )


def _names(metrics: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Of all metrics that are numbers, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for told in metrics for name, value in told.items() if _is_number(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
