"""Events as plain sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from audit.models import Event

# {actor}, {object} and the event's details by name; what an event does not tell is left out of the sentence.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "audit:log:read": "{actor} read the log of “{object}” on {day}.",
        "audit:log:proved": "{actor} had the log proved on {day}.",
        "audit:log:succeeded": "The log of {old} ended at {size} events and goes on as {new}.",
        "portal:software:upgraded": "The portal runs version {version} now; before it was {before}.",
        "portal:settings:changed": "The portal's settings are others than at its last start: {changed}.",
        "audit:log:exported": "{actor} took {entries} entries of the log away as {form}.",
        "runs:results:viewed": "{actor} looked at the results of “{object}” on {day}.",
        "runs:results:exported": "{actor} took the results of “{object}” away as {file}.",
        "runs:uses:exported": "{actor} took {entries} entries on the uses of {object}'s data away.",
        "runs:file:downloaded": "{actor} took the file {name} that the script of “{object}” left.",
        "runs:result:left": "The script of “{object}” left results of round {round}.",
        "runs:dossier:exported": "{actor} took the dossier of “{object}” away: {files} files, SHA-256 {contents}.",
        "runs:run:hindered": "{actor} could not start “{object}” ({code}).",
        "accounts:session:opened": "{actor} signed in to the portal.",
        "accounts:session:closed": "{actor} signed out of the portal.",
        "accounts:session:refused": "Somebody tried to sign in as {object} and was refused.",
        "accounts:session:locked": "After too many tries ({limit}) nobody may try for a while to sign in as {object}.",
        "accounts:permission:denied": "{actor} was refused what only others may do here ({permission}).",
        "accounts:session:ended": "{actor} ended {sessions} of their own sessions.",
        "accounts:factor:added": "{actor} added the {kind} “{name}” as a second factor.",
        "accounts:factor:removed": "{actor} removed the {kind} “{name}” from their second factors.",
        "accounts:factor:reset": "{actor} removed all second factors of {object}.",
        "accounts:recovery:renewed": "{actor} made new recovery codes.",
        "accounts:recovery:used": "{actor} used a recovery code; {left} are left.",
        "accounts:invitation:made": "{actor} invited {email} to be {role_label} of {object}.",
        "accounts:invitation:revoked": "{actor} took the invitation of {email} to {object} back.",
        "accounts:invitation:taken_up": "{actor} took up the invitation to be {role_label} of {object}.",
        "accounts:password:changed": "{actor} changed their password.",
        "accounts:token:issued": "{actor} signed in by the API.",
        "accounts:token:returned": "{actor} signed out of the API.",
        "accounts:token:made": "{actor} made the token “{name}” for {scopes}, good until {until}.",
        "accounts:token:revoked": "{actor} revoked the token “{name}”.",
        "accounts:user:zoned": "{actor} reads times in {time_zone} now.",
        "accounts:language:chosen": "{actor} reads pages in {language} now.",
        "accounts:user:renamed": "{actor} was called {old} before.",
        "accounts:setup:offered": "{actor} made a one-time token for the first administrator.",
        "accounts:user:set_up": "{object} became the first administrator of this portal.",
        "accounts:user:created": "{actor} opened an account for {object}.",
        "accounts:user:closed": "{actor} closed the account of {object}.",
        "accounts:user:reopened": "{actor} reopened the account of {object}.",
        "accounts:joincode:made": "{actor} made a join code of {object}.",
        "accounts:joincode:ended": "{actor} ended the join code of {object}.",
        "accounts:access:asked": "{actor} asked to be {role_label} of {object}.",
        "accounts:access:accepted": "{actor} accepted that {person} asked to be {role_label} of {object}.",
        "accounts:access:refused": "{actor} refused {person}, who asked to be {role_label} of {object}.",
        "accounts:access:withdrawn": "{actor} does not ask any more to be {role_label} of {object}.",
        "accounts:identity:linked": "{actor} linked their account to {email} at {issuer}.",
        "accounts:identity:unlinked": "{actor} unlinked their account from {email} at {issuer}.",
        "accounts:user:moved": "{actor} moved {object} from {from_site} to {to_site}.",
        "accounts:user:expected": "{actor} announced that {object} comes to this site.",
        "accounts:site:created": "{actor} added the site {object}.",
        "accounts:role:changed": "An upgrade changed what the role {role_label} of {object} may do.",
        "accounts:role:granted": "{actor} made {person} {role_label} of {object}.",
        "accounts:role:revoked": "{actor} took the role {role_label} of {object} back from {person}.",
        "notifications:preference:chosen": "{actor} chose whether to get e-mail.",
        "lifecycle:study:created": "{actor} created the study “{object}”.",
        "lifecycle:study:edited": "{actor} changed the description of the study “{object}”.",
        "lifecycle:study:moved": "{actor} moved the study “{object}” from {old} to {new}.",
        "lifecycle:protocol:added": "{actor} uploaded the protocol {object}.",
        "dictionary:draft:changed": "{actor} changed the draft of the data dictionary; it has {variables} variables.",
        "dictionary:draft:discarded": "{actor} discarded the draft of the data dictionary.",
        "dictionary:version:published": "{actor} published data dictionary version {number}.",
        "dictionary:dataset:registered": "{actor} registered the dataset “{object}”; it is {state}.",
        "dictionary:dataset:checked": "{actor} checked the dataset “{object}” again; it is {state}.",
        "dictionary:dataset:withdrawn": "The dataset “{object}” was withdrawn by {actor}.",
        "enrolment:site:invited": "{actor} invited {site_name} to take part at level {level}.",
        "enrolment:site:accepted": "{actor} accepted the invitation for {site_name}.",
        "enrolment:level:changed": "{actor} changed the level of {site_name} from {old} to {new}.",
        "enrolment:site:declined": "{actor} declined the invitation for {site_name}.",
        "enrolment:site:ready": "{site_name} is ready.",
        "enrolment:site:unready": "{site_name} is no longer ready.",
        "enrolment:site:withdrawn": "{actor} withdrew {site_name} from the study.",
        "scripts:script:created": "{actor} added the script “{object}”.",
        "scripts:version:submitted": "{actor} submitted {object}.",
        "scripts:version:withdrawn": "{actor} took {object} back.",
        "scripts:version:analysed": "{object} was analysed again by newer rules.",
        "scripts:thread:opened": "{actor} opened a thread on {object}.",
        "scripts:thread:answered": "{actor} wrote into a thread on {object}.",
        "scripts:thread:resolved": "{actor} resolved a thread on {object}.",
        "scripts:thread:reopened": "{actor} took up a thread on {object} again.",
        "scripts:checklist:saved": "{actor} ticked {ticked} of {of} items on {object} for {site_name}.",
        "scripts:approval:recorded": "{approver} {decision} {version} for {site_name}.",
        "scripts:approval:revoked": "The approval of {version} by {site_name} was revoked by {actor}.",
        "pooling:node:named": "{actor} named {object} to hold the study's pooled rows.",
        "pooling:node:ended": "{actor} ended {object} as the node that holds the study's pooled rows ({reason}).",
        "pooling:key:registered": "The pool node made a key for {site_name}.",
        "pooling:consent:given": "{site_name} consented at level {level} until {not_after} to pool {columns} columns.",
        "pooling:consent:replaced": "A newer consent of {site_name} to pool rows took the place of the one before.",
        "pooling:consent:expired": "The consent of {site_name} to pool rows expired.",
        "pooling:consent:revoked": "{actor} revoked the consent of {site_name} to pool rows ({reason}).",
        "pooling:consent:signed_off": "{site_name} handed in its signature under a revocation.",
        "pooling:consent:deletion_asked": "{actor} asked to delete the pooled rows of {site_name}.",
        "pooling:consent:deleted": "The pool node destroyed the key of {site_name}'s pooled rows at {destroyed_at}.",
        "pooling:object:announced": "{site_name} announced {rows} pooled rows, encrypted as {sha256}.",
        "pooling:object:received": "{rows} encrypted rows of {site_name} came as {sha256}.",
        "pooling:object:refused": "What {site_name} sent in place of pooled rows was refused ({code}).",
        "pooling:object:removed": "The portal removed what it held of the encrypted rows of {site_name} ({reason}).",
        "pooling:table:made": "The pool node made a table of the rows of {sites} sites.",
        "releases:card:changed": "{actor} changed the words of the model card of “{object}”.",
        "releases:release:requested": "{actor} asked to release the model of “{object}” to {recipient}.",
        "releases:release:cosigned": "{actor} consented for {site_name} to the release of the model of “{object}”.",
        "releases:release:granted": "The model of round {round} of “{object}” is released.",
        "releases:release:refused": "{actor} refused for {site_name} to release the model of “{object}” (“{reason}”).",
        "releases:release:withdrawn": "{actor} took the request to release the model of “{object}” back.",
        "runs:run:created": "{actor} planned the run “{object}”.",
        "runs:run:queued": "{actor} started the run “{object}”.",
        "runs:run:forked": "{actor} planned “{object}”, which goes on from another run's model.",
        "runs:run:prioritised": "{actor} changed the priority of the run “{object}” from {before} to {priority}.",
        "runs:run:admitted": "The turn of the run “{object}” has come.",
        "runs:attempt:announced": "Attempt {attempt} of “{object}” was announced to the SuperLink.",
        "runs:attempt:lost": "Attempt {attempt} of “{object}” was lost at the SuperLink ({reason}).",
        "runs:run:began": "The run “{object}” began.",
        "runs:run:completed": "The run “{object}” completed.",
        "runs:run:failed": "The run “{object}” failed ({code}).",
        "runs:run:stopped": "{actor} stopped the run “{object}”.",
        "runs:run:pausing": "{actor} asked the run “{object}” to pause after its round.",
        "runs:run:unpaused": "{actor} no longer asks the run “{object}” to pause.",
        "runs:run:paused": "The run “{object}” paused.",
        "runs:run:resumed": "{actor} let the run “{object}” go on.",
        "runs:run:plateau": "The metric {metric} of “{object}” gains no more: round {round} is its last.",
        "runs:round:opened": "Round {round} of “{object}” began.",
        "runs:round:committed": "Round {round} of “{object}” was committed: its model is {model_out}.",
        "runs:schedule:created": "{actor} made a schedule of {object}.",
        "runs:schedule:active": "{actor} let the schedule of {object} go on.",
        "runs:schedule:suspended": "{actor} suspended the schedule of {object}.",
        "runs:schedule:ended": "{actor} ended the schedule of {object}.",
        "runs:schedule:fired": "The schedule of {object} made a run.",
        "runs:schedule:hindered": "The schedule of {object} could make no run ({reason}).",
        "runs:site:refused": "{site} refused a message of “{object}” ({code}).",
        "runs:site:failed": "The script of “{object}” failed at {site} ({code}).",
        "runs:site:lowered": "From now on “{object}” asks {site} for nothing that its level {new} does not allow.",
        "runs:site:missing": "{site} did not answer in time in “{object}”.",
        "runs:model:downloaded": "{actor} downloaded a model of “{object}”.",
        "webhooks:webhook:registered": "{actor} registered a webhook to {object} for {kinds}.",
        "webhooks:webhook:changed": "{actor} changed the webhook to {object}; it is for {kinds} now.",
        "webhooks:webhook:enabled": "{actor} switched the webhook to {object} on.",
        "webhooks:webhook:disabled": "{actor} switched the webhook to {object} off.",
        "webhooks:webhook:rotated": "{actor} gave the webhook to {object} a new secret.",
        "webhooks:webhook:tested": "{actor} sent a test message to {object}.",
        "webhooks:webhook:repeated": "{actor} sent a message to {object} again.",
        "webhooks:webhook:removed": "{actor} removed the webhook to {object}.",
        "degrees:comparison:created": "{actor} planned the comparison of degrees “{object}”.",
        "degrees:comparison:extended": "{actor} planned more runs of the comparison of degrees “{object}”.",
        "degrees:comparison:viewed": "{actor} looked at the comparison of degrees “{object}” on {day}.",
        "degrees:comparison:exported": "{actor} took the comparison of degrees “{object}” away as {file}.",
        "registry:node:expected": "{actor} announced the node {object}.",
        "registry:node:enrolled": "The node {object} introduced itself and waits for its six words to be compared.",
        "registry:node:confirmed": "{actor} compared the six words and confirmed the node {object}.",
        "registry:node:mismatched": "{actor} entered other words than the node {object} shows.",
        "registry:node:connected": "The SuperLink knows the node {object} now.",
        "registry:node:came_online": "The node {object} came online.",
        "registry:node:approvers": "At the node {object} these people may sign: {people}.",
        "registry:key:registered": "At the node {object} a key counts from now on: {key}.",
        "registry:key:withdrawn": "At the node {object} a key counts no more: {key}.",
        "registry:node:changed": "The node {object} runs version {agent_version} with sandbox {sandbox} now.",
        "registry:node:clock_off": "The clock of the node {object} is off by {seconds} seconds.",
        "registry:node:clock_right": "The clock of the node {object} is right again.",
        "registry:node:frozen": "The node {object} was frozen: two agents used its keys.",
        "registry:node:paused": "The people of the node {object} paused it.",
        "registry:node:resumed": "The people of the node {object} let it work again.",
        "registry:node:rotated": "The node {object} replaced its own keys; the words are now “{words}”.",
        "registry:node:token_made": "{actor} made a token for the frozen node {object}.",
        "registry:node:page": "The node {object} says that its own page is at {page_url}.",
        "registry:witness:began": "The node {object} began to cosign the log {log}.",
        "registry:witness:refused": "The node {object} refused to cosign the log ({code}).",
        "registry:node:revoked": "{actor} revoked the node {object}.",
    }
)


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "something"


def detail_of(event: Event) -> dict[str, Any]:
    """The event's further facts."""
    found: dict[str, Any] = json.loads(event.detail)
    return found


def context_of(event: Event) -> dict[str, Any]:
    """Under which circumstances it was written (`audit.context`); nothing for events of before there was a context."""
    found: dict[str, Any] = json.loads(event.context or "{}")
    return found


def sentence(event: Event) -> str:
    """What happened, in one sentence; events without words of their own are read from their action's name."""
    facts = {name: str(value) for name, value in detail_of(event).items()}
    known = _Known(facts, actor=event.actor_label, object=event.object_label or event.object_type)
    template = SENTENCES.get(event.action)
    if template is None:
        _, subject, verb = event.action.split(":")
        template = "{actor}: " + f"{subject} {verb}".replace("_", " ") + " ({object})."
    text = template.format_map(known)
    return text[0].upper() + text[1:]
