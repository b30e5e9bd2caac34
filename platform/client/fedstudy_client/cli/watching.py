"""A run's progress: a bar on a terminal, a line for each step elsewhere; always on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from fedstudy_client.cli.output import plain
from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Run

_LONGEST_S = 30 * 24 * 3600.0
# Who is awaited is asked for where a run stands still for so long, and then as often.
_STILL_S = 3.0
_LABEL = 24
_WORKING = ("waiting", "running", "pausing")
INTERRUPTED = 130


def progress_bar(*, quiet: bool = False) -> Progress:
    """Bars for runs, on standard error so that what is piped on stays clean."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True, quiet=quiet),
    )


def watch(portal: FedStudy, run: Run, *, quiet: bool = False) -> Run:
    """Follow a run to its end; the run as it ended. Ctrl-C ends the watching, not the run."""
    bar = progress_bar(quiet=quiet)
    with bar if bar.console.is_terminal else nullcontext():
        shown = _OnBar(bar, run) if bar.console.is_terminal else _Lines(bar.console)
        told = _Told(portal, shown)
        try:
            return portal.runs.wait(run, timeout=_LONGEST_S, progress=told.show)
        except KeyboardInterrupt:
            bar.stop()
            typer.echo(
                f"Only the watching ends; the run goes on. Watch it again: fedstudy run watch {run.id}", err=True
            )
            typer.echo(f"To end it: fedstudy run stop {run.id}", err=True)
            raise typer.Exit(INTERRUPTED) from None


class _Told:
    """Says of each look at a run what is new: its state, its rounds, and who is awaited where it stands still."""

    def __init__(self, portal: FedStudy, shown: Callable[[Run, str], None]) -> None:
        self._portal, self._shown = portal, shown
        self._seen: tuple[str, int] | None = None
        self._since = 0.0
        self._awaited = ""

    def show(self, run: Run) -> None:
        """Take a look."""
        if (run.state, run.committed) != self._seen:
            self._seen, self._since, self._awaited = (run.state, run.committed), time.monotonic(), ""
        elif run.state in _WORKING and time.monotonic() - self._since > _STILL_S:
            self._since, self._awaited = time.monotonic(), self._who(run)
        self._shown(run, _state(run, self._awaited))

    def _who(self, run: Run) -> str:
        try:
            awaited = self._portal.runs.results(run)["awaited"]
        except FedStudyProblem:
            return self._awaited
        return awaited_words(awaited)


def awaited_words(awaited: list[Mapping[str, Any]]) -> str:
    """Who is awaited and until when, such as "Hungary, Cleveland until 14:05:10"; nothing for nobody."""
    if not awaited:
        return ""
    names = ", ".join(dict.fromkeys(item["site"] for item in awaited))
    until = max(datetime.fromisoformat(item["until"]) for item in awaited).astimezone()
    return f"{names} until {until:%H:%M:%S}"


def _state(run: Run, awaited: str) -> str:
    """A run's state and what it waits for."""
    if run.state == "queued" and run.place:
        waits = " ".join(item["sentence"] for item in run.place["waits_for"])
        return f"queued, {run.place['number']} of {run.place['length']}. {waits}".rstrip(". ")
    if run.state == "paused":
        return f"paused; it goes on with: fedstudy run resume {run.id}"
    return f"{run.state}, awaits {awaited}" if awaited else run.state


def task_name(run: Run) -> str:
    """A run's label as the beginning of its bar."""
    return plain(run.label if len(run.label) <= _LABEL else f"{run.label[: _LABEL - 1]}…").markup


class _OnBar:
    """A run on its bar."""

    def __init__(self, bar: Progress, run: Run) -> None:
        self._bar = bar
        self._task = bar.add_task(task_name(run), total=run.rounds, state=run.state)

    def __call__(self, run: Run, state: str) -> None:
        state = plain(state).markup
        self._bar.update(self._task, completed=run.committed, total=run.rounds, state=state)


class _Lines:
    """A run where there is no terminal, as in the log of a job: a line for whatever is new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def __call__(self, run: Run, state: str) -> None:
        line = f"“{run.label}” {run.committed} of {run.rounds} rounds, {state}"
        if line != self._last:
            self._last = line
            self._console.print(plain(line), soft_wrap=True)
