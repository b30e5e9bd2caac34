"""The table's rows for the pages: who gets what from every method of every address outside of the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from fedstudy_core.canonical import dumps
from tests.api.world import ACCOUNT, PASSWORD, VARIABLES, fab
from tests.security.access import states
from tests.security.access.row import EVERYBODY, STUDY_PEOPLE, Row, constant


def show(name: str, kind: str, may: str = STUDY_PEOPLE, **more: Any) -> Row:
    """A page to read."""
    return Row(f"web:{name}", "get", kind, may, **more)


def send(name: str, kind: str, may: str, body: Any = None, **more: Any) -> Row:
    """A form that is sent; what does not fit an archived study is said at the form."""
    return Row(f"web:{name}", "post", kind, may, **{"ok": 302, "archived": 400, **more}, body=constant(body))


def press(name: str, kind: str, may: str, body: Any = None, **more: Any) -> Row:
    """A button; it leads back to its page, which says what became of it."""
    return Row(f"web:{name}", "post", kind, may, **{"ok": 302, **more}, body=constant(body))


def of(verb: str) -> Callable[[Any], tuple[Any, ...]]:
    """The verb that ends an address."""
    return lambda place: (verb,)


HOOK = {"url": "https://hook.example.org/in", "kinds": ["run.completed"]}
PLAN = {"strategy": "fedavg", "rounds": "2", "deadline_s": "60", "wait_s": "0", "parameter:learning-rate": "0.5"}


def dictionary() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("dictionary.json", dumps({"variables": VARIABLES[:1]}))}


def protocol() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("protocol.md", b"# Second version\n")}


def script() -> dict[str, Any]:
    return {"name": "Second", "bundle": SimpleUploadedFile("tiny.fab", fab("1.0.1"))}


def listen(place: Any, kind: str) -> str:
    """What a page asks to hear of."""
    return f"?about={kind}:{getattr(place, kind).pk}"


ROWS = [
    Row("healthz", "get", "", every=200),
    Row("web:sign-in", "get", "", EVERYBODY, ok=302, but={"-": 200, "N": 200}),
    Row("web:sign-in", "post", "", EVERYBODY, ok=302, but={"-": 200, "N": 200}, quiet=True),
    # only between password and second factor there is something to see
    Row("web:sign-in-factor", "get", "", every=302),
    Row("web:sign-in-factor", "post", "", every=302, quiet=True),
    Row("web:sign-in-set-up", "get", "", every=302),
    Row("web:sign-in-set-up", "post", "", every=302, quiet=True),
    Row("web:sign-in-passkey", "post", "", every=302, quiet=True),
    Row("web:passkey-options", "get", "", every=200, fixed=lambda place: ("sign-in",)),
    Row("web:passkey-options", "get", "", EVERYBODY, but={"-": 404, "N": 404}, fixed=lambda place: ("new",)),
    # the tests' portal has no single sign-on
    Row("web:sso", "get", "", EVERYBODY, ok=302, but={"-": 404, "N": 404}),
    Row("web:sso-back", "get", "", every=404),
    show("account-sso", "", EVERYBODY),
    Row("web:account-sso-link", "post", "", EVERYBODY, ok=404, quiet=True),
    press("account-sso-unlink", "identity", "P", make=states.identity),
    Row("web:invitation", "get", "", every=403),
    Row("web:invitation", "post", "", every=403, quiet=True),
    Row("web:sign-out", "post", "", every=302, quiet=True),
    show("account", "", EVERYBODY),
    send("account", "", EVERYBODY, {"name": "New Name"}),
    press("account-time-zone", "", EVERYBODY, {"time_zone": "Europe/Zurich"}),
    press("account-language", "", EVERYBODY, {"language": "en"}),
    show("access", "", EVERYBODY),
    send("access", "", EVERYBODY, {"code": "X"}, ok=400, quiet=True),
    press("access-accept", "request", "P", make=states.requested, but={"0": 404}),
    press("access-refuse", "request", "P", {"answer": "No."}, make=states.requested, but={"0": 404}),
    press("access-withdraw", "request", "0", make=states.requested, but={"P": 404}),
    press("study-join-code", "study", "P", {"verb": "make"}, archived=302),
    press("site-join-code", "site", "A", {"verb": "make"}),
    show("account-password", "", EVERYBODY),
    send("account-password", "", EVERYBODY, {"current": PASSWORD, "new": f"{PASSWORD} again"}),
    show("account-factors", "", EVERYBODY),
    send("account-factors", "", EVERYBODY, {"code": "wrong"}, ok=400, quiet=True),
    press("account-factor-remove", "factor", "P", make=states.factor),
    press("account-recovery", "", EVERYBODY, quiet=True),
    show("account-tokens", "", EVERYBODY),
    send("account-tokens", "", EVERYBODY, {"name": "Notebook", "scopes": ["read"], "days": "30"}, ok=201),
    press("account-token-revoke", "token", "P", make=states.token),
    show("account-sessions", "", EVERYBODY),
    press("account-sessions-end", "", EVERYBODY, quiet=True),
    press("account-session-end", "session", "P", make=states.session),
    Row("web:styleguide", "get", "", every=200),
    Row("web:studies-listed", "get", "", every=302),
    show("studies", "", EVERYBODY),
    show("study-new", "", "0PC"),
    send("study-new", "", "0PC", {"title": "Another study"}),
    show("study", "study"),
    press("study-transition", "study", "P", {"to": "closed"}),
    show("study-set-up", "study", "PC"),
    show("study-set-up-step", "study", "PC", rest=of("protocol")),
    send("study-set-up-step", "draft", "PC", {"title": "Renamed"}, make=states.drafted, rest=of("words")),
    send("study-set-up-step", "draft", "PC", lambda place: protocol(), make=states.drafted, rest=of("protocol")),
    send(
        "study-set-up-step", "draft", "P", lambda place: {"sites": [states.uninvited()], "level": "F2"},
        make=states.drafted, rest=of("sites"),
    ),
    send("study-set-up-step", "study", "P", {"title": "Renamed"}, rest=of("words")),
    show("study-dictionary", "study"),
    show("dictionary-file", "study"),
    # who writes dictionaries reads files of them; nothing is saved by that
    show("dictionary-new", "study", "PC"),
    send("dictionary-new", "study", "PC", lambda place: dictionary(), ok=200, archived=200, quiet=True),
    show("dictionary-draft", "study", "PC"),
    *(
        press("dictionary-draft-change", "draft", "PC", body, make=states.drafted, rest=verb)
        for body, verb in (
            ({"name": "weight", "type": "number", "required": "yes", "identifier": "no", "position": "1"}, of("save")),
            ({"down": VARIABLES[0]["name"]}, of("move")),
            ({"remove": VARIABLES[0]["name"]}, of("remove")),
            ({"variables": json.dumps(VARIABLES[:1])}, of("take")),
        )
    ),
    # after the draft only the principal investigator changes the design
    press(
        "dictionary-draft-change", "study", "P", {"variables": json.dumps(VARIABLES[:1]), "publish": "yes"},
        rest=of("take"),
    ),
    press(
        "dictionary-draft-change", "study", "P", {"revision": "1"}, make=states.with_dictionary_draft,
        rest=of("publish"),
    ),
    press("dictionary-draft-change", "study", "P", make=states.with_dictionary_draft, rest=of("discard")),
    show("study-protocol", "study"),
    show("protocol-file", "study", rest=lambda place: (1,)),
    show("protocol-new", "study", "PC"),
    send("protocol-new", "study", "P", lambda place: protocol()),
    show("study-investigator", "unled", "+", make=states.unled, but={"U": 404}),
    send("study-investigator", "unled", "+", {"email": "stranger@demo.example"}, make=states.unled, but={"U": 404}),
    # a study with an investigator has no such page, for nobody
    show("study-investigator", "study", "", but=dict.fromkeys(STUDY_PEOPLE, 404)),
    show("study-people", "study"),
    send("study-people", "study", "P", {"email": "stranger@demo.example", "role": "auditor"}, archived=302),
    press("study-role-revoke", "study", "P", rest=lambda place: (place.auditor.pk, "auditor"), archived=302),
    show("study-invitations", "study", "P"),
    send("study-invitations", "study", "P", {"email": "new@demo.example", "role": "auditor"}, ok=201, archived=201),
    press(
        "study-invitation-revoke", "study", "P", rest=lambda place: (states.invited_person(place).pk,), archived=302
    ),
    # co-investigators read no log: security 5.2
    show("study-events", "study", "PUAS"),
    show("study-events", "study", "PUAS", query=lambda place: "?form=csv"),
    show("study-events", "study", "PUAS", query=lambda place: "?form=jsonl"),
    show("study-events", "study", "PUAS", query=lambda place: "?form=proof"),
    show("enrolment-new", "study", "P"),
    send("enrolment-new", "study", "P", lambda place: {"site": states.uninvited(), "level": "F2"}),
    show("enrolment", "enrolment"),
    press(
        "enrolment-answer", "enrolment", "A", {}, make=states.invited, rest=lambda place: ("accept",),
        elsewhere={"other_site": 403},
    ),
    press(
        "enrolment-answer", "enrolment", "A", {}, make=states.invited, rest=lambda place: ("decline",), archived=302,
        elsewhere={"other_site": 403},
    ),
    press("enrolment-level", "enrolment", "A", {"level": "F1"}, elsewhere={"other_site": 403}),
    press(
        "enrolment-answer", "enrolment", "AS", {}, rest=lambda place: ("withdraw",), archived=302,
        elsewhere={"other_site": 403},
    ),
    show("script-new", "study", "PC"),
    send("script-new", "study", "PC", lambda place: script()),
    show("version", "version"),
    press("version-withdraw", "version", "PC", archived=302),
    show("version-source", "version"),
    show("version-changes", "version"),
    show("version-review", "version"),
    press("thread-new", "version", "PCAS", {"kind": "question", "text": "Why?"}, archived=400),
    press("thread", "thread", "PCAS", {"text": "So."}, make=states.asked, rest=lambda place: ("answer",)),
    press("thread", "thread", "PCAS", make=states.asked, rest=lambda place: ("resolve",)),
    press("thread", "thread", "PCAS", make=states.resolved, rest=lambda place: ("reopen",)),
    press("checklist", "version", "AS", lambda place: {"site": str(place.site.pk), "items": "purpose"}),
    show("run-new", "study", "P"),
    send("run-new", "study", "P", lambda place: {"version": str(place.version.pk), **PLAN}),
    show("run-compare", "study"),
    show("study-degrees", "study"),
    show("degree-comparison", "degrees", make=states.compared),
    press("degree-comparison-start", "degrees", "P", make=states.compared),
    press("run-degrees", "run", "P"),
    show("run", "run"),
    show("run-rounds", "run"),
    show("run-model", "run", "P"),
    show("run-export", "run", rest=lambda place: ("results.csv",)),
    show("run-export", "run", rest=lambda place: ("subgroups.csv",)),
    show("run-export", "run", rest=lambda place: ("rounds.csv",)),
    show("run-export", "run", rest=lambda place: ("run.json",)),
    show("run-dossier", "run", make=states.ended),
    press("run-start", "run", "P"),
    press("run-pause", "run", "P", make=states.started, archived=302),
    press("run-resume", "run", "P", make=states.paused),
    press("run-priority", "run", "P", {"priority": "high"}),
    press("run-stop", "run", "P", archived=302),
    show("run-fork", "run", "P"),
    send("run-fork", "run", "P", lambda place: {"version": str(place.version.pk), **PLAN}),
    show("run-card", "run"),
    show("run-card", "run", query=lambda place: "?form=json"),
    show("run-card", "run", query=lambda place: "?form=md"),
    show("run-card-words", "run", "P"),
    send("run-card-words", "run", "P", {"caveats": "Few women"}),
    show("run-release", "run", "P"),
    send(
        "run-release", "run", "P", {"round_number": "0", "recipient": "A registry", "purpose": "To predict"},
        make=states.ended,
    ),
    show("study-pool", "study"),
    show("study-pool-node", "study", "P"),
    send("study-pool-node", "study", "P", lambda place: {"node": str(place.node.pk)}),
    press("study-pool-end", "study", "P", make=states.with_pool_node, archived=302),
    show("pool-consent", "poolconsent", make=states.consented),
    press("pool-consent-revoke", "poolconsent", "AS", make=states.consented, archived=302),
    press("pool-consent-delete", "poolconsent", "AS", make=states.consented, archived=302),
    show("release", "release", make=states.asked_for),
    show("release-model", "release", "P", make=states.released),
    *(
        press(
            "release-answer", "release", "S", lambda place: {"site": str(place.site.pk), "reason": "Too few rows"},
            make=states.asked_for, rest=of(verb),
        )
        for verb in ("cosign", "refuse")
    ),
    press("release-answer", "release", "P", make=states.asked_for, rest=of("withdraw")),
    show("schedule-new", "run", "P"),
    send("schedule-new", "run", "P", {"kind": "ready", "sites_needed": "1"}),
    show("study-schedules", "study"),
    show("study-webhooks", "study", "P"),
    send("study-webhooks", "study", "P", HOOK, ok=201),
    show("webhook", "webhook", "P", make=states.webhook),
    show("webhook-edit", "webhook", "P", make=states.webhook),
    send("webhook-edit", "webhook", "P", HOOK, make=states.webhook),
    press("webhook-rotate", "webhook", "P", make=states.webhook, ok=200, archived=302),
    press("webhook-change", "webhook", "P", make=states.webhook, rest=of("test")),
    press("webhook-change", "webhook", "P", make=states.webhook, rest=of("disable")),
    press("webhook-change", "webhook", "P", make=states.webhook_off, rest=of("enable")),
    press("webhook-change", "webhook", "P", make=states.webhook, rest=of("remove")),
    press("delivery-repeat", "webhook", "P", make=states.delivery),
    press("schedule", "schedule", "P", make=states.scheduled, rest=lambda place: ("suspend",), archived=302),
    press("schedule", "schedule", "P", make=states.suspended, rest=lambda place: ("resume",)),
    press("schedule", "schedule", "P", make=states.scheduled, rest=lambda place: ("end",), archived=302),
    show("sites", "", EVERYBODY),
    show("site-new", "", "+"),
    send("site-new", "", "+", {"name": "New", "short_name": "new"}),
    show("site", "site", "AS+"),
    show("site-uses", "site", "AS"),
    show("site-uses", "site", "AS", query=lambda place: "?form=csv"),
    show("site-people", "site", "AS+"),
    send("site-people", "site", "A", {"email": "stranger@demo.example", "role": "steward"}),
    send(
        "site-people", "unled_site", "+", {"email": "stranger@demo.example", "role": "admin"}, make=states.unled_site
    ),
    # administrators appoint on a page of their own, and see no others of the study
    send(
        "study-people", "unled", "", {"email": "stranger@demo.example", "role": "pi"}, make=states.unled,
        but={"+": 404},
    ),
    show("site-invitations", "site", "A"),
    send("site-invitations", "site", "A", {"email": "new@demo.example", "role": "steward"}, ok=201),
    press("site-invitation-revoke", "site", "A", rest=lambda place: (states.invited_to_site(place).pk,)),
    press("site-role-revoke", "site", "A", rest=lambda place: (place.steward.pk, "steward")),
    send("node-new", "site", "A", {"name": "second"}, ok=201),
    send("node-token", "node", "A", make=states.expected, ok=201),
    press("node-confirm", "node", "A", {"words": "x"}, make=states.pending, quiet=True),
    press("node-revoke", "node", "AS+"),
    show("platform", "", "+"),
    show("platform-people", "", "+"),
    show("platform-person", "user", "+"),
    show("platform-person-new", "", "+"),
    send("platform-person-new", "", "+", ACCOUNT),
    press("platform-person-close", "user", "+"),
    press("platform-person-reopen", "closed", "+", make=states.closed),
    press("platform-person-factors", "user", "+"),
    show("platform-person-move", "employee", "+"),
    send(
        "platform-person-move", "employee", "+", lambda place: {"origin": str(place.site.pk), "to": states.uninvited()}
    ),
    show("platform-nodes", "", "+"),
    show("platform-queue", "", "+"),
    show("notifications", "", EVERYBODY),
    press("notifications-read", "", EVERYBODY, quiet=True),
    show("notification-settings", "", EVERYBODY),
    press("notification-settings", "", EVERYBODY, {"page": ["question"]}, quiet=True),
    press("notifications-email", "", EVERYBODY, quiet=True),
    press("notification", "notification", "P", make=states.told, quiet=True),
    show("bell", "", EVERYBODY),
    show("search", "", EVERYBODY, query=lambda place: "?q=heart"),
    *[
        # a server of the tests' kind streams nothing, and says so to those who may listen
        Row("web:live", "get", kind, may, ok=204, query=lambda place, kind=kind: listen(place, kind),
            fixed=lambda place: (), but={"-": 401, "N": 401})
        for kind, may in (("run", STUDY_PEOPLE), ("study", STUDY_PEOPLE), ("site", "AS+"))
    ],
    show("events", "", EVERYBODY),
    show("witnesses", "", EVERYBODY),
    show("event", "event", "PU"),
    show("study-timeline", "study", "PUAS"),
    show("events", "", EVERYBODY, query=lambda place: "?form=csv"),
    show("events", "", EVERYBODY, query=lambda place: "?form=jsonl"),
    show("events", "", EVERYBODY, query=lambda place: "?form=proof"),
]  # fmt: skip
