"""Comparisons of degrees of federation: `fedstudy degrees list|show|compare|start`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fedstudy_client.cli.choosing import InStudy, Rounds, Strategy, StrategyValues, Values
from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.cli.values import parse_values
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_run, find_script, find_study, newest_version
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records_degrees import DegreeComparison

app = typer.Typer(help="Comparisons of degrees of federation.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="COMPARISON", help="Its id or label.")]
OfMetric = Annotated[str | None, typer.Option("--metric", help="The script's headline without it.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="alone, left-out, federated, hybrid or central; all of them without it."),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", help="Run each way of training with this seed; several times for the mean over seeds."),
]
Personalised = Annotated[
    list[str] | None,
    typer.Option(help="Let all sites train by this strategy besides, each keeping a part of the model."),
]
Watch = Annotated[bool, typer.Option("--watch", help="Wait until all runs have ended.")]

NEEDS = {
    "no_pool": "no rows are pooled: name a pool node, then sites consent to F3 or F4 and send",
    "still_local": "these sites train at home: they would consent to F4 and send",
    "pooled_away": "the nodes of these sites only test: they would go back to F2",
    "too_few": "fewer than two sites train",
}


@app.command("list")
def list_comparisons(study: InStudy = None, as_json: AsJson = False) -> None:
    """List a study's comparisons, newest first."""
    with portal() as connected:
        found = connected.degrees.list(find_study(connected, study))
    output = Output(as_json)
    output.facts([item.raw for item in found])
    rows = [(item.label, ", ".join(item.kinds), item.created_at.date().isoformat(), item.id) for item in found]
    output.table("Comparisons", ("comparison", "kinds", "planned", "id"), rows)


@app.command()
def show(which: Which, study: InStudy = None, metric: OfMetric = None, as_json: AsJson = False) -> None:
    """Show what each degree of federation brings, and what each site has of it."""
    with portal() as connected:
        found = connected.degrees.get(_find(connected, which, study), metric=metric)
    _show(found, Output(as_json))


@app.command()
def compare(
    run: Annotated[str | None, typer.Argument(help="By the plan of this run; without it by a new plan.")] = None,
    *,
    study: InStudy = None,
    script: Annotated[str | None, typer.Option(help="The script's name; the study's only one without it.")] = None,
    version: Annotated[int | None, typer.Option(help="The version's number; the newest without it.")] = None,
    label: Annotated[str, typer.Option(help="What the comparison is called.")] = "",
    strategy: Strategy = None,
    strategy_set: StrategyValues = None,
    config_set: Values = None,
    rounds: Rounds = None,
    kind: Kinds = None,
    seed: Seeds = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Train a script by each site alone, by all of them and on pooled rows, and compare."""
    plan: dict[str, Any] = {"strategy": strategy, "rounds": rounds}
    plan |= {"strategy_parameters": parse_values(strategy_set), "config": parse_values(config_set)}
    given = {name: value for name, value in plan.items() if value not in (None, {})}
    if run is not None and (given or script or version or label):
        raise typer.BadParameter("The run's plan is taken as it is; leave its options out.", param_hint="RUN")
    with portal() as connected:
        if run is not None:
            made = connected.degrees.of_run(find_run(connected, run, study), kinds=kind, seeds=seed)
        else:
            place = find_study(connected, study)
            chosen = newest_version(connected, find_script(connected, place, script), version)
            made = connected.degrees.create(place, chosen, label=label, kinds=kind, seeds=seed, **given)
        _follow(connected, made, watch, Output(as_json))


@app.command()
def start(
    which: Which,
    study: InStudy = None,
    *,
    seed: Seeds = None,
    personalised: Personalised = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Plan what has become possible, and start what has not begun, failed or was stopped; --seed adds seeds."""
    with portal() as connected:
        begun = connected.degrees.start(_find(connected, which, study), seeds=seed, personalised=personalised)
        _follow(connected, begun, watch, Output(as_json))


def _find(connected: FedStudy, which: str, study: str | None) -> DegreeComparison:
    """A comparison by id or label, of equal labels the newest. Raises FedStudyProblem (E_NOT_FOUND)."""
    known = connected.degrees.list(find_study(connected, study))
    found = next((item for item in known if which.casefold() in (item.id, item.label.casefold())), None)
    if found is None:
        raise FedStudyProblem("E_NOT_FOUND", f"The study has no comparison “{which}”.")
    return found


def _follow(connected: FedStudy, made: DegreeComparison, watch: bool, output: Output) -> None:
    for item in made.hindered:
        output.say(f"{_label(made, item['run'])} could not start: {item['detail']} ({item['code']})")
    _show(connected.degrees.wait(made) if watch and not made.hindered else made, output)


def _label(found: DegreeComparison, run: str) -> str:
    return next((f"“{item['run']['label']}”" for item in found.runs if item["run"]["id"] == run), run)


def _show(found: DegreeComparison, output: Output) -> None:
    output.facts(found.raw)
    done = sum(item["run"]["state"] == "completed" for item in found.runs)
    output.say(f"“{found.label}”: {done} of {len(found.runs)} runs completed ({found.id}).")
    if len(found.seeds) > 1:
        output.say(f"Figures are means over the seeds {', '.join(map(str, found.seeds))}.")
    if found.rows:
        output.table(f"{found.metric} by degree of federation", found.columns, found.lines)
    if found.contributions:
        personalised = [f"{item['strategy']} over own" for item in found.contributions[0]["personalised"]]
        columns = ("site", "rows", "alone", "shared", "gain", "over pooled", *personalised, "to others", "")
        output.table("What each site has of it", columns, [_contribution(item) for item in found.contributions])
    if found.worse and found.offered:
        remedy = f"`fedstudy degrees start` with --personalised {found.offered[0]} may help"
        output.say(f"{', '.join(found.worse)}: better alone; {remedy}.")
    for item in found.lacking:
        sites = f" ({', '.join(item['sites'])})" if item["sites"] else ""
        output.say(f"{item['kind']}: {NEEDS.get(item['reason'], item['reason'])}{sites}.")


def _contribution(item: dict[str, Any]) -> Sequence[Any]:
    told = [item[name] for name in ("own", "shared", "over_own", "over_pooled")]
    told += [*(model["over_own"] for model in item["personalised"]), item["to_others"]]
    figures = [figure and figure["value"] for figure in told]
    return (item["site"], item["rows"], *figures, "better alone" if item["is_worse"] else "")
