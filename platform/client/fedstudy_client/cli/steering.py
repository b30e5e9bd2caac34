"""Starting runs and steering them: `fedstudy run start|watch|pause|resume|stop|fork`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fedstudy_client.cli.choosing import InStudy, Label, Rounds, RunName, Strategy, StrategyValues, Values
from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.results import show_results
from fedstudy_client.cli.session import portal
from fedstudy_client.cli.values import parse_values
from fedstudy_client.cli.watching import watch as watch_run
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_run, find_script, find_study, newest_version
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Run, Study

Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end and show its metrics.")]
Sites = Annotated[
    list[str] | None, typer.Option("--site", "--sites", help="A site by name; all that are ready without it.")
]
Validators = Annotated[
    list[str] | None, typer.Option("--validator", "--validators", help="One of them that only tests the model.")
]
Quorum = Annotated[int | None, typer.Option(min=1, help="Answers that a round needs of the sites that train.")]
Deadline = Annotated[int | None, typer.Option(min=1, help="Seconds that a round waits for its sites.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (start, watch, pause, resume, stop, fork):
        app.command()(command)


def start(
    run: Annotated[str | None, typer.Argument(help="A planned run's id or label; without it a new run.")] = None,
    *,
    study: InStudy = None,
    script: Annotated[str | None, typer.Option(help="The script's name; the study's only one without it.")] = None,
    version: Annotated[int | None, typer.Option(help="The version's number; the newest without it.")] = None,
    label: Label = "",
    strategy: Strategy = None,
    strategy_set: StrategyValues = None,
    config_set: Values = None,
    rounds: Rounds = None,
    site: Sites = None,
    validator: Validators = None,
    quorum: Quorum = None,
    deadline: Deadline = None,
    follow: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Start a planned run, or plan one and start it."""
    given = _plan(
        label=label, strategy=strategy, strategy_set=strategy_set, config_set=config_set,
        rounds=rounds, quorum=quorum, deadline=deadline,
    )  # fmt: skip
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
        _start(connected, planned, follow, Output(as_json))


def watch(run: RunName, study: InStudy = None, as_json: AsJson = False) -> None:
    """Follow a run to its end and show its metrics; Ctrl-C ends the watching only."""
    with portal() as connected:
        _follow(connected, find_run(connected, run, study), True, Output(as_json))


def pause(
    run: RunName,
    study: InStudy = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Do not wait for the round at work.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pause a run after the round at work; `resume` lets it go on."""
    with portal() as connected:
        paused = connected.runs.pause(find_run(connected, run, study), at_once=at_once)
    _say(paused, Output(as_json))


def resume(run: RunName, study: InStudy = None, follow: Watch = False, as_json: AsJson = False) -> None:
    """Let a paused, failed or stopped run go on after its last committed round."""
    with portal() as connected:
        _follow(connected, connected.runs.resume(find_run(connected, run, study)), follow, Output(as_json))


def stop(
    run: RunName,
    study: InStudy = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a run; its committed rounds stay."""
    with portal() as connected:
        stopped = connected.runs.stop(find_run(connected, run, study), reason=reason)
    _say(stopped, Output(as_json))


def fork(
    run: RunName,
    *,
    study: InStudy = None,
    number: Annotated[
        int | None, typer.Option("--round", min=0, help="Begin with this round's model; the last committed without it.")
    ] = None,
    label: Label = "",
    strategy: Strategy = None,
    strategy_set: StrategyValues = None,
    config_set: Values = None,
    rounds: Rounds = None,
    site: Sites = None,
    validator: Validators = None,
    quorum: Quorum = None,
    deadline: Deadline = None,
    begin: Annotated[bool, typer.Option("--start", help="Start it, too.")] = False,
    follow: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Plan a run that goes on from another's model; what is not said stays as it was there."""
    given = _plan(
        label=label, strategy=strategy, strategy_set=strategy_set, config_set=config_set,
        rounds=rounds, quorum=quorum, deadline=deadline,
    )  # fmt: skip
    with portal() as connected:
        origin = find_run(connected, run, study)
        for name, values in (("strategy_parameters", strategy_set), ("config", config_set)):
            if values and not (name == "strategy_parameters" and strategy):
                given[name] = {**origin.raw[name], **given[name]}
        place = find_study(connected, origin.raw["study"])
        for name, chosen in (("enrolments", site), ("validators", validator)):
            if chosen:
                given[name] = _enrolments(connected, place, chosen)
        forked = connected.runs.fork(origin, origin.committed if number is None else number, **given)
        if begin or follow:
            _start(connected, forked, follow, Output(as_json))
        else:
            _say(forked, Output(as_json))


def _plan(
    *,
    label: str,
    strategy: str | None,
    strategy_set: list[str] | None,
    config_set: list[str] | None,
    rounds: int | None,
    quorum: int | None,
    deadline: int | None,
) -> dict[str, Any]:
    """What was said of a run's plan, by the names of its fields."""
    plan: dict[str, Any] = {
        "label": label,
        "strategy": strategy,
        "rounds": rounds,
        "quorum": quorum,
        "deadline_s": deadline,
    }
    plan |= {"strategy_parameters": parse_values(strategy_set), "config": parse_values(config_set)}
    return {name: value for name, value in plan.items() if value not in (None, "", {})}


def _start(connected: FedStudy, planned: Run, follow: bool, output: Output) -> None:
    """Start a planned run; where it cannot start, say that it is there."""
    try:
        started = connected.runs.start(planned)
    except FedStudyProblem as problem:
        hint = f"It stays planned. Start it later: fedstudy run start {planned.id}"
        raise FedStudyProblem(
            problem.code, f"{problem.detail} {hint}", status=problem.status, errors=problem.errors
        ) from problem
    _follow(connected, started, follow, output)


def _say(run: Run, output: Output) -> None:
    output.facts(run.raw)
    output.say(f"“{run.label}” is {run.state} ({run.id}).")


def _follow(connected: FedStudy, run: Run, follow: bool, output: Output) -> None:
    """Say that a run was started; follow it where that is wanted. Raises FedStudyProblem (E_RUN)."""
    if not follow:
        _say(run, output)
        return
    ended = watch_run(connected, run, quiet=output.as_json)
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
