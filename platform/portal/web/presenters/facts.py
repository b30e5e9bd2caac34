"""What the facts of an event are called, and which of them are the portal's own words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.factors import KINDS
from accounts.profile import LANGUAGES, OF_BROWSER
from accounts.roles import LABELS
from audit.reasons import REASONS
from portal.web.presenters.exports import FORMS
from studies.dictionary.states import DATASET
from studies.lifecycle.states import STUDY
from studies.scripts.states import DECISIONS

NAMES = {
    "answer": gettext_noop("hash of the answer"),
    "asked": gettext_noop("hash of what was asked"),
    "attempt": gettext_noop("attempt"),
    "before": gettext_noop("before"),
    "bytes_received": gettext_noop("bytes received"),
    "bytes_sent": gettext_noop("bytes sent"),
    "changed": gettext_noop("changed"),
    "code": gettext_noop("code"),
    "columns": gettext_noop("columns"),
    "configuration": gettext_noop("hash of the configuration"),
    "consent": gettext_noop("hash of the consent"),
    "contents": gettext_noop("hash of the contents"),
    "day": gettext_noop("day"),
    "decision": gettext_noop("decision"),
    "duration_ms": gettext_noop("duration in ms"),
    "email": gettext_noop("e-mail"),
    "entries": gettext_noop("entries"),
    "envelope": gettext_noop("hash of the signed envelope"),
    "fields": gettext_noop("fields"),
    "file": gettext_noop("file"),
    "files": gettext_noop("files"),
    "findings": gettext_noop("findings"),
    "fingerprint": gettext_noop("fingerprint"),
    "form": gettext_noop("form"),
    "from_round": gettext_noop("from round"),
    "high": gettext_noop("findings of high risk"),
    "key": gettext_noop("key"),
    "kind": gettext_noop("kind"),
    "kinds": gettext_noop("kinds"),
    "level": gettext_noop("level"),
    "limit": gettext_noop("limit"),
    "message_type": gettext_noop("type of message"),
    "metric": gettext_noop("metric"),
    "model": gettext_noop("hash of the model"),
    "model_in": gettext_noop("hash of the model before"),
    "model_out": gettext_noop("hash of the model after"),
    "name": gettext_noop("name"),
    "new": gettext_noop("new"),
    "not_after": gettext_noop("not after"),
    "number": gettext_noop("number"),
    "old": gettext_noop("old"),
    "people": gettext_noop("people"),
    "permission": gettext_noop("permission"),
    "person": gettext_noop("person"),
    "phase": gettext_noop("phase"),
    "priority": gettext_noop("priority"),
    "quorum": gettext_noop("quorum"),
    "reason": gettext_noop("reason"),
    "recipient": gettext_noop("recipient"),
    "replaces": gettext_noop("replaces version"),
    "role": gettext_noop("role"),
    "role_label": gettext_noop("role in words"),
    "root": gettext_noop("root of the log"),
    "round": gettext_noop("round"),
    "rounds": gettext_noop("rounds"),
    "rows": gettext_noop("rows"),
    "rows_band": gettext_noop("band of rows"),
    "sandbox": gettext_noop("sandbox"),
    "scopes": gettext_noop("scopes"),
    "sha256": gettext_noop("SHA-256 hash"),
    "signed_at": gettext_noop("signed at"),
    "site": gettext_noop("site"),
    "site_name": gettext_noop("name of the site"),
    "sites": gettext_noop("sites"),
    "size": gettext_noop("size in bytes"),
    "state": gettext_noop("state"),
    "strategy": gettext_noop("strategy"),
    "strategy_state": gettext_noop("hash of the strategy's state"),
    "study": gettext_noop("study"),
    "transport": gettext_noop("transport of numbers"),
    "until": gettext_noop("until"),
    "variables": gettext_noop("variables"),
    "version": gettext_noop("version"),
}

OF_ACTION = {("audit:log:succeeded", "size"): gettext_noop("number of events")}

# By fact the words that are the portal's own, which pages translate; others are names, and what people wrote.
WORDS: Mapping[str, Collection[str]] = MappingProxyType(
    {
        "decision": DECISIONS,
        "form": FORMS.values(),
        "kind": KINDS.values(),
        "language": (*LANGUAGES.values(), OF_BROWSER),
        "new": STUDY.states,
        "old": STUDY.states,
        "reason": REASONS,
        "role_label": LABELS.values(),
        "state": DATASET.states,
    }
)


def name_of(fact: str, action: str = "") -> str:
    """What a fact is called, of an action in which it means something else; others are read from their key."""
    known = OF_ACTION.get((action, fact)) or NAMES.get(fact)
    return _(known) if known else fact.replace("_", " ")


def in_words(fact: str, value: str) -> str:
    """A fact as a sentence tells it (`audit.presenters.sentence`)."""
    return _(value) if value in WORDS.get(fact, ()) else value
