"""Pooled rows of a study: `fedstudy study pool show|name|end|revoke|delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_study
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Study
from fedstudy_client.records_pool import PoolConsent, StudyPool

app = typer.Typer(help="Pooled rows of a study. Sites consent at their own nodes.", no_args_is_help=True)
OfStudy = Annotated[str | None, typer.Option("--study", help="Its id, short name or title; the only one without it.")]
OfSite = Annotated[str | None, typer.Option("--site", help="Name of the site; the only one without it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody in the study reads it.")]
Certain = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def show(study: OfStudy = None, as_json: AsJson = False) -> None:
    """Show the pool node, and how far each site pools."""
    with portal() as connected:
        found = find_study(connected, study)
        _show(found, connected.pooling.get(found), Output(as_json))


@app.command()
def name(
    node: Annotated[str, typer.Argument(help="The node's id or name.")], study: OfStudy = None, as_json: AsJson = False
) -> None:
    """Name the node that holds the study's pooled rows."""
    with portal() as connected:
        found = find_study(connected, study)
        known = connected.pooling.get(found).candidates
        chosen = [item["id"] for item in known if node in (item["id"], item["name"])]
        if len(chosen) != 1:
            names = ", ".join(f"{item['name']} ({item['id']})" for item in known)
            raise FedStudyProblem("E_AMBIGUOUS" if chosen else "E_NOT_FOUND", f"Name one of these nodes: {names}.")
        _show(found, connected.pooling.name_node(found, chosen[0]), Output(as_json))


@app.command()
def end(study: OfStudy = None, yes: Certain = False) -> None:
    """Name no pool node any more; this revokes every consent to pool rows at it."""
    with portal() as connected:
        found = find_study(connected, study)
        if not yes:
            typer.confirm(f"End the pool of “{found.title}”, and revoke every consent?", abort=True)
        connected.pooling.end_node(found)
    Output().say("No node holds pooled rows of this study any more.")


@app.command()
def revoke(study: OfStudy = None, site: OfSite = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Revoke your site's consent: nothing uses its pooled rows any more."""
    with portal() as connected:
        ended = connected.pooling.revoke(_consent(connected, study, site), reason=reason)
    _told(ended, Output(as_json), "is revoked: nothing uses its rows any more.")


@app.command()
def delete(
    study: OfStudy = None, site: OfSite = None, reason: Reason = "", yes: Certain = False, as_json: AsJson = False
) -> None:
    """Revoke your site's consent and have its pooled rows deleted, right after `fedstudy login`."""
    with portal() as connected:
        found = _consent(connected, study, site)
        if not yes:
            typer.confirm(f"Delete the pooled rows of {found.site.name} for good?", abort=True)
        ended = connected.pooling.delete_rows(found, reason=reason)
        seen = connected.pooling.runs(found)
    output = Output(as_json)
    _told(ended, output, "is revoked, and its rows are deleted as soon as the pool node proves it.")
    output.table("Models that have seen them", ("run", "state", "models"), [_seen(run) for run in seen])


def _seen(run: dict[str, object]) -> tuple[object, object, object]:
    return run["label"], run["state"], run["models"]


def _consent(connected: FedStudy, study: str | None, site: str | None) -> PoolConsent:
    """The newest consent of a site. Raises FedStudyProblem (E_NOT_FOUND, E_AMBIGUOUS)."""
    known: dict[str, PoolConsent] = {}
    for consent in connected.pooling.consents(find_study(connected, study)):
        if site is None or site in (consent.site.name, consent.site.id):
            known.setdefault(consent.site.id, consent)
    if len(known) == 1:
        return next(iter(known.values()))
    names = ", ".join(consent.site.name for consent in known.values())
    if known:
        raise FedStudyProblem("E_AMBIGUOUS", f"There is more than one site; say which by --site: {names}.")
    raise FedStudyProblem("E_NOT_FOUND", "There is no consent to pool rows, or it is not yours to see.")


def _told(consent: PoolConsent, output: Output, words: str) -> None:
    output.facts(consent.raw)
    output.say(f"The consent of {consent.site.name} {words}")


def _show(study: Study, pool: StudyPool, output: Output) -> None:
    output.facts(pool.raw)
    node = pool.pool_node
    held = f"{node['name']} of {node['site']['name']} holds {pool.rows} rows" if node else "no pool node"
    output.say(f"{study.title}: {held}")
    rows = [(item["site"]["name"], item["level"], item["state"], item["not_after"][:10]) for item in pool.sites]
    output.table("Sites", ("site", "level", "consent", "until"), rows)
