"""Runs: `fedstudy run list|show|results|start|resume|stop|dossier|compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from fedstudy_client.cli.output import AsJson, Output, as_text
from fedstudy_client.cli.results import show_by_site, show_results
from fedstudy_client.cli.session import portal
from fedstudy_client.cli.values import parse_values
from fedstudy_client.cli.watching import watch
from fedstudy_client.client import FedStudy
from fedstudy_client.comparing import compare as compare_runs
from fedstudy_client.dossiers import refuse_taken
from fedstudy_client.finding import find_run, find_script, find_study, newest_version
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Run, Study
from fedstudy_client.results import as_csv, result_rows

app = typer.Typer(help="Runs.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Its id or label.")]
InStudy = Annotated[str | None, typer.Option("--study", help="The study's id, short name or title.")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end and show its metrics.")]
Values = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")]


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
def start(
    run: Annotated[str | None, typer.Argument(help="A planned run's id or label; without it a new run.")] = None,
    *,
    study: InStudy = None,
    script: Annotated[str | None, typer.Option(help="The script's name; the study's only one without it.")] = None,
    version: Annotated[int | None, typer.Option(help="The version's number; the newest without it.")] = None,
    label: Annotated[str, typer.Option(help="What the run is called.")] = "",
    strategy: Annotated[str | None, typer.Option(help="How the sites' models are combined.")] = None,
    strategy_set: Values = None,
    config_set: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE")] = None,
    rounds: Annotated[int | None, typer.Option(min=1)] = None,
    site: Annotated[
        list[str] | None, typer.Option("--site", "--sites", help="A site by name; all that are ready without it.")
    ] = None,
    validator: Annotated[
        list[str] | None, typer.Option("--validator", "--validators", help="One of them that only tests the model.")
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(min=1, help="Answers that a round needs of the sites that train.")
    ] = None,
    deadline: Annotated[int | None, typer.Option(min=1, help="Seconds that a round waits for its sites.")] = None,
    follow: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Start a planned run, or plan one and start it."""
    output = Output(as_json)
    plan: dict[str, Any] = {
        "label": label,
        "strategy": strategy,
        "rounds": rounds,
        "quorum": quorum,
        "deadline_s": deadline,
    }
    plan |= {"strategy_parameters": parse_values(strategy_set), "config": parse_values(config_set)}
    given = {name: value for name, value in plan.items() if value not in (None, "", {})}
    if run is not None and (given or script or version or site or validator):
        raise typer.BadParameter("A planned run's plan does not change; leave its options out.", param_hint="RUN")
    with portal() as connected:
        if run is not None:
            planned = find_run(connected, run, study)
        else:
            place = find_study(connected, study)
            chosen = newest_version(connected, find_script(connected, place, script), version)
            given |= {"enrolments": _enrolments(connected, place, site)}
            given |= {"validators": _enrolments(connected, place, validator) or ()}
            planned = connected.runs.create(place, chosen, **given)
        _follow(connected, connected.runs.start(planned), follow, output)


@app.command()
def resume(run: RunName, study: InStudy = None, follow: Watch = False, as_json: AsJson = False) -> None:
    """Let a paused, failed or stopped run go on after its last committed round."""
    with portal() as connected:
        _follow(connected, connected.runs.resume(find_run(connected, run, study)), follow, Output(as_json))


@app.command()
def stop(
    run: RunName,
    study: InStudy = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a run; its committed rounds stay."""
    with portal() as connected:
        stopped = connected.runs.stop(find_run(connected, run, study), reason=reason)
    output = Output(as_json)
    output.facts(stopped.raw)
    output.say(f"“{stopped.label}” is {stopped.state}.")


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


def _follow(connected: FedStudy, run: Run, follow: bool, output: Output) -> None:
    """Say that a run was started; follow it where that is wanted. Raises FedStudyProblem (E_RUN)."""
    if not follow:
        output.facts(run.raw)
        output.say(f"“{run.label}” is {run.state} ({run.id}).")
        return
    ended = watch(connected, run, quiet=output.as_json)
    show_results(connected, ended, output)
    if ended.state != "completed":
        raise FedStudyProblem("E_RUN", f"“{ended.label}” {ended.state}: {ended.reason_code} {ended.reason}".rstrip())


def _enrolments(connected: FedStudy, study: Study, names: list[str] | None) -> list[str] | None:
    """The enrolments of sites by name. Raises FedStudyProblem (E_NOT_FOUND)."""
    if not names:
        return None
    known = {item.site.name.casefold(): item.id for item in connected.enrolments.list(study)}
    unknown = [name for name in names if name.casefold() not in known]
    if unknown:
        raise FedStudyProblem("E_NOT_FOUND", f"The study has no site {', '.join(unknown)}.")
    return [known[name.casefold()] for name in names]


def _marked(value: Any, is_best: bool) -> Any:
    return Text(f"{as_text(value)} *", style="bold") if is_best else as_text(value)
