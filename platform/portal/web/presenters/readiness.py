"""How far a site is on the way to ready, and the next command to type."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from portal.web.presenters.picture import Picture
from studies.enrolment.models import Enrolment


@dataclass(frozen=True)
class Step:
    """One step; its command or link is shown while it is open."""

    title: str
    detail: str
    done: bool
    command: str = ""
    href: str = ""
    action: str = ""


@dataclass(frozen=True)
class Ending:
    """How a site's part in a study ended."""

    title: str
    at: dt.datetime | None
    by: str
    reason: str


def ending_of(enrolment: Enrolment) -> Ending | None:
    """The end of a part that was declined or withdrawn; None while it goes on."""
    if enrolment.state == "withdrawn":
        by = enrolment.withdrawn_by.name if enrolment.withdrawn_by else ""
        return Ending(_("The site no longer takes part"), enrolment.withdrawn_at, by, enrolment.reason)
    if enrolment.state == "declined":
        by = enrolment.answered_by.name if enrolment.answered_by else ""
        return Ending(_("The site does not take part"), enrolment.answered_at, by, enrolment.reason)
    return None


def steps_of(picture: Picture, enrolment: Enrolment) -> list[Step]:
    """Accepted, node, dataset: what is done and what is next."""
    return [_accepted(enrolment), _node(picture, enrolment), _dataset(picture, enrolment)]


def _accepted(enrolment: Enrolment) -> Step:
    done = enrolment.state in ("accepted", "ready")
    detail = _("The site takes part.") if done else _("The site's admin answers the invitation on this page.")
    return Step(_("The site accepts"), detail, done)


def _node(picture: Picture, enrolment: Enrolment) -> Step:
    node = picture.node_of(enrolment)
    href = reverse("web:site", args=[enrolment.site_id])
    if node is None:
        detail = _("The agent that runs scripts beside the data. It gets a one-time token and makes its own keys.")
        return Step(_("A node is registered and confirmed"), detail, False, href=href, action=_("Register a node"))
    details = {
        "expected": _("“{node_name}” has a token and has not enrolled yet.").format(node_name=node.name),
        "pending": _("“{node_name}” enrolled; its six words are to be compared.").format(node_name=node.name),
        "frozen": _("“{node_name}” is frozen: two agents used its keys.").format(node_name=node.name),
        "active": _("“{node_name}” is active.").format(node_name=node.name),
    }
    return Step(
        _("A node is registered and confirmed"),
        details[node.state],
        node.state == "active",
        href=href,
        action=_("Open nodes"),
    )


def _dataset(picture: Picture, enrolment: Enrolment) -> Step:
    title, dataset = _("A valid dataset is offered"), picture.dataset_of(enrolment)
    command = f"fedstudy-node dataset add --study {picture.study.pk} --name NAME FILE.csv"
    if dataset is None:
        return Step(
            title, _("The node checks the file against the data dictionary; only counts leave."), False, command
        )
    if dataset.state == "invalid":
        return Step(
            title,
            _("“{dataset_name}” does not fit yet; see the findings below.").format(dataset_name=dataset.name),
            False,
            command,
        )
    detail = _("“{dataset_name}” fits the data dictionary ({rows_band} rows).").format(
        dataset_name=dataset.name, rows_band=dataset.rows_band
    )
    return Step(title, detail, dataset.state == "valid" and enrolment.dataset_id is not None)
