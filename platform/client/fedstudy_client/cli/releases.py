"""Releases of models: `fedstudy release list|card|request|withdraw|cosign|refuse|model`."""

from __future__ import annotations

from typing import Annotated

import typer

from fedstudy_client.cli.choosing import InStudy, Into, RunName
from fedstudy_client.cli.output import AsJson, Output, keep_file
from fedstudy_client.cli.session import portal
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_run
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Name, Release

app = typer.Typer(help="Model cards, and requests that a model may leave the platform.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(metavar="RELEASE", help="Its id.")]
OfSite = Annotated[str | None, typer.Option("--site", help="Your site by name; the only one without it.")]


@app.command("list")
def list_releases(run: RunName, study: InStudy = None, as_json: AsJson = False) -> None:
    """List the releases that were asked for of a run, newest first."""
    with portal() as connected:
        found = connected.releases.list(find_run(connected, run, study))
    output = Output(as_json)
    output.facts([item.raw for item in found])
    rows = [
        (item.recipient, item.state, item.model_round, f"{len(item.signatures)} of {item.signatures_needed}", item.id)
        for item in found
    ]
    output.table("Releases", ("to", "state", "round", "signatures", "id"), rows)


@app.command()
def card(
    run: RunName,
    *,
    study: InStudy = None,
    intended_use: Annotated[str | None, typer.Option(help="Write this on the card first.")] = None,
    caveats: Annotated[str | None, typer.Option(help="Write this on the card first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the model card of a run's newest model, as Markdown."""
    words = {"intended_use": intended_use, "caveats": caveats}
    given = {name: text for name, text in words.items() if text is not None}
    with portal() as connected:
        found = find_run(connected, run, study)
        if given:
            connected.releases.write_card(found, **given)
        if as_json:
            Output(as_json).facts(connected.releases.card(found))
        else:
            Output().say(connected.releases.card_text(found))


@app.command()
def request(
    run: RunName,
    *,
    recipient: Annotated[str, typer.Option("--to", help="Who is to have the model.")],
    purpose: Annotated[str, typer.Option(help="What for.")],
    number: Annotated[
        int | None, typer.Option("--round", help="The model of this round; the newest without it.")
    ] = None,
    study: InStudy = None,
    as_json: AsJson = False,
) -> None:
    """Ask that a run's model may leave the platform, right after `fedstudy login`."""
    with portal() as connected:
        found = find_run(connected, run, study)
        made = connected.releases.request(found, recipient=recipient, purpose=purpose, round=number)
    _say(made, Output(as_json))


@app.command()
def withdraw(release: Which, as_json: AsJson = False) -> None:
    """Take a request back."""
    with portal() as connected:
        _say(connected.releases.withdraw(release), Output(as_json))


@app.command()
def cosign(release: Which, site: OfSite = None, as_json: AsJson = False) -> None:
    """Consent for your site as its data steward, right after `fedstudy login`."""
    with portal() as connected:
        _say(connected.releases.cosign(release, _own_site(connected, site)), Output(as_json))


@app.command()
def refuse(
    release: Which,
    *,
    reason: Annotated[str, typer.Option(help="Why; those who asked read it.")],
    site: OfSite = None,
    as_json: AsJson = False,
) -> None:
    """Refuse for your site as its data steward, right after `fedstudy login`."""
    with portal() as connected:
        _say(connected.releases.refuse(release, _own_site(connected, site), reason=reason), Output(as_json))


@app.command()
def model(release: Which, *, into: Into) -> None:
    """Fetch the released model, as safetensors; the log notes it."""
    with portal() as connected:
        keep_file(into, connected.releases.model(release))


def _own_site(connected: FedStudy, name: str | None) -> Name:
    """The site that one is a data steward of. Raises FedStudyProblem (E_NOT_FOUND, E_AMBIGUOUS)."""
    mine = {
        role["id"]: Name(role["id"], role["name"])
        for role in connected.me().roles
        if role["kind"] == "site" and name in (None, role["id"], role["name"])
    }
    if len(mine) == 1:
        return next(iter(mine.values()))
    names = ", ".join(site.name for site in mine.values())
    if mine:
        raise FedStudyProblem("E_AMBIGUOUS", f"You have roles at more than one site; say which by --site: {names}.")
    raise FedStudyProblem("E_NOT_FOUND", "You have no role at a site of that name.")


def _say(release: Release, output: Output) -> None:
    output.facts(release.raw)
    signed = f"{len(release.signatures)} of {release.signatures_needed} signatures"
    output.say(f"The release to {release.recipient} is {release.state}, {signed} ({release.id}).")
