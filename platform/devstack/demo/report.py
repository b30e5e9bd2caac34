"""What the demo says at its end: a table, accounts, and figures as JSON."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from devstack.demo.cast import STUDY, Cast
from devstack.demo.figures import Figures, SiteFigures
from devstack.demo.story import Outcome, Prepared
from devstack.stack import Stack

COLUMNS = {
    "federated_global": "Federated",
    "federated": "Own norm.*",
    "local": "Alone",
    "pooled_global": "Pooled**",
}
# What the table does not show, and the file for programs does.
MORE_WAYS = {"pooled": "pooled, each site's rows normalised by themselves"}
NOTES = (
    "Rows: train+test. All as one: a single ranking of all test rows.\n"
    "Mean of sites: every site counts the same, whatever its size, in AUC and in accuracy.\n"
    "  * federated, but each site normalises by its own mean and deviation (FLamby)\n"
    " ** trained on all rows in one place: the yardstick, not a federated study"
)
# FLamby's published FedAvg on this split, learning rate 0.01, each site normalised by itself; mean of five seeds.
REFERENCE_MEAN_ACCURACY = 0.725


def show_figures(console: Console, outcome: Outcome) -> None:
    """Per site, and over all sites: AUC and accuracy of every way of training."""
    table = Table(
        title="AUC / accuracy on test rows", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    table.add_column("Site", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    chosen = [outcome.metrics[way] for way in COLUMNS]
    sites = outcome.metrics["federated"].sites
    for name, site in sites.items():
        at_home = [figures.sites[name] for figures in chosen]
        table.add_row(name, _rows(site), *(_cell(figures.auc, figures.accuracy) for figures in at_home))
    table.add_section()
    total = f"{sum(site.train_rows for site in sites.values())}+{sum(site.test_rows for site in sites.values())}"
    table.add_row("All as one", total, *(_cell(figures.auc, figures.accuracy) for figures in chosen))
    table.add_row("Mean of sites", "", *(_cell(figures.mean_auc, figures.mean_accuracy) for figures in chosen))
    console.print(table)
    console.print(NOTES, highlight=False)
    console.print(
        f"{outcome.refusals} refusals; a round took {outcome.round_median_s:.2f} s (median), "
        f"the first one {outcome.first_round_s:.1f} s from the start."
    )


def show_address(console: Console, stack: Stack, cast: Cast, outcome: Outcome, waiting: str) -> None:
    """Where to look, as whom, and how to sign by hand what waits for the hospitals' signatures."""
    console.print(f"\nThe portal: [bold]{stack.portal_url}[/]", soft_wrap=True)
    console.print(f"The run:    {stack.portal_url}/runs/{outcome.run}\n", soft_wrap=True)
    table = Table(title="Demo accounts", title_justify="left")
    table.add_column("Role")
    for title in ("E-mail", "Password"):  # to be typed, so never cut short
        table.add_column(title, no_wrap=True)
    for person in cast.people:
        table.add_row(person.role, person.email, person.password)
    console.print(table)
    console.print(
        "\nStart a study of your own as the investigator: the hospitals accept, offer their rows and sign by\n"
        "themselves (docs/guide/first-study.md goes through it).",
        soft_wrap=True,
    )
    console.print(
        "\nA second script waits for the hospitals: register a passkey on a node's own page with its one-time code\n"
        f"(good for 10 minutes), then review and sign there. At the portal: {stack.portal_url}/scripts/{waiting}",
        soft_wrap=True,
    )
    pages = Table("Hospital", "The node's own page", "One-time code", title="Nodes", title_justify="left")
    for hospital in cast.hospitals:
        node = stack.node(hospital.node)
        pages.add_row(hospital.centre, f"{node.page}/register", node.invite(hospital.admin.name))
    console.print(pages)
    first = cast.hospitals[0]
    words = f'fedstudy-node trust invite "{first.admin.name}" --home {stack.node(first.node).home}'
    console.print(f"Another code: {Path(sys.executable).parent / words}", soft_wrap=True, highlight=False)
    node = stack.node(first.node)
    typed = f"{Path(sys.executable).parent / 'fedstudy-node'} review --home {node.home}"
    console.print(f"Or on the console: {typed}", soft_wrap=True, highlight=False)
    console.print(f"The passphrase that `approve` asks for: {node.passphrase_file}", soft_wrap=True, highlight=False)


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
        "ways": {way: title.rstrip("*") for way, title in COLUMNS.items()} | MORE_WAYS,
        "metrics": {way: figures.as_json() for way, figures in outcome.metrics.items()},
        "reference": _reference(outcome.metrics["federated"]),
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
        "federated": figures.mean_accuracy,
        "difference": figures.mean_accuracy - REFERENCE_MEAN_ACCURACY,
    }


def _rows(site: SiteFigures) -> str:
    return f"{site.train_rows}+{site.test_rows}"


def _cell(auc: float | None, accuracy: float) -> str:
    shown = "  - " if auc is None else f"{auc:.3f}".lstrip("0")
    return f"{shown} / {accuracy:.3f}".replace(" 0.", " .")
