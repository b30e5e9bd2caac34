"""Events as plain sentences in the reader's language; the event itself says everything in English."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from audit.models import Event

# {actor}, {object} and the event's details by name; what an event does not tell is left out of the sentence.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "audit:log:read": gettext_noop("{actor} read the log of “{object}” on {day}."),
        "audit:log:proved": gettext_noop("{actor} had the log proved on {day}."),
        "audit:log:succeeded": gettext_noop("The log of {old} ended at {size} events and goes on as {new}."),
        "portal:software:upgraded": gettext_noop("The portal runs version {version} now; before it was {before}."),
        "portal:settings:changed": gettext_noop("The portal's settings are others than at its last start: {changed}."),
        "portal:backup:made": gettext_noop(
            "The backup “{object}” was made (signed entries of the log when it was told: {entries})."
        ),
        "portal:backup:failed": gettext_noop("The backup “{object}” could not be made."),
        "portal:backup:tried": gettext_noop("The backup “{object}” was restored elsewhere, to see that it can be."),
        "portal:backup:restored": gettext_noop(
            "The backup “{object}” was restored (signed entries from which the log goes on: {entries})."
        ),
        "audit:log:exported": gettext_noop("{actor} took entries of the log away as {form} (number: {entries})."),
        "runs:results:viewed": gettext_noop("{actor} looked at the results of “{object}” on {day}."),
        "runs:results:exported": gettext_noop("{actor} took the results of “{object}” away as {file}."),
        "runs:uses:exported": gettext_noop(
            "{actor} took entries on the uses of {object}'s data away (number: {entries})."
        ),
        "runs:file:downloaded": gettext_noop("{actor} took the file {name} that the script of “{object}” left."),
        "runs:result:left": gettext_noop("The script of “{object}” left results of round {round}."),
        "runs:dossier:exported": gettext_noop(
            "{actor} took the dossier of “{object}” away: {files} files, SHA-256 {contents}."
        ),
        "runs:run:hindered": gettext_noop("{actor} could not start “{object}” ({code})."),
        "accounts:session:opened": gettext_noop("{actor} signed in to the portal."),
        "accounts:session:closed": gettext_noop("{actor} signed out of the portal."),
        "accounts:session:refused": gettext_noop("Somebody tried to sign in as {object} and was refused."),
        "accounts:session:locked": gettext_noop(
            "After too many tries ({limit}) nobody may try for a while to sign in as {object}."
        ),
        "accounts:permission:denied": gettext_noop("{actor} was refused what only others may do here ({permission})."),
        "accounts:session:ended": gettext_noop("{actor} ended {sessions} of their own sessions."),
        "accounts:factor:added": gettext_noop("{actor} added the {kind} “{name}” as a second factor."),
        "accounts:factor:removed": gettext_noop("{actor} removed the {kind} “{name}” from their second factors."),
        "accounts:factor:reset": gettext_noop("{actor} removed all second factors of {object}."),
        "accounts:recovery:renewed": gettext_noop("{actor} made new recovery codes."),
        "accounts:recovery:used": gettext_noop("{actor} used a recovery code (left: {left})."),
        "accounts:invitation:made": gettext_noop("{actor} invited {email} to be {role_label} of {object}."),
        "accounts:invitation:revoked": gettext_noop("{actor} took the invitation of {email} to {object} back."),
        "accounts:invitation:taken_up": gettext_noop("{actor} took up the invitation to be {role_label} of {object}."),
        "accounts:password:changed": gettext_noop("{actor} changed their password."),
        "accounts:password:set": gettext_noop("{actor} set a first password, and gets in without single sign-on, too."),
        "accounts:token:issued": gettext_noop("{actor} signed in by the API."),
        "accounts:token:returned": gettext_noop("{actor} signed out of the API."),
        "accounts:token:made": gettext_noop("{actor} made the token “{name}” for {scopes}, good until {until}."),
        "accounts:token:revoked": gettext_noop("{actor} revoked the token “{name}”."),
        "accounts:user:zoned": gettext_noop("{actor} reads times in {time_zone} now."),
        "accounts:language:chosen": gettext_noop("{actor} reads pages in {language} now."),
        "accounts:user:renamed": gettext_noop("{actor} was called {old} before."),
        "accounts:setup:offered": gettext_noop("{actor} made a one-time token for the first administrator."),
        "accounts:user:set_up": gettext_noop("{object} became the first administrator of this portal."),
        "accounts:user:created": gettext_noop("{actor} opened an account for {object}."),
        "accounts:user:closed": gettext_noop("{actor} closed the account of {object}."),
        "accounts:user:reopened": gettext_noop("{actor} reopened the account of {object}."),
        "accounts:joincode:made": gettext_noop("{actor} made a join code of {object}."),
        "accounts:joincode:ended": gettext_noop("{actor} ended the join code of {object}."),
        "accounts:access:asked": gettext_noop("{actor} asked to be {role_label} of {object}."),
        "accounts:access:accepted": gettext_noop(
            "{actor} accepted that {person} asked to be {role_label} of {object}."
        ),
        "accounts:access:refused": gettext_noop("{actor} refused {person}, who asked to be {role_label} of {object}."),
        "accounts:access:withdrawn": gettext_noop("{actor} does not ask any more to be {role_label} of {object}."),
        "accounts:identity:linked": gettext_noop("{actor} linked their account to {email} at {issuer}."),
        "accounts:identity:unlinked": gettext_noop("{actor} unlinked their account from {email} at {issuer}."),
        "accounts:user:moved": gettext_noop("{actor} moved {object} from {from_site} to {to_site}."),
        "accounts:user:expected": gettext_noop("{actor} announced that {object} comes to this site."),
        "accounts:site:created": gettext_noop("{actor} added the site {object}."),
        "accounts:role:changed": gettext_noop("An upgrade changed what the role {role_label} of {object} may do."),
        "accounts:role:granted": gettext_noop("{actor} made {person} {role_label} of {object}."),
        "accounts:role:revoked": gettext_noop("{actor} took the role {role_label} of {object} back from {person}."),
        "notifications:preference:chosen": gettext_noop("{actor} chose whether to get e-mail."),
        "lifecycle:study:created": gettext_noop("{actor} created the study “{object}”."),
        "lifecycle:study:edited": gettext_noop("{actor} changed the description of the study “{object}”."),
        "lifecycle:study:moved": gettext_noop("{actor} moved the study “{object}” from {old} to {new}."),
        "lifecycle:protocol:added": gettext_noop("{actor} uploaded the protocol {object}."),
        "dictionary:draft:changed": gettext_noop(
            "{actor} changed the draft of the data dictionary (variables in it: {variables})."
        ),
        "dictionary:draft:discarded": gettext_noop("{actor} discarded the draft of the data dictionary."),
        "dictionary:version:published": gettext_noop("{actor} published data dictionary version {number}."),
        "dictionary:dataset:registered": gettext_noop("{actor} registered the dataset “{object}”; it is {state}."),
        "dictionary:dataset:checked": gettext_noop("{actor} checked the dataset “{object}” again; it is {state}."),
        "dictionary:dataset:withdrawn": gettext_noop("The dataset “{object}” was withdrawn by {actor}."),
        "enrolment:site:invited": gettext_noop("{actor} invited {site_name} to take part at level {level}."),
        "enrolment:site:accepted": gettext_noop("{actor} accepted the invitation for {site_name}."),
        "enrolment:level:changed": gettext_noop("{actor} changed the level of {site_name} from {old} to {new}."),
        "enrolment:site:declined": gettext_noop("{actor} declined the invitation for {site_name}."),
        "enrolment:site:ready": gettext_noop("{site_name} is ready."),
        "enrolment:site:unready": gettext_noop("{site_name} is no longer ready."),
        "enrolment:site:withdrawn": gettext_noop("{actor} withdrew {site_name} from the study."),
        "scripts:script:created": gettext_noop("{actor} added the script “{object}”."),
        "scripts:version:submitted": gettext_noop("{actor} submitted {object}."),
        "scripts:version:withdrawn": gettext_noop("{actor} took {object} back."),
        "scripts:version:analysed": gettext_noop("{object} was analysed again by newer rules."),
        "scripts:thread:opened": gettext_noop("{actor} opened a thread on {object}."),
        "scripts:thread:answered": gettext_noop("{actor} wrote into a thread on {object}."),
        "scripts:thread:resolved": gettext_noop("{actor} resolved a thread on {object}."),
        "scripts:thread:reopened": gettext_noop("{actor} took up a thread on {object} again."),
        "scripts:checklist:saved": gettext_noop("{actor} ticked {ticked} of {of} items on {object} for {site_name}."),
        "scripts:approval:recorded": gettext_noop("{approver} {decision} {version} for {site_name}."),
        "scripts:approval:revoked": gettext_noop("The approval of {version} by {site_name} was revoked by {actor}."),
        "pooling:node:named": gettext_noop("{actor} named {object} to hold the study's pooled rows."),
        "pooling:node:ended": gettext_noop(
            "{actor} ended {object} as the node that holds the study's pooled rows ({reason})."
        ),
        "pooling:key:registered": gettext_noop("The pool node made a key for {site_name}."),
        "pooling:consent:given": gettext_noop(
            "{site_name} consented at level {level} until {not_after} to pool rows (columns: {columns})."
        ),
        "pooling:consent:replaced": gettext_noop(
            "A newer consent of {site_name} to pool rows took the place of the one before."
        ),
        "pooling:consent:expired": gettext_noop("The consent of {site_name} to pool rows expired."),
        "pooling:consent:revoked": gettext_noop("{actor} revoked the consent of {site_name} to pool rows ({reason})."),
        "pooling:consent:signed_off": gettext_noop("{site_name} handed in its signature under a revocation."),
        "pooling:consent:deletion_asked": gettext_noop("{actor} asked to delete the pooled rows of {site_name}."),
        "pooling:consent:deleted": gettext_noop(
            "The pool node destroyed the key of {site_name}'s pooled rows at {destroyed_at}."
        ),
        "pooling:object:announced": gettext_noop("{site_name} announced {rows} pooled rows, encrypted as {sha256}."),
        "pooling:object:received": gettext_noop("{rows} encrypted rows of {site_name} came as {sha256}."),
        "pooling:object:refused": gettext_noop("What {site_name} sent in place of pooled rows was refused ({code})."),
        "pooling:object:removed": gettext_noop(
            "The portal removed what it held of the encrypted rows of {site_name} ({reason})."
        ),
        "pooling:table:made": gettext_noop("The pool node made a table of pooled rows (sites in it: {sites})."),
        "releases:card:changed": gettext_noop("{actor} changed the words of the model card of “{object}”."),
        "releases:release:requested": gettext_noop("{actor} asked to release the model of “{object}” to {recipient}."),
        "releases:release:cosigned": gettext_noop(
            "{actor} consented for {site_name} to the release of the model of “{object}”."
        ),
        "releases:release:granted": gettext_noop("The model of round {round} of “{object}” is released."),
        "releases:release:refused": gettext_noop(
            "{actor} refused for {site_name} to release the model of “{object}” (“{reason}”)."
        ),
        "releases:release:withdrawn": gettext_noop("{actor} took the request to release the model of “{object}” back."),
        "runs:run:created": gettext_noop("{actor} planned the run “{object}”."),
        "runs:run:queued": gettext_noop("{actor} started the run “{object}”."),
        "runs:run:forked": gettext_noop("{actor} planned “{object}”, which goes on from another run's model."),
        "runs:run:prioritised": gettext_noop(
            "{actor} changed the priority of the run “{object}” from {before} to {priority}."
        ),
        "runs:run:admitted": gettext_noop("The turn of the run “{object}” has come."),
        "runs:attempt:announced": gettext_noop("Attempt {attempt} of “{object}” was announced to the SuperLink."),
        "runs:attempt:lost": gettext_noop("Attempt {attempt} of “{object}” was lost at the SuperLink ({reason})."),
        "runs:run:began": gettext_noop("The run “{object}” began."),
        "runs:run:completed": gettext_noop("The run “{object}” completed."),
        "runs:run:failed": gettext_noop("The run “{object}” failed ({code})."),
        "runs:run:stopped": gettext_noop("{actor} stopped the run “{object}”."),
        "runs:run:pausing": gettext_noop("{actor} asked the run “{object}” to pause after its round."),
        "runs:run:unpaused": gettext_noop("{actor} no longer asks the run “{object}” to pause."),
        "runs:run:paused": gettext_noop("The run “{object}” paused."),
        "runs:run:resumed": gettext_noop("{actor} let the run “{object}” go on."),
        "runs:run:plateau": gettext_noop("The metric {metric} of “{object}” gains no more: round {round} is its last."),
        "runs:round:opened": gettext_noop("Round {round} of “{object}” began."),
        "runs:round:committed": gettext_noop("Round {round} of “{object}” was committed: its model is {model_out}."),
        "runs:schedule:created": gettext_noop("{actor} made a schedule of {object}."),
        "runs:schedule:active": gettext_noop("{actor} let the schedule of {object} go on."),
        "runs:schedule:suspended": gettext_noop("{actor} suspended the schedule of {object}."),
        "runs:schedule:ended": gettext_noop("{actor} ended the schedule of {object}."),
        "runs:schedule:fired": gettext_noop("The schedule of {object} made a run."),
        "runs:schedule:hindered": gettext_noop("The schedule of {object} could make no run ({reason})."),
        "runs:site:refused": gettext_noop("{site} refused a message of “{object}” ({code})."),
        "runs:site:failed": gettext_noop("The script of “{object}” failed at {site} ({code})."),
        "runs:site:lowered": gettext_noop(
            "From now on “{object}” asks {site} for nothing that its level {new} does not allow."
        ),
        "runs:site:missing": gettext_noop("{site} did not answer in time in “{object}”."),
        "runs:model:downloaded": gettext_noop("{actor} downloaded a model of “{object}”."),
        "webhooks:webhook:registered": gettext_noop("{actor} registered a webhook to {object} for {kinds}."),
        "webhooks:webhook:changed": gettext_noop("{actor} changed the webhook to {object}; it is for {kinds} now."),
        "webhooks:webhook:enabled": gettext_noop("{actor} switched the webhook to {object} on."),
        "webhooks:webhook:disabled": gettext_noop("{actor} switched the webhook to {object} off."),
        "webhooks:webhook:rotated": gettext_noop("{actor} gave the webhook to {object} a new secret."),
        "webhooks:webhook:tested": gettext_noop("{actor} sent a test message to {object}."),
        "webhooks:webhook:repeated": gettext_noop("{actor} sent a message to {object} again."),
        "webhooks:webhook:removed": gettext_noop("{actor} removed the webhook to {object}."),
        "degrees:comparison:created": gettext_noop("{actor} planned the comparison of degrees “{object}”."),
        "degrees:comparison:extended": gettext_noop(
            "{actor} planned more runs of the comparison of degrees “{object}”."
        ),
        "degrees:comparison:viewed": gettext_noop("{actor} looked at the comparison of degrees “{object}” on {day}."),
        "degrees:comparison:exported": gettext_noop(
            "{actor} took the comparison of degrees “{object}” away as {file}."
        ),
        "registry:node:expected": gettext_noop("{actor} announced the node {object}."),
        "registry:node:enrolled": gettext_noop(
            "The node {object} introduced itself and waits for its six words to be compared."
        ),
        "registry:node:confirmed": gettext_noop("{actor} compared the six words and confirmed the node {object}."),
        "registry:node:mismatched": gettext_noop("{actor} entered other words than the node {object} shows."),
        "registry:node:connected": gettext_noop("The SuperLink knows the node {object} now."),
        "registry:node:came_online": gettext_noop("The node {object} came online."),
        "registry:node:approvers": gettext_noop("At the node {object} these people may sign: {people}."),
        "registry:key:registered": gettext_noop("At the node {object} a key counts from now on: {key}."),
        "registry:key:withdrawn": gettext_noop("At the node {object} a key counts no more: {key}."),
        "registry:node:changed": gettext_noop(
            "The node {object} runs version {agent_version} with sandbox {sandbox} now."
        ),
        "registry:node:clock_off": gettext_noop("The clock of the node {object} is off by {seconds} seconds."),
        "registry:node:clock_right": gettext_noop("The clock of the node {object} is right again."),
        "registry:node:frozen": gettext_noop("The node {object} was frozen: two agents used its keys."),
        "registry:node:paused": gettext_noop("The people of the node {object} paused it."),
        "registry:node:resumed": gettext_noop("The people of the node {object} let it work again."),
        "registry:node:rotated": gettext_noop("The node {object} replaced its own keys; the words are now “{words}”."),
        "registry:node:token_made": gettext_noop("{actor} made a token for the frozen node {object}."),
        "registry:node:page": gettext_noop("The node {object} says that its own page is at {page_url}."),
        "registry:witness:began": gettext_noop("The node {object} began to cosign the log {log}."),
        "registry:witness:refused": gettext_noop("The node {object} refused to cosign the log ({code})."),
        "registry:node:revoked": gettext_noop("{actor} revoked the node {object}."),
    }
)


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return _("something")


def detail_of(event: Event) -> dict[str, Any]:
    """The event's further facts."""
    found: dict[str, Any] = json.loads(event.detail)
    return found


def context_of(event: Event) -> dict[str, Any]:
    """Under which circumstances it was written (`audit.context`); nothing for events of before there was a context."""
    found: dict[str, Any] = json.loads(event.context or "{}")
    return found


def _as_told(_name: str, value: str) -> str:
    return value


def sentence(event: Event, in_words: Callable[[str, str], str] = _as_told) -> str:
    """What happened, in one sentence; events without words of their own are read from their action's name.

    Args:
        in_words: gives a fact, by name and value, as the sentence is to have it.
    """
    facts = {name: in_words(name, str(value)) for name, value in detail_of(event).items()}
    known = _Known(facts, actor=event.actor_label, object=event.object_label or event.object_type)
    template = SENTENCES.get(event.action)
    if template is None:
        _area, subject, verb = event.action.split(":")
        template = "{actor}: " + f"{subject} {verb}".replace("_", " ") + " ({object})."
    text = _(template).format_map(known)
    return text[0].upper() + text[1:]
