"""The node itself: its datasets, its work, its connection; pausing it and ending its part in a run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import Response

from fedstudy_core.errors import Invalid
from fedstudy_core.statement import SANDBOX_WORDS
from fedstudy_node import __version__
from fedstudy_node.page.views.review import state_of
from fedstudy_node.page.visits import Visit
from fedstudy_node.status import read_status
from fedstudy_node.witness import Witness

_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RECENT = 200


def datasets(visit: Visit) -> Response:
    """List what this node offers to studies, with exact rows: they are shown here only."""
    front = visit.front
    titles = {str(row["study"]): str(row["study_title"]) for row in front.offers.rows()}
    rows = [(item, state_of(front, item), Path(item.path).name) for item in front.datasets.all()]
    return visit.render("datasets.html", datasets=rows, titles=titles)


def work(visit: Visit) -> Response:
    """Show what the agent does now, and what the site's people decided about it."""
    front = visit.front
    state = front.control.state()
    return visit.render(
        "work.html",
        now=read_status(front.home.status_path),
        paused=state.paused,
        vetoes=state.vetoes,
        runs=_runs(visit, state.vetoes),
    )


def _runs(visit: Visit, vetoes: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the runs that were answered last, newest first; `live` where the agent still holds one."""
    held = set(read_status(visit.front.home.status_path).get("runs", ()))
    found: dict[str, dict[str, Any]] = {}
    with visit.front.ledger() as ledger:
        for departure in ledger.departures(_RECENT):
            if departure.run and departure.run not in found:
                found[departure.run] = {
                    "id": departure.run,
                    "round": departure.round,
                    "at": departure.at,
                    "outcome": departure.outcome,
                    "live": departure.flower_run in held,
                    "vetoed": departure.run in vetoes,
                }
    return sorted(found.values(), key=lambda run: not run["live"])[:20]


def pause(visit: Visit) -> Response:
    """Refuse all work from now on, and end what runs. Raises NodeError (E_STATE, E_INVALID)."""
    reason = visit.text("reason")
    visit.front.control.pause(reason)
    visit.front.note("paused", visit.front.home.settings().node, reason=reason, by=visit.signed_in.name)
    visit.session.notice = "The node is paused: what ran is ended, and every message is refused."
    return visit.go("/work")


def resume(visit: Visit) -> Response:
    """Take work again. Raises NodeError (E_STATE)."""
    visit.front.control.resume()
    visit.front.note("resumed", visit.front.home.settings().node, by=visit.signed_in.name)
    visit.session.notice = "The node takes messages again."
    return visit.go("/work")


def veto(visit: Visit) -> Response:
    """End this node's part in a run, for good. Raises Invalid, NodeError (E_STATE, E_INVALID)."""
    run, reason = visit.text("run"), visit.text("reason")
    if not _RUN.fullmatch(run):
        raise Invalid("E_INVALID", "A run is named by the whole id that its page shows.")
    visit.front.control.veto(run, reason)
    visit.front.note("vetoed", run, reason=reason, by=visit.signed_in.name)
    visit.session.notice = "This node has no more part in the run. Its script is ended."
    return visit.go("/work")


def people(visit: Visit) -> Response:
    """List who may sign here."""
    return visit.render("people.html", people=visit.front.trust.all(), address=visit.front.address)


def about(visit: Visit) -> Response:
    """Say what this node is, how it is connected, and how it holds scripts."""
    return visit.render(
        "about.html",
        levels=SANDBOX_WORDS,
        now=read_status(visit.front.home.status_path),
        log=Witness(visit.front.home).memory().told(),
        version=__version__,
        address=visit.front.address,
        home=str(visit.front.home.path),
    )
