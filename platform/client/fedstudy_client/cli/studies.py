"""Studies: `fedstudy study list|show|create`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_study
from fedstudy_client.records import Study

app = typer.Typer(help="Studies.", no_args_is_help=True)


@app.command("list")
def list_studies(as_json: AsJson = False) -> None:
    """List the studies that you take part in."""
    with portal() as connected:
        studies = connected.studies.list()
    output = Output(as_json)
    output.facts([study.raw for study in studies])
    output.table("Studies", ("study", "title", "state"), [(study.slug, study.title, study.state) for study in studies])


@app.command()
def show(
    study: Annotated[str | None, typer.Argument(help="Its id, short name or title; the only one without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a study: its sites, scripts and runs."""
    with portal() as connected:
        _show(connected, find_study(connected, study), Output(as_json))


def _show(connected: FedStudy, study: Study, output: Output) -> None:
    people = connected.studies.people(study)
    enrolments = connected.enrolments.list(study)
    versions = [version for script in connected.scripts.list(study) for version in connected.versions.list(script)]
    signed = {
        version.id: [item.site.name for item in connected.approvals.list(version) if item.state == "valid"]
        for version in versions
    }
    runs = connected.runs.list(study)
    output.facts(
        {
            **study.raw,
            "people": [member.raw for member in people],
            "enrolments": [enrolment.raw for enrolment in enrolments],
            "versions": [{"id": v.id, "script": v.script.name, "number": v.number, "sha256": v.sha256,
                          "state": v.state, "signed_by": signed[v.id]} for v in versions],
            "runs": [run.raw for run in runs],
        }
    )  # fmt: skip
    output.say(f"{study.title} ({study.state})", *filter(None, (study.summary, study.aims)))
    output.table("People", ("name", "e-mail", "role"), [(m.user.name, m.user.email, m.role) for m in people])
    output.table("Sites", ("site", "level", "state"), [(item.site.name, item.level, item.state) for item in enrolments])
    rows = [(f"{v.script.name} v{v.number}", v.sha256[:12], v.state, signed[v.id]) for v in versions]
    output.table("Scripts", ("version", "hash", "state", "signed by"), rows)
    output.table("Runs", ("run", "state", "id"), [(run.label, run.state, run.id) for run in runs])


@app.command()
def create(
    file: Annotated[Path, typer.Option("--file", "-f", help="The study's file (YAML).")],
    as_json: AsJson = False,
) -> None:
    """Draft a study from its file: words, people, protocol and dictionary. `fedstudy apply` does all the rest."""
    from fedstudy_client.cli.code import draft

    with portal() as connected:
        draft(connected, file, Output(as_json))
