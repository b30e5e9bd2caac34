"""Runs and what came out: `fedstudy run list|show|results|rounds|events|model|files|dossier|compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from fedstudy_client.cli import steering
from fedstudy_client.cli.choosing import InStudy, Into, RunName
from fedstudy_client.cli.output import AsJson, Output, as_text, keep_file, make_folder
from fedstudy_client.cli.results import show_by_site, show_results
from fedstudy_client.cli.session import portal
from fedstudy_client.comparing import compare as compare_runs
from fedstudy_client.dossiers import refuse_taken
from fedstudy_client.finding import find_run, find_study
from fedstudy_client.results import as_csv, even, result_rows

app = typer.Typer(help="Runs.", no_args_is_help=True)
steering.add_to(app)
_TOLD = ("phase", "site", "code", "detail", "reason")


@app.command("list")
def list_runs(study: InStudy = None, as_json: AsJson = False) -> None:
    """List a study's runs, newest first."""
    with portal() as connected:
        runs = connected.runs.list(find_study(connected, study))
    output = Output(as_json)
    output.facts([run.raw for run in runs])
    rows = [(run.label, run.state, run.raw["strategy"], run.rounds, run.best_round, run.id) for run in runs]
    output.table("Runs", ("run", "state", "strategy", "rounds", "best", "id"), rows)


@app.command()
def show(run: RunName, study: InStudy = None, as_json: AsJson = False) -> None:
    """Show a run and its metrics after the last committed round."""
    with portal() as connected:
        show_results(connected, find_run(connected, run, study), Output(as_json))


@app.command()
def results(
    run: RunName,
    *,
    study: InStudy = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a row for each site as CSV, with all figures.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what came out, site by site: metrics, and figures with intervals of 95 %."""
    if csv and as_json:
        raise typer.BadParameter("One form at a time.", param_hint="--csv")
    with portal() as connected:
        found = find_run(connected, run, study)
        told = connected.runs.results(found)
    if csv:
        print(as_csv(result_rows(told)), end="")
    else:
        show_by_site(found, told, Output(as_json))


@app.command()
def rounds(
    run: RunName,
    *,
    study: InStudy = None,
    by_site: Annotated[bool, typer.Option("--by-site", help="A row for what each site did in each phase.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a run round by round: metrics, seconds and bytes."""
    if csv and as_json:
        raise typer.BadParameter("One form at a time.", param_hint="--csv")
    with portal() as connected:
        found = find_run(connected, run, study)
        told = connected.runs.rounds(found)
    rows = even(told.to_site_rows() if by_site else told.to_rows())
    if csv:
        print(as_csv(rows), end="")
        return
    output = Output(as_json)
    output.facts(list(told))
    output.table(f"Rounds of “{found.label}”", tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows])


@app.command()
def events(run: RunName, study: InStudy = None, as_json: AsJson = False) -> None:
    """Show what happened in a run, oldest first (UTC)."""
    with portal() as connected:
        found = find_run(connected, run, study)
        told = connected.runs.events(found)
    output = Output(as_json)
    output.facts(told)
    rows = [(item["at"][:19].replace("T", " "), item["actor_label"], item["action"], _about(item)) for item in told]
    output.table(f"Events of “{found.label}”", ("at", "who", "what", "about"), rows)


@app.command()
def model(
    run: RunName,
    *,
    into: Into,
    study: InStudy = None,
    number: Annotated[
        int | None, typer.Option("--round", min=0, help="After this round; the last committed without it.")
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="After the best round by the run's metric.")] = False,
) -> None:
    """Fetch a run's model as safetensors; the log notes it."""
    if best and number is not None:
        raise typer.BadParameter("One round at a time.", param_hint="--best")
    with portal() as connected:
        keep_file(into, connected.runs.model(find_run(connected, run, study), round=number, best=best))


@app.command()
def files(
    run: RunName,
    *,
    study: InStudy = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Fetch them into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what a script's own ServerApp left, or fetch it; the log notes who fetched."""
    with portal() as connected:
        found = find_run(connected, run, study)
        left = connected.runs.files(found)
        if out is not None:
            make_folder(out)
            for item in left:
                keep_file(out / Path(item["name"]).name, connected.runs.file(found, item["sha256"]))
    output = Output(as_json)
    output.facts(left)
    rows = [(item["name"], item["form"], item["size"], item["sha256"][:12]) for item in left]
    output.table(f"Files of “{found.label}”", ("name", "form", "bytes", "hash"), rows)


@app.command()
def dossier(
    run: RunName,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR|FILE.zip", help="A new folder, or a zip file.")],
    study: InStudy = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the dossier of a run that has ended: what was planned, approved, done and found, with what proves it."""
    refuse_taken(out)
    with portal() as connected:
        found = find_run(connected, run, study)
        connected.runs.dossier(found, into=out)
    output = Output(as_json)
    output.facts({"run": found.id, "dossier": str(out)})
    output.say(f"The dossier of “{found.label}” is in {out}. Verify it: fedstudy-verify {out}")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two runs or more, by id or label.")],
    study: InStudy = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: the settings in which they differ, and their metrics; * marks the best."""
    if len(runs) < 2:
        raise typer.BadParameter("Name two runs or more.", param_hint="RUN RUN...")
    with portal() as connected:
        comparison = compare_runs(connected, [find_run(connected, name, study) for name in runs])
    output = Output(as_json)
    output.facts(comparison.as_json())
    columns = ("", *(run.label for run in comparison.runs))
    output.table("Settings that differ", columns, [(row.name, *row.values) for row in comparison.settings])
    rows = [
        (row.name, *(_marked(value, position in row.best) for position, value in enumerate(row.values)))
        for row in comparison.metrics
    ]
    output.table("Metrics of all sites after the last round", columns, rows)


def _about(event: dict[str, Any]) -> str:
    """Which round and site an event is about, and what went wrong."""
    detail = event["detail"]
    parts = [f"round {detail['round']}" if "round" in detail else "", *(detail.get(name) for name in _TOLD)]
    return ", ".join(part for part in parts if isinstance(part, str) and part)


def _marked(value: Any, is_best: bool) -> Any:
    return Text(f"{as_text(value)} *", style="bold") if is_best else as_text(value)
