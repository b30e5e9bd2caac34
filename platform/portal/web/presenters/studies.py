"""The rows and lists of the study pages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from nodes.registry.models import Node
from portal.web.addresses import address
from portal.web.presenters.charts import metric_name
from portal.web.presenters.levels import Level, level_of
from portal.web.presenters.picture import Picture, decision_of
from portal.web.presenters.strategies import strategy_title
from portal.web.presenters.waits import Reader, Wait, waits_of
from studies.enrolment.models import Enrolment


@dataclass(frozen=True)
class RunRow:
    """A run in a list."""

    href: str
    label: str
    script: str
    strategy: str
    state: str
    committed: int
    total: int
    sites: int
    metric: str
    value: float | None
    created_at: dt.datetime


@dataclass(frozen=True)
class StudyRow:
    """A study in the list of studies."""

    href: str
    title: str
    role: str
    state: str
    sites: int
    ready: int
    waits: tuple[Wait, ...]
    run: RunRow | None

    @property
    def more_waits(self) -> int:
        return max(len(self.waits) - 2, 0)


@dataclass(frozen=True)
class EnrolmentRow:
    """A site in a study."""

    href: str
    site: str
    place: str
    state: str
    level: Level
    node: str
    presence: str
    dataset_state: str
    rows_band: str


@dataclass(frozen=True)
class VersionRow:
    """A script version in a list: how many of the sites taking part approved it, and how many took their word back."""

    href: str
    name: str
    number: int
    sha256: str
    state: str
    approved: int
    asked: int
    revoked: int
    submitted_at: dt.datetime

    @property
    def approved_text(self) -> str:
        words = ngettext("{approved} of {asked} site", "{approved} of {asked} sites", self.asked)
        return words.format(approved=self.approved, asked=self.asked)


@dataclass(frozen=True)
class Transition:
    """A move of the study that the reader may make, with the words of its confirmation."""

    to: str
    label: str
    question: str
    consequence: str
    is_forward: bool


TRANSITIONS = {
    "recruiting": Transition(
        "recruiting",
        gettext_noop("Open recruitment"),
        gettext_noop("Open recruitment?"),
        gettext_noop("sites can be invited from now on."),
        True,
    ),
    "active": Transition(
        "active",
        gettext_noop("Activate"),
        gettext_noop("Activate the study?"),
        gettext_noop("runs can start from now on."),
        True,
    ),
    "closed": Transition(
        "closed",
        gettext_noop("Close the study"),
        gettext_noop("Close the study?"),
        gettext_noop("no new run can start. Results and log stay readable."),
        False,
    ),
    "archived": Transition(
        "archived",
        gettext_noop("Archive the study"),
        gettext_noop("Archive the study?"),
        gettext_noop("it is kept for the record; this cannot be undone."),
        False,
    ),
}


def transition_to(state: str) -> Transition:
    """The move to a state."""
    known = TRANSITIONS[state]
    return replace(known, label=_(known.label), question=_(known.question), consequence=_(known.consequence))


def study_row(picture: Picture, reader: Reader, role: str) -> StudyRow:
    """A line of the list of studies."""
    counted = [item for item in picture.enrolments if item.state in ("invited", "accepted", "ready")]
    return StudyRow(
        href=address("web:study", picture.study.pk),
        title=picture.study.title,
        role=role,
        state=picture.study.state,
        sites=len(counted),
        ready=sum(item.state == "ready" for item in counted),
        waits=tuple(waits_of(picture, reader)),
        run=run_row(max(picture.runs, key=_breadth)) if picture.runs else None,
    )


def _breadth(run: Any) -> tuple[int, dt.datetime]:
    """Runs over more sites say more of a study; of equals the newest."""
    return run.asked, run.created_at


def run_row(run: Any) -> RunRow:
    """A line of a list of runs; the run carries what `pictures_of` adds."""
    headline = run.version.declaration.get("headline", "")
    value = ((run.latest_metrics or {}).get("evaluate") or {}).get(headline)
    return RunRow(
        href=address("web:run", run.pk),
        label=run.label,
        script=f"{run.version.script.name} v{run.version.number}",
        strategy=strategy_title(run.strategy),
        state=run.state,
        committed=run.committed,
        total=run.rounds,
        sites=run.asked,
        metric=metric_name(headline) if headline else "",
        value=value if isinstance(value, int | float) else None,
        created_at=run.created_at,
    )


def presence_of(node: Node | None) -> str:
    """online, offline or never; empty without a confirmed node."""
    if node is None or node.state != "active":
        return ""
    if node.last_seen_at is None:
        return "never"
    if not node.online:
        return "offline"
    return "paused" if node.paused else "online"


def enrolment_row(picture: Picture, enrolment: Enrolment) -> EnrolmentRow:
    """A line of the table of sites."""
    node, dataset = picture.node_of(enrolment), picture.dataset_of(enrolment)
    site = enrolment.site
    return EnrolmentRow(
        href=address("web:enrolment", enrolment.pk),
        site=site.name,
        place=", ".join(part for part in (site.city, site.country) if part),
        state=enrolment.state,
        level=level_of(enrolment.level),
        node=node.name if node else "",
        presence=presence_of(node),
        dataset_state=dataset.state if dataset else "",
        rows_band=dataset.rows_band if dataset else "",
    )


def version_rows(picture: Picture) -> list[VersionRow]:
    """The study's script versions, the newest first."""
    return [
        VersionRow(
            href=address("web:version", version.pk),
            name=version.script.name,
            number=version.number,
            sha256=version.sha256,
            state=version.state,
            approved=sum(decision_of(picture.approval_of(version, item)) == "approved" for item in picture.taking_part),
            asked=len(picture.taking_part),
            revoked=sum(decision_of(picture.approval_of(version, item)) == "revoked" for item in picture.enrolments),
            submitted_at=version.submitted_at,
        )
        for version in picture.versions
    ]
