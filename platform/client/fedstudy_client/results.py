"""A run's results as rows: a line for each site and one for all of them, with intervals of 95 %."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

ALL_SITES = "All sites"
RATES = ("sensitivity", "specificity")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def result_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each site, then one for all sites, from what `runs.results` answers.

    A row has `site`, `round`, `rows_trained`, `metric:NAME` for each metric, and where the run was tested with score
    histograms `positives`, `negatives`, `auc`, `sensitivity` and `specificity` (at a threshold of 1/2) with
    `NAME:low` and `NAME:high`, and `brier`. What is not known is None.
    """
    evaluation = results.get("evaluation") or {}
    tested = {item["site_id"]: item for item in evaluation.get("sites", ())}
    rows = [
        {
            "site": item["site"],
            "round": item["round"],
            "rows_trained": item["examples"],
            **_metrics(item["metrics"]),
            **_assessed(tested.get(item["site_id"])),
        }
        for item in results["sites"]
    ]
    if results["pooled"]:
        told = {**_metrics(results["pooled"]), **_assessed(evaluation.get("together"))}
        rows.append({"site": ALL_SITES, "round": results["committed"], "rows_trained": None, **told})
    return even(rows)


def even(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the same names in the same order; what a row has not is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0] if rows else ("site",))
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def with_interval(estimate: Mapping[str, Any] | None) -> str:
    """An estimate as people read it, such as "0.812 (0.774 to 0.850)"; nothing where there is none."""
    if not estimate:
        return ""
    ends = estimate["interval"]
    return f"{estimate['value']:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {f"metric:{name}": value for name, value in metrics.items() if isinstance(value, int | float)}


def _assessed(item: Mapping[str, Any] | None) -> dict[str, Any]:
    if item is None:
        return {}
    row: dict[str, Any] = {"positives": item["positives"], "negatives": item["negatives"]}
    for name, estimate in {"auc": item["auc"], **{rate: item["at_half"][rate] for rate in RATES}}.items():
        low, high = (estimate and estimate["interval"]) or (None, None)
        row |= {name: estimate and estimate["value"], f"{name}:low": low, f"{name}:high": high}
    return {**row, "brier": item["calibration"]["brier"]}


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
