"""Log entries in words."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from audit.models import Event

SENTENCES = {
    "accounts:access:accepted": "Request for a role accepted",
    "accounts:access:asked": "Role asked for",
    "accounts:access:refused": "Request for a role refused",
    "accounts:access:withdrawn": "Request for a role taken back",
    "accounts:identity:linked": "Single sign-on linked",
    "accounts:identity:unlinked": "Single sign-on unlinked",
    "accounts:joincode:ended": "Join code ended",
    "accounts:joincode:made": "Join code made",
    "accounts:factor:added": "Second factor added",
    "accounts:factor:removed": "Second factor removed",
    "accounts:factor:reset": "Second factors reset by an administrator",
    "accounts:language:chosen": "Language chosen",
    "accounts:invitation:made": "Somebody new invited",
    "accounts:invitation:revoked": "Invitation of a person taken back",
    "accounts:invitation:taken_up": "Invitation of a person taken up",
    "accounts:password:changed": "Password changed",
    "accounts:permission:denied": "Refused: no permission",
    "accounts:recovery:renewed": "Recovery codes made anew",
    "accounts:recovery:used": "Recovery code used",
    "accounts:role:granted": "Role given",
    "accounts:role:revoked": "Role taken back",
    "accounts:session:closed": "Signed out of the portal",
    "accounts:session:ended": "Ended own sessions elsewhere",
    "accounts:session:refused": "Sign-in refused",
    "accounts:session:opened": "Signed in to the portal",
    "accounts:setup:offered": "Token for the first administrator made",
    "accounts:site:created": "Site created",
    "accounts:token:issued": "Signed in to the API",
    "accounts:token:made": "Token of the API made",
    "accounts:token:returned": "Signed out of the API",
    "accounts:token:revoked": "Token of the API revoked",
    "accounts:user:closed": "Account closed",
    "accounts:user:created": "Account created",
    "accounts:user:reopened": "Account opened again",
    "accounts:user:moved": "Person moved to another site",
    "accounts:user:expected": "Person announced at a site",
    "accounts:user:zoned": "Time zone chosen",
    "accounts:user:renamed": "Name changed",
    "accounts:user:set_up": "First administrator set up",
    "audit:log:exported": "Log taken away as a file",
    "dictionary:dataset:checked": "Dataset checked again by its node",
    "dictionary:dataset:registered": "Dataset offered",
    "dictionary:dataset:withdrawn": "Dataset withdrawn",
    "dictionary:draft:changed": "Draft of the data dictionary changed",
    "dictionary:draft:discarded": "Draft of the data dictionary discarded",
    "dictionary:version:published": "Data dictionary published",
    "enrolment:site:accepted": "Site takes part",
    "enrolment:site:declined": "Site declined",
    "enrolment:site:invited": "Site invited",
    "enrolment:site:ready": "Site ready",
    "enrolment:site:withdrawn": "Site withdrew",
    "lifecycle:protocol:added": "Protocol version added",
    "lifecycle:study:created": "Study created",
    "lifecycle:study:edited": "Study's words changed",
    "lifecycle:study:moved": "Study moved to its next state",
    "notifications:preference:chosen": "E-mail chosen or declined",
    "registry:node:came_online": "Node came online",
    "registry:node:approvers": "Approvers of the node",
    "registry:node:changed": "Node changed its version or sandbox",
    "registry:node:confirmed": "Node confirmed by its six words",
    "registry:node:connected": "Node known to the SuperLink",
    "registry:node:enrolled": "Node enrolled with its own keys",
    "registry:node:expected": "Token for a node made",
    "registry:node:mismatched": "Six words did not match",
    "registry:node:frozen": "Node frozen: two agents used its keys",
    "registry:node:paused": "Node paused by its site",
    "registry:node:resumed": "Node resumed by its site",
    "registry:node:page": "Node said where its own page is",
    "registry:node:revoked": "Node revoked",
    "registry:witness:began": "Node began to cosign the log",
    "registry:witness:refused": "Node refused to cosign the log",
    "registry:node:rotated": "Node replaced its own keys",
    "registry:node:token_made": "Token for a frozen node made",
    "runs:attempt:announced": "Run announced to the SuperLink",
    "runs:attempt:lost": "Attempt lost at the SuperLink",
    "runs:model:downloaded": "Model downloaded",
    "runs:results:exported": "Results taken away as a file",
    "runs:file:downloaded": "File of the script's ServerApp downloaded",
    "runs:round:committed": "Round committed",
    "runs:result:left": "Result of the script's ServerApp kept",
    "runs:run:admitted": "Run's turn has come",
    "runs:run:began": "Run began",
    "runs:run:completed": "Run completed",
    "runs:run:created": "Run planned",
    "runs:run:failed": "Run failed",
    "runs:run:forked": "Run forked from another",
    "runs:run:hindered": "Start refused",
    "runs:run:paused": "Run paused",
    "runs:run:pausing": "Run to pause after its round",
    "runs:run:plateau": "Metric gains no more",
    "runs:run:prioritised": "Priority changed",
    "runs:run:resumed": "Run went on",
    "runs:run:unpaused": "Pause taken back",
    "runs:run:queued": "Run started, waiting for its turn",
    "runs:run:stopped": "Run stopped",
    "runs:schedule:active": "Schedule resumed",
    "runs:schedule:created": "Schedule made",
    "runs:schedule:ended": "Schedule ended",
    "runs:schedule:fired": "Schedule made a run",
    "runs:schedule:hindered": "Schedule could make no run",
    "runs:schedule:suspended": "Schedule suspended",
    "runs:site:failed": "Script failed at a site",
    "runs:site:missing": "Site did not answer in time",
    "runs:site:refused": "Site refused",
    "releases:card:changed": "Words of a model card changed",
    "releases:release:requested": "Release of a model asked for",
    "releases:release:cosigned": "Site consented to a release",
    "releases:release:granted": "Model released",
    "releases:release:refused": "Site refused a release",
    "releases:release:withdrawn": "Request for a release taken back",
    "scripts:approval:recorded": "Site's signed decision received",
    "scripts:approval:revoked": "Approval revoked",
    "scripts:script:created": "Script created",
    "scripts:checklist:saved": "Checklist of a review saved",
    "scripts:thread:answered": "Answer written in a review",
    "scripts:thread:opened": "Question or comment in a review",
    "scripts:thread:reopened": "Thread of a review taken up again",
    "scripts:thread:resolved": "Thread of a review resolved",
    "scripts:version:analysed": "Script analysed by newer rules",
    "scripts:version:submitted": "Script version submitted",
    "scripts:version:withdrawn": "Script version withdrawn",
    "webhooks:webhook:changed": "Webhook changed",
    "webhooks:webhook:disabled": "Webhook switched off",
    "webhooks:webhook:enabled": "Webhook switched on",
    "webhooks:webhook:registered": "Webhook registered",
    "webhooks:webhook:removed": "Webhook removed",
    "webhooks:webhook:repeated": "Message of a webhook sent again",
    "webhooks:webhook:rotated": "Webhook given a new secret",
    "webhooks:webhook:tested": "Test message of a webhook sent",
}


AREAS = {
    "runs": "Runs",
    "releases": "Releases of models",
    "scripts": "Scripts and approvals",
    "dictionary": "Data",
    "enrolment": "Enrolments",
    "lifecycle": "Studies",
    "registry": "Nodes",
    "accounts": "People and sites",
    "notifications": "Notifications",
    "webhooks": "Webhooks",
    "audit": "The log itself",
}


@dataclass(frozen=True)
class EventRow:
    """An entry of the log."""

    number: int
    proof: str
    at: dt.datetime
    actor: str
    actor_name: str
    action: str
    sentence: str
    object: str
    object_id: str
    href: str
    outcome: str
    detail: tuple[tuple[str, str], ...]


def event_rows(events: Iterable[Event]) -> list[EventRow]:
    """The entries as rows of the log."""
    return [
        EventRow(
            number=event.pk,
            proof=reverse("web:event", args=[event.event_id]),
            at=event.at,
            actor=event.actor_label,
            actor_name=event.actor,
            action=event.action,
            sentence=sentence_of(event.action),
            object=event.object_label or event.object_type,
            object_id=event.object_id,
            href=href_of(event.object_type, event.object_id),
            outcome=event.outcome,
            detail=details_of(json.loads(event.detail)),
        )
        for event in events
    ]


KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PAGES = {"study": "study", "run": "run", "scriptversion": "version", "enrolment": "enrolment", "site": "site"}


def href_of(object_type: str, object_id: str) -> str:
    """The page of the object, where it has one; whether the reader may see it, that page decides."""
    name = PAGES.get(object_type)
    return reverse(f"web:{name}", args=[object_id]) if name and KEY.fullmatch(object_id) else ""


def sentence_of(action: str) -> str:
    """What happened, in words; unknown actions are read from their name."""
    _, subject, verb = action.split(":")
    return SENTENCES.get(action) or f"{subject} {verb}".replace("_", " ").capitalize()


def details_of(detail: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The further facts of an entry."""
    return tuple(
        (name.replace("_", " "), _short(value)) for name, value in detail.items() if value not in ("", None, [])
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]}…"
