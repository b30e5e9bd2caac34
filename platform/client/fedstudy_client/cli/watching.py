"""A run's progress on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fedstudy_client.cli.output import plain
from fedstudy_client.client import FedStudy
from fedstudy_client.records import Run

_LONGEST_S = 30 * 24 * 3600.0


def progress_bar(*, quiet: bool = False) -> Progress:
    """Bars for runs, on standard error so that what is piped on stays clean."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True, quiet=quiet),
    )


def watch(portal: FedStudy, run: Run, *, quiet: bool = False) -> Run:
    """Follow a run to its end with a bar of its rounds; the run as it ended."""
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task(plain(run.label).markup, total=run.rounds, state=run.state)

        def show(now: Run) -> None:
            bar.update(task, completed=now.committed, total=now.rounds, state=now.state)

        return portal.runs.wait(run, timeout=_LONGEST_S, progress=show)
