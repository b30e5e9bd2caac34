"""Studies: `fedstudy study list|show|create|level|degree`, and `fedstudy study pool` for their pooled rows."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer

from fedstudy_client.cli import pooling
from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_enrolment, find_study
from fedstudy_client.records import Approval, Study

app = typer.Typer(help="Studies.", no_args_is_help=True)
app.add_typer(pooling.app, name="pool")


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
    approvals = {
        version.id: [item for item in connected.approvals.list(version) if item.state == "valid"]
        for version in versions
    }
    runs = connected.runs.list(study)
    output.facts(
        {
            **study.raw,
            "people": [member.raw for member in people],
            "enrolments": [enrolment.raw for enrolment in enrolments],
            "versions": [{"id": v.id, "script": v.script.name, "number": v.number, "sha256": v.sha256,
                          "state": v.state, "signed_by": [item.site.name for item in approvals[v.id]],
                          "signatures": [_signature(item) for item in approvals[v.id]]} for v in versions],
            "runs": [run.raw for run in runs],
        }
    )  # fmt: skip
    output.say(f"{study.title} ({study.state})", *filter(None, (study.summary, study.aims)))
    output.table("People", ("name", "e-mail", "role"), [(m.user.name, m.user.email, m.role) for m in people])
    output.table("Sites", ("site", "level", "state"), [(item.site.name, item.level, item.state) for item in enrolments])
    signed = {name: "; ".join(map(_signature, found)) for name, found in approvals.items()}
    rows = [(f"{v.script.name} v{v.number}", v.sha256[:12], v.state, signed[v.id]) for v in versions]
    output.table("Scripts", ("version", "hash", "state", "signed by"), rows)
    output.table("Runs", ("run", "state", "id"), [(run.label, run.state, run.id) for run in runs])


def _signature(approval: Approval) -> str:
    """Who signed for a site, when, and with which meaning."""
    moment = f"{approval.signed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{approval.site.name}: {approval.approver_name}, {approval.decision}, {moment}"


@app.command()
def level(
    new: Annotated[str, typer.Argument(metavar="LEVEL", help="F0, F1, F2; F3 or F4 with a consent to pooling.")],
    study: Annotated[str | None, typer.Option(help="The study's id, short name or title.")] = None,
    site: Annotated[str | None, typer.Option(help="The site by name; the only one without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take part at another level, as the site's admin: less at once, more in runs that are planned afterwards."""
    with portal() as connected:
        enrolment = find_enrolment(connected, find_study(connected, study), site)
        changed = connected.enrolments.change_level(enrolment, new)
    output = Output(as_json)
    output.facts(changed.raw)
    output.say(f"{changed.site.name} takes part at level {changed.level} now; before it was {enrolment.level}.")


@app.command()
def degree(
    study: Annotated[str | None, typer.Argument(help="Its id, short name or title; the only one without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's degree of federation: the share of its rows that stay at their hospitals."""
    with portal() as connected:
        found = connected.studies.degree(find_study(connected, study))
    output = Output(as_json)
    output.facts(found)
    output.say(f"Rows that stay: {_share(found['value'])}. A site counts with the middle of the band of its rows.")
    rows = [(item["site"], item["level"], item["rows_band"] or "-", _share(item["local"])) for item in found["sites"]]
    output.table("Sites", ("site", "level", "rows", "stay"), rows)
    moves = [(item["at"][:16], item["site"], item["old"] or "-", item["new"], _share(item["degree"]))
             for item in found["moves"]]  # fmt: skip
    output.table("Over time (UTC)", ("since", "site", "from", "to", "degree"), moves)


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0%}"


@app.command()
def create(
    file: Annotated[Path, typer.Option("--file", "-f", help="The study's file (YAML).")],
    as_json: AsJson = False,
) -> None:
    """Draft a study from its file: words, people, protocol and dictionary. `fedstudy apply` does all the rest."""
    from fedstudy_client.cli.code import draft

    with portal() as connected:
        draft(connected, file, Output(as_json))
