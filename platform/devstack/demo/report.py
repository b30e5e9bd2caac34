"""What the demo says at its end: a table, accounts, and figures as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devstack.demo.cast import STUDY, Cast
from devstack.demo.figures import Figures
from devstack.demo.story import Outcome, Prepared
from devstack.stack import Stack

COLUMNS = {
    "federated": "Federated",
    "federated_site_normalised": "Federated,\nown normalisation",
    "local": "Each site\nalone",
    "pooled": "Pooled\n(not federated)",
}
# FLamby's published FedAvg on this split, learning rate 0.01, each site normalised by itself; mean of five seeds.
REFERENCE_MEAN_ACCURACY = 0.725


def show_figures(console: Console, outcome: Outcome) -> None:
    """Per site, and over all sites: AUC and accuracy of every way of training."""
    table = Table(title="AUC / accuracy on each site's own test rows", title_justify="left")
    table.add_column("Site")
    table.add_column("Train rows", justify="right")
    table.add_column("Test rows", justify="right")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    chosen = {way: outcome.metrics[way] for way in COLUMNS}
    federated = outcome.metrics["federated"]
    for name, site in federated.sites.items():
        cells = [_cell(figures.sites[name].auc, figures.sites[name].accuracy) for figures in chosen.values()]
        table.add_row(name, str(site.train_rows), str(site.test_rows), *cells)
    table.add_section()
    rows = [sum(site.train_rows for site in federated.sites.values())]
    rows += [sum(site.test_rows for site in federated.sites.values())]
    pooled = [_cell(figures.auc, figures.accuracy) for figures in chosen.values()]
    table.add_row("All test rows as one", *map(str, rows), *pooled)
    means = [_cell(figures.mean_auc, figures.mean_accuracy) for figures in chosen.values()]
    table.add_row("Mean of sites (AUC by rows)", "", "", *means)
    console.print(table)
    console.print(
        f"{outcome.refusals} refusals; a round took {outcome.round_median_s:.2f} s (median), "
        f"the first one {outcome.first_round_s:.1f} s from the start."
    )


def show_address(console: Console, stack: Stack, cast: Cast, outcome: Outcome) -> None:
    """Where to look, and as whom."""
    console.print(f"\nThe portal: [bold]{stack.portal_url}[/]   the run: {stack.portal_url}/runs/{outcome.run}")
    table = Table("Role", "E-mail", "Password", title="Demo accounts", title_justify="left")
    for person in cast.people:
        table.add_row(person.role, person.email, person.password)
    console.print(table)


def write_json(file: Path, prepared: Prepared, outcome: Outcome, rounds: int, timings: Mapping[str, float]) -> None:
    """The figures and timings, for programs."""
    file.write_text(json.dumps(as_json(prepared, outcome, rounds, timings), indent=1) + "\n")


def as_json(prepared: Prepared, outcome: Outcome, rounds: int, timings: Mapping[str, float]) -> dict[str, Any]:
    """The demo's figures: metrics by way of training, timings in seconds."""
    federated = outcome.metrics["federated"]
    return {
        "study": {"id": prepared.study, "title": STUDY["title"]},
        "run": outcome.run,
        "sites": [
            {"name": name, "train_rows": site.train_rows, "test_rows": site.test_rows}
            for name, site in federated.sites.items()
        ],
        "rounds": rounds,
        "metrics": {way: figures.as_json() for way, figures in outcome.metrics.items()},
        "reference": _reference(outcome.metrics["federated_site_normalised"]),
        "timings": {
            **{name: round(seconds, 2) for name, seconds in timings.items()},
            "round_median_s": round(outcome.round_median_s, 3),
            "first_round_s": round(outcome.first_round_s, 2),
        },
        "refusals": outcome.refusals,
    }


def _reference(figures: Figures) -> dict[str, Any]:
    return {
        "what": "FLamby's FedAvg, learning rate 0.01, each site normalised by itself: mean accuracy of four sites",
        "published": REFERENCE_MEAN_ACCURACY,
        "federated_site_normalised": figures.mean_accuracy,
        "difference": figures.mean_accuracy - REFERENCE_MEAN_ACCURACY,
    }


def _cell(auc: float | None, accuracy: float) -> str:
    return f"{'  - ' if auc is None else f'{auc:.3f}'} / {accuracy:.3f}"
