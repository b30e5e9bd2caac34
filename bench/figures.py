"""The figures that every system is measured by, and what they look like side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

SYSTEMS = {"ours": "FedStudy", "flower": "stock Flower", "floor": "loopback floor"}
COLOURS = {"ours": "#1f6f8b", "flower": "#d1913c", "floor": "#9aa5ab"}


@dataclass(frozen=True)
class Figures:
    """What one system took for one workload: medians and totals of whole rounds, training and evaluation.

    Attributes:
        start_s: from the command to start until the first round is done.
        cpu_s_per_round: CPU seconds of all its processes over the job, by rounds.
        peak_mb: memory of all processes of the central side together, of the largest site, and of everything.
        wan_mb_per_round: bytes over all sites' links, both ways; None where the system does not count them.
    """

    round_median_s: float
    rounds: int
    cpu_s_per_round: float
    start_s: float
    job_s: float
    peak_mb: Mapping[str, float]
    wan_mb_per_round: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures, rounded to what can be told apart."""
        told = asdict(self)
        told["peak_mb"] = {part: round(size) for part, size in self.peak_mb.items()}
        digits = {"round_median_s": 4, "cpu_s_per_round": 4, "start_s": 2, "job_s": 2, "wan_mb_per_round": 4}
        return {name: round(value, digits[name]) if name in digits and value else value for name, value in told.items()}


Results = Mapping[str, Any]


def as_markdown(results: Results, host: Mapping[str, Any]) -> str:
    """The results as a page of Markdown, with ratios within this one run."""
    lines = [
        "# FedStudy, stock Flower and the loopback floor",
        "",
        "Train and evaluate at all sites, the same app, rows and machine, one system after the other; the floor copies "
        "the model to as many processes and back over loopback TCP and averages. "
        f"{host['measured_at']}; {host['cores']} cores, {host['memory_gb']} GB, {host['system']}; Python "
        f"{host['python']}, Flower {host['packages']['flwr']}.",
        f"Processes wanting a core, over the last minute, before each measurement: {_listed(results['load'])}.",
        "",
        "| workload | system | rounds | median round (s) | CPU s a round | start (s) | job (s) | server's peak (MB)"
        " | a site's peak (MB) | all together (MB) | MB over links a round |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, systems in results.items():
        if name != "load":
            lines += [_row(name, title, systems[system]) for system, title in SYSTEMS.items() if system in systems]
    lines += [
        "",
        "| workload | round, to Flower's | round, to the floor | CPU, to Flower's | models in the server's memory"
        " | bytes, to 2 x sites x model |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_ratios(name, systems) for name, systems in results.items() if name != "load"]
    return "\n".join(lines) + "\n"


def _listed(loads: Sequence[float]) -> str:
    return ", ".join(f"{load:g}" for load in loads)


def _row(name: str, title: str, told: Mapping[str, Any]) -> str:
    if "failed" in told:
        return f"| {name} | {title} | did not finish: {told['failed']} | | | | | | | | |"
    moved = "" if told["wan_mb_per_round"] is None else f"{told['wan_mb_per_round']:g}"
    peak = told["peak_mb"]
    return (
        f"| {name} | {title} | {told['rounds']} | {told['round_median_s']:g} | {told['cpu_s_per_round']:g} "
        f"| {told['start_s']:g} | {told['job_s']:g} | {peak['server']:,} | {peak['site']:,} | {peak['total']:,} "
        f"| {moved} |"
    )


def _ratios(name: str, systems: Mapping[str, Mapping[str, Any]]) -> str:
    def ratio(field: str, other: str) -> str:
        ours, theirs = systems.get("ours", {}).get(field), systems.get(other, {}).get(field)
        return f"{ours / theirs:.3g}" if ours and theirs else ""

    ours = systems.get("ours", {})
    cells = [ratio("round_median_s", "flower"), ratio("round_median_s", "floor"), ratio("cpu_s_per_round", "flower")]
    cells += [f"{ours[field]:g}" if field in ours else "" for field in ("server_models", "wan_share")]
    return f"| {name} | {' | '.join(cells)} |"


def as_picture(results: Results) -> str:
    """The median rounds as bars on a logarithmic scale (SVG)."""
    rows = [
        (name, system, float(systems[system]["round_median_s"]))
        for name, systems in results.items()
        if name != "load"
        for system in SYSTEMS
        if systems.get(system, {}).get("round_median_s")
    ]
    height, left, width = 22, 150, 520
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height * len(rows) + 50}" '
        'font-family="sans-serif" font-size="12">',
        '<text x="10" y="20" font-weight="bold">Median seconds a round (logarithmic)</text>',
    ]
    for place, (name, system, seconds) in enumerate(rows):
        top, long = 34 + place * height, _length(seconds, [row[2] for row in rows]) * width
        lines += [
            f'<text x="10" y="{top + 12}">{name} {SYSTEMS[system]}</text>',
            f'<rect x="{left}" y="{top}" width="{long:.1f}" height="{height - 6}" fill="{COLOURS[system]}"/>',
            f'<text x="{left + long + 6:.1f}" y="{top + 12}">{seconds:.3g} s</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _length(seconds: float, every: Sequence[float]) -> float:
    """How much of the width a bar takes: 5% for the least, all of it for the most."""
    least, most = min(every), max(every)
    return 1.0 if most == least else 0.05 + 0.95 * log(seconds / least) / log(most / least)
