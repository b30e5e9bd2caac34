"""Scripts: `fedstudy script push|new|check|dry-run`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstudy_client.cli.choosing import Values
from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.cli.values import parse_values
from fedstudy_client.extras import with_extra
from fedstudy_client.finding import find_study
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Version
from fedstudy_client.templating import new_script

_UNPACKED = re.compile(r'"[^"\n]*fedstudy-dry-run-[^"/\\\n]*[/\\]app[/\\]')
app = typer.Typer(help="Scripts.", no_args_is_help=True)
Source = Annotated[Path, typer.Argument(help="The folder of a Flower app, or a .fab file.", exists=True)]


@app.command()
def push(
    source: Source,
    name: Annotated[str | None, typer.Option(help="The script's name in the study; the folder's without it.")] = None,
    study: Annotated[str | None, typer.Option(help="The study's id, short name or title.")] = None,
    keep_previous: Annotated[
        bool, typer.Option("--keep-previous", help="A site's approval of the version before stays when it signs this.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a new version of a script, which is made if the study has none of that name."""
    called = name or source.resolve().stem
    with portal() as connected:
        place = find_study(connected, study)
        scripts = {script.name.casefold(): script for script in connected.scripts.list(place)}
        script = scripts.get(called.casefold()) or connected.scripts.create(place, name=called)
        version = connected.versions.upload(script, source, replaces_previous=not keep_previous)
    _show_version(version, Output(as_json))


def _show_version(version: Version, output: Output) -> None:
    output.facts(version.raw)
    output.say(f"{version.script.name} v{version.number} is submitted: {version.sha256}")
    if version.dropped:
        output.say(f"Flower left out: {', '.join(version.dropped)}")
    _show_findings(version.findings, output)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and dashes.")],
    folder: Annotated[Path | None, typer.Option(help="Where to; a folder of the script's name without it.")] = None,
    publisher: Annotated[str, typer.Option(help="Who publishes it.")] = "my-hospital",
) -> None:
    """Write a small script that works as it is, to start from."""
    place = folder or Path(name)
    for path in new_script(name, place, publisher=publisher):
        typer.echo(f"wrote {path}")
    typer.echo(f"Try it: fedstudy script dry-run {place} --dictionary {place / 'dictionary.json'}")


@app.command()
def check(source: Source, as_json: AsJson = False) -> None:
    """Build a script's bundle and show what the portal and the sites' reviewers would say of it."""
    built = with_extra("fedstudy_client.rehearsal.bundles").build(source)
    bundle, findings, output = built.bundle, [finding.as_json() for finding in built.findings], Output(as_json)
    output.facts(
        {
            "name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "size": bundle.size,
            "files": [file.path for file in bundle.files], "dropped": list(built.dropped), "findings": findings,
            "parameters": [parameter.model_dump(mode="json") for parameter in bundle.parameters],
            "declaration": bundle.declaration.model_dump(mode="json"),
        }
    )  # fmt: skip
    output.say(f"{bundle.name} {bundle.version} is a bundle of {len(bundle.files)} files: {bundle.sha256}")
    if built.dropped:
        output.say(f"Flower leaves out: {', '.join(built.dropped)}")
    rows = [(item.name, item.default, item.min, item.max, item.description) for item in bundle.parameters]
    output.table("Parameters", ("name", "default", "min", "max", "what"), rows)
    _show_findings(findings, output)


@app.command("dry-run")
def dry_run(
    source: Source,
    dictionary: Annotated[Path, typer.Option(help="The data dictionary (JSON or YAML) to make up rows from.")],
    *,
    sites: Annotated[int, typer.Option(min=1, help="How many sites.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds.")] = 2,
    rows: Annotated[int, typer.Option(min=1, help="Rows at each site.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the rows: the same seed gives the same.")] = 0,
    config_set: Values = None,
    node_config: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What sites set for it, such as db-path.")
    ] = None,
    prints: Annotated[bool, typer.Option("--prints", help="Show what the script prints at each site.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a script here as several sites would, over synthetic rows: a mistake shows before any site sees it."""
    from fedstudy_client.study_code.reading import read_dictionary

    variables = read_dictionary(dictionary)
    trying, bundles = with_extra("fedstudy_client.rehearsal.trying"), with_extra("fedstudy_client.rehearsal.bundles")
    setting = trying.Setting(sites, rows, rounds, seed, parse_values(config_set), parse_values(node_config), prints)
    output = Output(as_json)
    try:
        outcome = trying.dry_run(bundles.build(source), variables, setting, output.say)
    except FedStudyProblem as problem:
        typer.echo(_in_sources(getattr(problem, "trace", ""), source), err=True, nl=False)
        raise
    output.facts({"rounds": outcome.rounds})
    steps = [(f"{number}: {phase}", metrics) for number, round_ in enumerate(outcome.rounds, 1)
             for phase, metrics in round_.items()]  # fmt: skip
    names = dict.fromkeys(name for _, metrics in steps for name in metrics if isinstance(metrics[name], int | float))
    table = [(name, *(metrics.get(name) for _, metrics in steps)) for name in names]
    output.table("Metrics of all sites, by round", ("", *(step for step, _ in steps)), table)
    output.say("The script works over synthetic rows. Its numbers mean nothing.")


def _in_sources(trace: str, source: Path) -> str:
    """A traceback with the files as they lie in the script's folder, not where the dry run unpacked them."""
    place = f'"{source.resolve()}{os.sep}'
    return _UNPACKED.sub(lambda found: place, trace) if source.is_dir() else trace


def _show_findings(findings: Sequence[Mapping[str, Any]], output: Output) -> None:
    rows = [(item["risk"], f"{item['path']}:{item['line']}", item["rule"], item["detail"]) for item in findings]
    output.table("Findings that reviewers will see", ("risk", "place", "rule", "what"), rows)
