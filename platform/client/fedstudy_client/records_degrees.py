"""What the portal answers about comparisons of degrees of federation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fedstudy_client.records import FINAL, Record
from fedstudy_client.showing import table


@dataclass(frozen=True)
class DegreeComparison(Record):
    """One plan, trained at several degrees of federation and tested on the same rows.

    A list of the study's tells of each its plan only; `get` has the tables, of `metric`. A figure is {value, low, high,
    rows, replicates, seeds, deviation}: the mean over seeds, and how these deviate from it.

    Attributes:
        rows: one for each degree: its figures by site, weighted and ranked, what it gains over `base`, what it took.
        contributions: one for each site: its gain over its own model, and what its rows bring to the others.
        personalised: strategies of runs in it that leave a part of the model at each site; `offered`: others that suit.
        runs: [{kind, site, seed, run}].
        lacking: [{kind, reason, sites}], ways of training that the study does not allow now.
        hindered: [{run, code, detail}], of the last start.
    """

    id: str
    label: str
    kinds: list[str]
    plan: dict[str, Any] = field(repr=False)
    created_at: datetime
    seeds: list[int] = field(default_factory=list)
    personalised: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    metric: str = ""
    metrics: list[str] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    base: str = ""
    same_rows: bool = True
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    contributions: list[dict[str, Any]] = field(default_factory=list, repr=False)
    runs: list[dict[str, Any]] = field(default_factory=list, repr=False)
    lacking: list[dict[str, Any]] = field(default_factory=list, repr=False)
    hindered: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def is_final(self) -> bool:
        """Whether none of its runs is under way, and all were started."""
        return all(item["run"]["state"] in FINAL for item in self.runs)

    @property
    def worse(self) -> list[str]:
        """The sites for which the shared model is worse than their own."""
        return [item["site"] for item in self.contributions if item["is_worse"]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `lines` have."""
        return (
            *("degree", "seeds", "local", *self.sites, "weighted", "deviation", "ranking", "gain"),
            *("rows trained", "exposed", "s", "bytes"),
        )

    @property
    def lines(self) -> list[tuple[Any, ...]]:
        """One row for each degree: plain values, None where there is none."""
        return list(self._lines())

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        for row in self.rows:
            yield (
                ", ".join(
                    (row["kind"], *([row["strategy"]] if row["kind"] == "personalised" else row["pooled_sites"]))
                ),
                len(row["seeds"]),
                row["degree"],
                *(_value(figure) for figure in row["sites"]),
                _value(row["weighted"]),
                row["weighted"] and row["weighted"]["deviation"],
                _value(row["ranking"]),
                _value(row["weighted_gain"]),
                _span(row["trained"]),
                row["exposed"],
                row["seconds"],
                row["bytes"],
            )

    def _repr_html_(self) -> str:
        return table(self.columns, self.lines, caption=f"{self.label}: {self.metric}")


def _value(figure: dict[str, Any] | None) -> float | None:
    return None if figure is None else figure["value"]


def _span(ends: Sequence[int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"
