"""Log entries in words."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from audit.models import Event
from portal.web.addresses import address
from portal.web.presenters.facts import name_of

SENTENCES = {
    "accounts:access:accepted": gettext_noop("Request for a role accepted"),
    "accounts:access:asked": gettext_noop("Role asked for"),
    "accounts:access:refused": gettext_noop("Request for a role refused"),
    "accounts:access:withdrawn": gettext_noop("Request for a role taken back"),
    "accounts:identity:linked": gettext_noop("Single sign-on linked"),
    "accounts:identity:unlinked": gettext_noop("Single sign-on unlinked"),
    "accounts:joincode:ended": gettext_noop("Join code ended"),
    "accounts:joincode:made": gettext_noop("Join code made"),
    "accounts:factor:added": gettext_noop("Second factor added"),
    "accounts:factor:removed": gettext_noop("Second factor removed"),
    "accounts:factor:reset": gettext_noop("Second factors reset by an administrator"),
    "accounts:language:chosen": gettext_noop("Language chosen"),
    "accounts:invitation:made": gettext_noop("Somebody new invited"),
    "accounts:invitation:revoked": gettext_noop("Invitation of a person taken back"),
    "accounts:invitation:taken_up": gettext_noop("Invitation of a person taken up"),
    "accounts:password:changed": gettext_noop("Password changed"),
    "accounts:password:set": gettext_noop("First password set"),
    "accounts:permission:denied": gettext_noop("Refused: no permission"),
    "accounts:recovery:renewed": gettext_noop("Recovery codes made anew"),
    "accounts:recovery:used": gettext_noop("Recovery code used"),
    "accounts:role:changed": gettext_noop("What a role may do changed by an upgrade"),
    "accounts:role:granted": gettext_noop("Role given"),
    "accounts:role:revoked": gettext_noop("Role taken back"),
    "accounts:session:locked": gettext_noop("Locked out after too many tries"),
    "accounts:session:closed": gettext_noop("Signed out of the portal"),
    "accounts:session:ended": gettext_noop("Ended own sessions elsewhere"),
    "accounts:session:refused": gettext_noop("Sign-in refused"),
    "accounts:session:opened": gettext_noop("Signed in to the portal"),
    "accounts:setup:offered": gettext_noop("Token for the first administrator made"),
    "accounts:site:created": gettext_noop("Site created"),
    "accounts:token:issued": gettext_noop("Signed in to the API"),
    "accounts:token:made": gettext_noop("Token of the API made"),
    "accounts:token:returned": gettext_noop("Signed out of the API"),
    "accounts:token:revoked": gettext_noop("Token of the API revoked"),
    "accounts:user:closed": gettext_noop("Account closed"),
    "accounts:user:created": gettext_noop("Account created"),
    "accounts:user:reopened": gettext_noop("Account opened again"),
    "accounts:user:moved": gettext_noop("Person moved to another site"),
    "accounts:user:expected": gettext_noop("Person announced at a site"),
    "accounts:user:zoned": gettext_noop("Time zone chosen"),
    "accounts:user:renamed": gettext_noop("Name changed"),
    "accounts:user:set_up": gettext_noop("First administrator set up"),
    "degrees:comparison:created": gettext_noop("Comparison of degrees planned"),
    "degrees:comparison:viewed": gettext_noop("Comparison of degrees looked at"),
    "degrees:comparison:exported": gettext_noop("Comparison of degrees taken away as a file"),
    "degrees:comparison:extended": gettext_noop("More runs planned for a comparison of degrees"),
    "audit:log:read": gettext_noop("Log read"),
    "audit:log:proved": gettext_noop("Log proved to somebody"),
    "audit:log:succeeded": gettext_noop("Log goes on under another name"),
    "portal:software:upgraded": gettext_noop("Portal upgraded"),
    "portal:backup:failed": gettext_noop("Backup failed"),
    "portal:backup:made": gettext_noop("Backup made"),
    "portal:backup:restored": gettext_noop("Backup restored"),
    "portal:backup:tried": gettext_noop("Backup tried"),
    "portal:settings:changed": gettext_noop("Portal's settings changed"),
    "audit:log:exported": gettext_noop("Log taken away as a file"),
    "dictionary:dataset:checked": gettext_noop("Dataset checked again by its node"),
    "dictionary:dataset:registered": gettext_noop("Dataset offered"),
    "dictionary:dataset:withdrawn": gettext_noop("Dataset withdrawn"),
    "dictionary:draft:changed": gettext_noop("Draft of the data dictionary changed"),
    "dictionary:draft:discarded": gettext_noop("Draft of the data dictionary discarded"),
    "dictionary:version:published": gettext_noop("Data dictionary published"),
    "enrolment:level:changed": gettext_noop("Site's level changed"),
    "enrolment:site:accepted": gettext_noop("Site takes part"),
    "enrolment:site:declined": gettext_noop("Site declined"),
    "enrolment:site:invited": gettext_noop("Site invited"),
    "enrolment:site:ready": gettext_noop("Site ready"),
    "enrolment:site:unready": gettext_noop("Site no longer ready"),
    "enrolment:site:withdrawn": gettext_noop("Site withdrew"),
    "lifecycle:protocol:added": gettext_noop("Protocol version added"),
    "lifecycle:study:created": gettext_noop("Study created"),
    "lifecycle:study:edited": gettext_noop("Study's words changed"),
    "lifecycle:study:moved": gettext_noop("Study moved to its next state"),
    "notifications:preference:chosen": gettext_noop("E-mail chosen or declined"),
    "registry:key:registered": gettext_noop("Key counts at the node"),
    "registry:key:withdrawn": gettext_noop("Key counts no more at the node"),
    "registry:node:came_online": gettext_noop("Node came online"),
    "registry:node:approvers": gettext_noop("Approvers of the node"),
    "registry:node:changed": gettext_noop("Node changed its version or sandbox"),
    "registry:node:confirmed": gettext_noop("Node confirmed by its six words"),
    "registry:node:connected": gettext_noop("Node known to the SuperLink"),
    "registry:node:enrolled": gettext_noop("Node enrolled with its own keys"),
    "registry:node:expected": gettext_noop("Token for a node made"),
    "registry:node:mismatched": gettext_noop("Six words did not match"),
    "registry:node:clock_off": gettext_noop("Node's clock is off"),
    "registry:node:clock_right": gettext_noop("Node's clock is right again"),
    "registry:node:frozen": gettext_noop("Node frozen: two agents used its keys"),
    "registry:node:paused": gettext_noop("Node paused by its site"),
    "registry:node:resumed": gettext_noop("Node resumed by its site"),
    "registry:node:page": gettext_noop("Node said where its own page is"),
    "registry:node:revoked": gettext_noop("Node revoked"),
    "registry:witness:began": gettext_noop("Node began to cosign the log"),
    "registry:witness:refused": gettext_noop("Node refused to cosign the log"),
    "registry:node:rotated": gettext_noop("Node replaced its own keys"),
    "registry:node:token_made": gettext_noop("Token for a frozen node made"),
    "runs:attempt:announced": gettext_noop("Run announced to the SuperLink"),
    "runs:attempt:lost": gettext_noop("Attempt lost at the SuperLink"),
    "runs:model:downloaded": gettext_noop("Model downloaded"),
    "runs:dossier:exported": gettext_noop("Dossier taken away"),
    "runs:results:viewed": gettext_noop("Results looked at"),
    "runs:results:exported": gettext_noop("Results taken away as a file"),
    "runs:uses:exported": gettext_noop("Uses of a site's data taken away"),
    "runs:file:downloaded": gettext_noop("File of the script's ServerApp downloaded"),
    "runs:round:opened": gettext_noop("Round began"),
    "runs:round:committed": gettext_noop("Round committed"),
    "runs:result:left": gettext_noop("Result of the script's ServerApp kept"),
    "runs:run:admitted": gettext_noop("Run's turn has come"),
    "runs:run:began": gettext_noop("Run began"),
    "runs:run:completed": gettext_noop("Run completed"),
    "runs:run:created": gettext_noop("Run planned"),
    "runs:run:failed": gettext_noop("Run failed"),
    "runs:run:forked": gettext_noop("Run forked from another"),
    "runs:run:hindered": gettext_noop("Start refused"),
    "runs:run:paused": gettext_noop("Run paused"),
    "runs:run:pausing": gettext_noop("Run to pause after its round"),
    "runs:run:plateau": gettext_noop("Metric gains no more"),
    "runs:run:prioritised": gettext_noop("Priority changed"),
    "runs:run:resumed": gettext_noop("Run went on"),
    "runs:run:unpaused": gettext_noop("Pause taken back"),
    "runs:run:queued": gettext_noop("Run started, waiting for its turn"),
    "runs:run:stopped": gettext_noop("Run stopped"),
    "runs:schedule:active": gettext_noop("Schedule resumed"),
    "runs:schedule:created": gettext_noop("Schedule made"),
    "runs:schedule:ended": gettext_noop("Schedule ended"),
    "runs:schedule:fired": gettext_noop("Schedule made a run"),
    "runs:schedule:hindered": gettext_noop("Schedule could make no run"),
    "runs:schedule:suspended": gettext_noop("Schedule suspended"),
    "runs:site:failed": gettext_noop("Script failed at a site"),
    "runs:site:lowered": gettext_noop("Site asked for less from now on"),
    "runs:site:missing": gettext_noop("Site did not answer in time"),
    "runs:site:refused": gettext_noop("Site refused"),
    "pooling:consent:deleted": gettext_noop("Pooled rows deleted, and their key destroyed"),
    "pooling:consent:deletion_asked": gettext_noop("Deletion of pooled rows asked for"),
    "pooling:consent:expired": gettext_noop("Consent to pool rows expired"),
    "pooling:consent:given": gettext_noop("Site consented to pool rows"),
    "pooling:consent:replaced": gettext_noop("Consent to pool rows replaced"),
    "pooling:consent:revoked": gettext_noop("Consent to pool rows revoked"),
    "pooling:consent:signed_off": gettext_noop("Signed revocation of pooled rows received"),
    "pooling:key:registered": gettext_noop("Pool node made a key for a site"),
    "pooling:node:ended": gettext_noop("Pool node ended"),
    "pooling:node:named": gettext_noop("Pool node named"),
    "pooling:object:announced": gettext_noop("Pooled rows announced"),
    "pooling:object:received": gettext_noop("Pooled rows received, encrypted"),
    "pooling:object:refused": gettext_noop("Pooled rows refused"),
    "pooling:object:removed": gettext_noop("Encrypted rows removed from the portal"),
    "pooling:table:made": gettext_noop("Pool node made a table of pooled rows"),
    "releases:card:changed": gettext_noop("Words of a model card changed"),
    "releases:release:requested": gettext_noop("Release of a model asked for"),
    "releases:release:cosigned": gettext_noop("Site consented to a release"),
    "releases:release:granted": gettext_noop("Model released"),
    "releases:release:refused": gettext_noop("Site refused a release"),
    "releases:release:withdrawn": gettext_noop("Request for a release taken back"),
    "scripts:approval:recorded": gettext_noop("Site's signed decision received"),
    "scripts:approval:revoked": gettext_noop("Approval revoked"),
    "scripts:script:created": gettext_noop("Script created"),
    "scripts:checklist:saved": gettext_noop("Checklist of a review saved"),
    "scripts:thread:answered": gettext_noop("Answer written in a review"),
    "scripts:thread:opened": gettext_noop("Question or comment in a review"),
    "scripts:thread:reopened": gettext_noop("Thread of a review taken up again"),
    "scripts:thread:resolved": gettext_noop("Thread of a review resolved"),
    "scripts:version:analysed": gettext_noop("Script analysed by newer rules"),
    "scripts:version:submitted": gettext_noop("Script version submitted"),
    "scripts:version:withdrawn": gettext_noop("Script version withdrawn"),
    "webhooks:webhook:changed": gettext_noop("Webhook changed"),
    "webhooks:webhook:disabled": gettext_noop("Webhook switched off"),
    "webhooks:webhook:enabled": gettext_noop("Webhook switched on"),
    "webhooks:webhook:registered": gettext_noop("Webhook registered"),
    "webhooks:webhook:removed": gettext_noop("Webhook removed"),
    "webhooks:webhook:repeated": gettext_noop("Message of a webhook sent again"),
    "webhooks:webhook:rotated": gettext_noop("Webhook given a new secret"),
    "webhooks:webhook:tested": gettext_noop("Test message of a webhook sent"),
}


AREAS = {
    "runs": gettext_noop("Runs"),
    "degrees": gettext_noop("Comparisons of degrees"),
    "releases": gettext_noop("Releases of models"),
    "scripts": gettext_noop("Scripts and approvals"),
    "dictionary": gettext_noop("Data"),
    "enrolment": gettext_noop("Enrolments"),
    "pooling": gettext_noop("Pooled rows"),
    "lifecycle": gettext_noop("Studies"),
    "registry": gettext_noop("Nodes"),
    "accounts": gettext_noop("People and sites"),
    "notifications": gettext_noop("Notifications"),
    "webhooks": gettext_noop("Webhooks"),
    "audit": gettext_noop("The log itself"),
    "portal": gettext_noop("The portal itself"),
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
            proof=address("web:event", event.event_id),
            at=event.at,
            actor=event.actor_label,
            actor_name=event.actor,
            action=event.action,
            sentence=sentence_of(event.action),
            object=event.object_label or event.object_type,
            object_id=event.object_id,
            href=href_of(event.object_type, event.object_id),
            outcome=event.outcome,
            detail=details_of(json.loads(event.detail), event.action),
        )
        for event in events
    ]


KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PAGES = {"study": "study", "run": "run", "scriptversion": "version", "enrolment": "enrolment", "site": "site",
         "poolconsent": "pool-consent"}  # fmt: skip


def href_of(object_type: str, object_id: str) -> str:
    """The page of the object, where it has one; whether the reader may see it, that page decides."""
    name = PAGES.get(object_type)
    return address(f"web:{name}", UUID(object_id)) if name and KEY.fullmatch(object_id) else ""


def sentence_of(action: str) -> str:
    """What happened, in words; unknown actions are read from their name."""
    _area, subject, verb = action.split(":")
    known = SENTENCES.get(action)
    return _(known) if known else f"{subject} {verb}".replace("_", " ").capitalize()


def details_of(detail: dict[str, Any], action: str) -> tuple[tuple[str, str], ...]:
    """The further facts of an entry."""
    told = {name: value for name, value in detail.items() if value not in ("", None, [])}
    return tuple((name_of(name, action), _short(value)) for name, value in told.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]}…"
