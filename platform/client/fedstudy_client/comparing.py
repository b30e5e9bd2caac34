"""Runs side by side: the settings in which they differ, and their metrics with the best marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fedstudy_client.records import Run
from fedstudy_client.showing import table

if TYPE_CHECKING:
    from fedstudy_client.client import FedStudy

SETTINGS = (
    *("strategy", "rounds", "quorum", "deadline_s", "wait_s", "priority", "transport"),
    *("metric", "better", "patience", "min_delta", "parent", "parent_round"),
)
_LOWER_IS_BETTER = {"loss", "error", "mse", "mae", "rmse", "brier", "perplexity", "deviance", "time"}
_COUNTS = {"num-examples", "step-sum"}


@dataclass(frozen=True)
class Row:
    """A setting or a metric of every run, in the runs' order; `best` are the positions of the best values."""

    name: str
    values: tuple[Any, ...]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """What tells runs apart."""

    runs: tuple[Run, ...]
    settings: tuple[Row, ...]
    metrics: tuple[Row, ...]

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a setting or metric: its name, and a value for each run by its label."""
        labels = [run.label for run in self.runs]
        return [{"name": row.name, **dict(zip(labels, row.values, strict=True))} for row in self._rows]

    @property
    def _rows(self) -> tuple[Row, ...]:
        return (*self.settings, *self.metrics)

    def _repr_html_(self) -> str:
        rows = [(row.name, *row.values) for row in self._rows]
        best = {(number, at + 1) for number, row in enumerate(self._rows) for at in row.best}
        caption = "Settings that differ, and metrics (the best in bold)"
        return table(("", *(run.label for run in self.runs)), rows, caption=caption, best=best)

    def as_json(self) -> dict[str, Any]:
        """As plain values: for each setting and metric a value by run id, for each metric the best runs' ids."""
        ids = [run.id for run in self.runs]
        return {
            "runs": [{"id": run.id, "label": run.label, "state": run.state} for run in self.runs],
            "settings": {row.name: dict(zip(ids, row.values, strict=True)) for row in self.settings},
            "metrics": {
                row.name: {
                    "values": dict(zip(ids, row.values, strict=True)),
                    "best": [ids[position] for position in sorted(row.best)],
                }
                for row in self.metrics
            },
        }


def compare(portal: FedStudy, runs: Sequence[Run]) -> Comparison:
    """Compare runs by their plans and by the metrics of all sites after the last round of each."""
    versions = {run.raw["version"]: portal.versions.get(run.raw["version"]) for run in runs}
    plans = []
    for run in runs:
        version = versions[run.raw["version"]]
        plans.append({"script": f"{version.script.name} v{version.number}", **settings_of(run)})
    pooled = [portal.runs.results(run)["pooled"] for run in runs]
    return Comparison(tuple(runs), differing(plans), metrics_of(pooled, _directions(runs)))


def settings_of(run: Run) -> dict[str, Any]:
    """A run's plan as one flat table."""
    plan = {name: run.raw.get(name) for name in SETTINGS}
    plan["sites"] = sorted(site["name"] for site in run.raw.get("sites", ()))
    plan["trains"] = sorted(site["name"] for site in run.raw.get("sites", ()) if site["role"] == "trains")
    for group in ("strategy_parameters", "config"):
        plan |= {f"{group}.{name}": value for name, value in run.raw.get(group, {}).items()}
    return plan


def differing(plans: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """The settings that are not the same in all plans."""
    rows = [
        Row(name, tuple(plan.get(name) for plan in plans)) for name in dict.fromkeys(key for p in plans for key in p)
    ]
    return tuple(row for row in rows if any(value != row.values[0] for value in row.values))


def metrics_of(pooled: Sequence[Mapping[str, Any]], directions: Mapping[str, str] | None = None) -> tuple[Row, ...]:
    """The plain numbers among the metrics, with the best of each marked where runs differ in it.

    Args:
        pooled: every run's metrics of all sites.
        directions: "higher" or "lower" by name of metric; what the name suggests for the others.
    """
    rows = []
    for name in dict.fromkeys(name for metrics in pooled for name in metrics):
        values = tuple(metrics.get(name) for metrics in pooled)
        if any(isinstance(value, int | float) for value in values):
            rows.append(Row(name, values, _best(name, values, (directions or {}).get(name))))
    return tuple(rows)


def better_when(metric: str) -> str:
    """The direction that a metric's name suggests: "lower" for losses and errors, "higher" for the rest."""
    words = metric.lower().replace("-", " ").replace("_", " ").split()
    return "lower" if _LOWER_IS_BETTER.intersection(words) else "higher"


def _directions(runs: Sequence[Run]) -> dict[str, str]:
    return {run.raw["metric"]: run.raw["better"] for run in runs if run.raw.get("metric") and run.raw.get("better")}


def _best(name: str, values: Sequence[Any], better: str | None) -> frozenset[int]:
    numbers = {position: value for position, value in enumerate(values) if isinstance(value, int | float)}
    if name in _COUNTS or len(set(numbers.values())) < 2:
        return frozenset()
    chosen = (min if (better or better_when(name)) == "lower" else max)(numbers.values())
    return frozenset(position for position, value in numbers.items() if value == chosen)
