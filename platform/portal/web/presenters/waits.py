"""What a study waits for, and for whom: the list that heads its page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from accounts.models import Site
from federation.releases.models import Release
from portal.web.addresses import address
from portal.web.presenters.picture import Picture, decision_of
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.scripts.models import ScriptVersion

Step = tuple[str, str, str, str, str]
INVESTIGATOR = gettext_noop("Principal investigator")
UNREADY = ("expected", "pending", "frozen")  # of a node


@dataclass(frozen=True)
class Wait:
    """One open step; ``action`` is the label of the button for those whose step it is."""

    party: str
    text: str
    detail: str
    href: str
    action: str
    icon: str
    study: str
    is_yours: bool


@dataclass(frozen=True)
class Reader:
    """Who looks: the studies they lead and the sites they speak for."""

    leads: Collection[UUID] = ()
    sites: Collection[UUID] = ()


def waits_of(picture: Picture, reader: Reader) -> list[Wait]:
    """Open steps, the reader's own first."""
    if picture.study.state in ("closed", "archived"):
        return []
    found = [*_of_investigator(picture, reader), *_of_sites(picture, reader)]
    return sorted(found, key=lambda wait: not wait.is_yours)


def waits_of_release(release: Release, yours: Iterable[Site]) -> list[Wait]:
    """A release that is not decided: a step for each site that the reader may speak for, else one of data stewards."""
    text = _("consent to the release of the model of “{run}”").format(run=release.run.label)
    detail = _("To {recipient}.").format(recipient=release.recipient)
    href, study = address("web:release", release.pk), release.run.study.title
    own = [Wait(site.name, text, detail, href, _("Decide"), "seal", study, is_yours=True) for site in yours]
    return own or [Wait(_("Data stewards"), text, detail, href, _("Decide"), "seal", study, is_yours=False)]


def _of_investigator(picture: Picture, reader: Reader) -> Iterator[Wait]:
    study, party = picture.study, _(INVESTIGATOR)
    leads = study.pk in reader.leads
    for text, detail, name, action, icon in _steps_of_study(picture):
        href = address(f"web:{name}", study.pk)
        yield Wait(party, text, detail, href, action, icon, study.title, leads)
    if study.state == "draft":
        return
    for run in picture.runs:
        if run.state == "draft" and _signed(picture, run.version) >= run.quorum:
            text, action = _("start “{run_label}”").format(run_label=run.label), pgettext("action", "Open")
            href = address("web:run", run.pk)
            yield Wait(party, text, _("Planned."), href, action, "play", study.title, leads)


def _steps_of_study(picture: Picture) -> Iterator[Step]:
    """What the study lacks: text, detail, name of the page, action and icon."""
    if picture.dictionary is None:
        detail = _("Sites check their data against it.")
        yield _("publish the data dictionary"), detail, "dictionary-new", _("Upload"), "data"
    if picture.study.state == "draft":
        detail = _("Then recruitment opens and sites are invited.")
        yield _("set the study up"), detail, "study-set-up", _("Go on"), "send"
        return
    if not picture.enrolments:
        yield _("invite sites"), _("No site is invited yet."), "enrolment-new", _("Invite"), "hospital"
    if not picture.versions:
        detail = _("Sites review it and sign it at their nodes.")
        yield _("submit a script"), detail, "script-new", _("Submit"), "code"
    if picture.study.state == "recruiting" and any(item.state == "ready" for item in picture.enrolments):
        detail = _("At least one site is ready; runs need an active study.")
        yield _("activate the study"), detail, "study", pgettext("action", "Open"), "play"


def _of_sites(picture: Picture, reader: Reader) -> Iterator[Wait]:
    to_sign = _versions_to_sign(picture)
    for enrolment in picture.enrolments:
        for text, detail, href, action, icon in _steps_of(picture, enrolment, to_sign):
            is_yours = enrolment.site_id in reader.sites
            yield Wait(enrolment.site.name, text, detail, href, action, icon, picture.study.title, is_yours)


def _node_steps() -> dict[str, tuple[str, str, str, str]]:
    return {
        "expected": (
            _("enrol the node “{}”"),
            _("Its one-time token waits to be used."),
            pgettext("action", "Open"),
            "node",
        ),
        "pending": (
            _("confirm the node “{}”"),
            _("Compare its six words first."),
            _("Compare"),
            "eye",
        ),
        "frozen": (
            _("look at the node “{}”"),
            _("Two agents used its keys: it is frozen."),
            pgettext("action", "Open"),
            "alert",
        ),
    }


def _steps_of(picture: Picture, enrolment: Enrolment, to_sign: list[ScriptVersion]) -> list[Step]:
    """The site's next step before it is ready; from then on the scripts that wait for its signature."""
    here = address("web:enrolment", enrolment.pk)
    if enrolment.state == "invited":
        return [(_("answer the invitation"), _("Accept or decline."), here, _("Answer"), "send")]
    if enrolment.state not in TAKING_PART:
        return []
    node, dataset = picture.node_of(enrolment), picture.dataset_of(enrolment)
    nodes = address("web:site", enrolment.site_id)
    if node is None:
        return [
            (_("register a node"), _("The agent that will run scripts beside the data."), nodes, _("Register"), "node")
        ]
    if node.state in UNREADY:
        text, detail, action, icon = _node_steps()[node.state]
        return [(text.format(node.name), detail, nodes, action, icon)]
    if dataset is None:
        return [(_("offer a dataset"), _("Add it at the node's console."), here, pgettext("action", "Open"), "data")]
    if dataset.state == "invalid":
        return [(_("correct its dataset"), _("It does not fit the data dictionary."), here, _("Findings"), "data")]
    steps = (_script_step(picture, version, enrolment) for version in to_sign)
    return [step for step in steps if step is not None]


def _versions_to_sign(picture: Picture) -> list[ScriptVersion]:
    """The newest submitted version of each script, and those that a planned run needs."""
    planned = {run.version_id for run in picture.runs if run.state == "draft"}
    submitted = [item for item in picture.versions if item.state == "submitted"]
    newest = {item.script_id: item.pk for item in sorted(submitted, key=lambda item: item.number)}
    return [item for item in submitted if item.pk in planned or newest[item.script_id] == item.pk]


def _signed(picture: Picture, version: ScriptVersion) -> int:
    """How many sites' approvals of a version hold."""
    return sum(decision_of(picture.approval_of(version, item)) == "approved" for item in picture.taking_part)


def _script_step(picture: Picture, version: ScriptVersion, enrolment: Enrolment) -> Step | None:
    decision = decision_of(picture.approval_of(version, enrolment))
    if decision not in ("awaited", "expired"):
        return None
    name, href = f"{version.script.name} v{version.number}", address("web:version", version.pk)
    if decision == "awaited":
        return (
            _("review and sign {name}").format(name=name),
            _("The signature is made at the hospital's node."),
            href,
            _("Review"),
            "seal",
        )
    return _("sign {name} again").format(name=name), _("The approval's time is over."), href, _("Review"), "clock"
