"""A run's rounds as a list that notebooks show as a table and as plots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedstudy_client.extras import with_extra
from fedstudy_client.showing import Chart, table

MOST_CHARTS = 4
FACTS = ("round", "state", "duration_ms", "bytes_sent", "bytes_received")


class Rounds(list[dict[str, Any]]):
    """Every round as the portal tells it, oldest first."""

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat row a round: its facts, and its metrics as "phase.name"."""
        return [
            {
                "round": item["number"],
                **{name: item.get(name) for name in FACTS[1:]},
                **{f"{phase}.{name}": value for phase, name, value in _numbers(item.get("metrics") or {})},
            }
            for item in self
        ]

    def to_site_rows(self) -> list[dict[str, Any]]:
        """One flat row for what each site did in each phase of each round."""
        return [
            {
                "round": item["number"],
                **{name: part.get(name) for name in ("site", "phase", "state", "code", "examples", "duration_ms")},
                **{name: value for name, value in (part.get("metrics") or {}).items() if _is_number(value)},
            }
            for item in self
            for part in item.get("sites", ())
        ]

    def to_pandas(self) -> Any:
        """`to_rows` as a pandas DataFrame. Raises FedStudyProblem (E_EXTRA) where pandas is not installed."""
        return with_extra("pandas", "notebook").DataFrame(self.to_rows())

    @property
    def metrics(self) -> list[str]:
        """The metrics that can be plotted, such as "evaluate.loss"."""
        return list(dict.fromkeys(name for row in self.to_rows() for name in row if "." in name))

    def plot(self, metric: str, *, by_site: bool = False) -> Chart:
        """A metric by round: of all sites together, or a line for each site.

        Args:
            metric: of `metrics`, such as "evaluate.loss".
        """
        if not by_site:
            points = [(float(row["round"]), float(row[metric])) for row in self.to_rows() if metric in row]
            return Chart(metric, {"all sites": points})
        phase, _, name = metric.partition(".")
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in self.to_site_rows():
            if row["phase"] == phase and name in row:
                lines.setdefault(str(row["site"]), []).append((float(row["round"]), float(row[name])))
        return Chart(f"{metric} by site", lines)

    def _repr_html_(self) -> str:
        rows, metrics = self.to_rows(), self.metrics
        columns = [*FACTS, *metrics]
        shown = table(columns, [[row.get(name) for name in columns] for row in rows], caption=f"{len(rows)} rounds")
        first = sorted(metrics, key=lambda name: not name.startswith("evaluate."))[:MOST_CHARTS]
        return shown + "".join(self.plot(metric).svg for metric in first if len(rows) > 1)


def _numbers(metrics: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Phase, name and value of the plain numbers among a round's metrics."""
    for phase, values in metrics.items():
        if isinstance(values, dict):
            yield from ((phase, name, value) for name, value in values.items() if _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
