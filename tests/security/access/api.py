"""The table's rows for the API: who gets what from every method of every address under /api/v1/."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from fedstudy_core.canonical import digest
from fedstudy_core.keys import public_text
from tests.api.world import ACCOUNT, PASSWORD, VARIABLES, fab, facts, introduction
from tests.security.access import states
from tests.security.access.row import EVERYBODY, STUDY_PEOPLE, Row, constant
from tests.security.access.scene import FILE, Place

HEARTBEAT = {"agent_version": "0.1.0", "sandbox": "S1", "datasets": [], "clock": "2030-01-01T00:00:00Z"}

REFUSED_LOG = {"code": "E_LOG_FORK", "seen": "", "offered": ""}

HOOK = {"url": "https://hook.example.org/in", "kinds": ["run.completed"]}


def row(name: str, method: str, kind: str, may: str = "", *, body: Any = None, **more: Any) -> Row:
    """A row of the API; what would change an archived study is a conflict there."""
    if method != "get" and "archived" not in more:
        more["archived"] = 409
    return Row(f"api:{name}", method, kind, may, body=constant(body), **more)


def of_study(place: Place) -> tuple[Any, ...]:
    return (place.study.pk,)


def of_version(place: Place) -> tuple[Any, ...]:
    return (place.version.pk,)


def nothing(place: Place) -> tuple[Any, ...]:
    """No object stands in the address."""
    return ()


def protocol() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("protocol.md", b"# Second version\n")}


def dictionary() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("dictionary.csv", b"name,type\nage,integer\n")}


def bundle() -> dict[str, Any]:
    return {"bundle": SimpleUploadedFile("tiny.fab", fab("1.0.1"))}


def wreck() -> dict[str, Any]:
    return {"bundle": SimpleUploadedFile("tiny.fab", b"no bundle")}


def approvers(place: Place) -> dict[str, Any]:
    key = public_text(place.keys.approval.public_key())
    return {"approvers": [{"kind": "console", "name": "Ada Admin", "role": "site admin", "key": key}]}


def offered(place: Place) -> dict[str, Any]:
    return facts(str(place.study.pk), fingerprint="e" * 64)


PERSON = [
    row("setup", "post", "", every=403, body={"token": "t" * 30, **ACCOUNT}, quiet=True),
    row("take-up", "post", "", every=403, body={"token": "t" * 30, "name": "New", "password": PASSWORD}, quiet=True),
    row("token", "post", "", every=200, body=lambda place: {"email": place.pi.email, "password": PASSWORD}),
    row("token", "delete", "", EVERYBODY, ok=204),
    row("me", "get", "", EVERYBODY),
    row("me", "patch", "", EVERYBODY, body={"name": "New Name"}),
    row("own-password", "post", "", EVERYBODY, ok=204, body={"current": PASSWORD, "new": f"{PASSWORD} again"}),
    row("own-tokens", "get", "", EVERYBODY),
    row("own-tokens", "post", "", EVERYBODY, ok=201, body={"name": "Notebook", "scopes": ["read"]}),
    row("own-token", "delete", "token", "P", ok=204, make=states.token),
    row("own-factors", "get", "", EVERYBODY),
    row("own-factor", "delete", "factor", "P", ok=204, make=states.factor),
    row("own-identities", "get", "", EVERYBODY),
    row("own-identity", "delete", "identity", "P", ok=204, make=states.identity),
    row("own-sessions", "get", "", EVERYBODY),
    row("own-sessions-end", "post", "", EVERYBODY, ok=204, quiet=True),
    row("own-session", "delete", "session", "P", ok=204, make=states.session),
    row("access-requests", "get", "", EVERYBODY),
    row("access-requests", "post", "", EVERYBODY, ok=403, body={"code": "X", "role": "pi", "reason": "x"}, quiet=True),
    row("access-request", "get", "request", "P0", make=states.requested),
    row("access-accept", "post", "request", "P", make=states.requested, body={}, but={"0": 404}),
    row("access-refuse", "post", "request", "P", make=states.requested, body={"answer": "No."}, but={"0": 404}),
    row("access-withdraw", "post", "request", "0", make=states.requested, but={"P": 404}),
    row("study-join-code", "get", "study", "P", make=states.coded),
    row("study-join-code", "post", "study", "P", ok=201, archived=201),
    row("study-join-code", "delete", "study", "P", ok=204, make=states.coded, archived=204),
    row("site-join-code", "get", "site", "A", make=states.coded_site),
    row("site-join-code", "post", "site", "A", ok=201),
    row("site-join-code", "delete", "site", "A", ok=204, make=states.coded_site),
    row("users", "get", "", "+"),
    row("users", "post", "", "+", ok=201, body=ACCOUNT),
    row("users", "get", "", "+", query=lambda place: "?q=pat&is_active=true"),
    row("user", "get", "user", "+"),
    row("user", "patch", "user", "+", body={"is_active": False}),
    row("user-waiting", "get", "user", "+"),
    row(
        "user-move",
        "post",
        "employee",
        "+",
        body=lambda place: {"origin": str(place.site.pk), "to": states.uninvited()},
    ),
    row("user-factors", "delete", "user", "+", ok=204),
    row("notifications", "get", "", EVERYBODY),
    row("notifications-read", "post", "", EVERYBODY, ok=204, quiet=True),
    row("notification", "post", "notification", "P", make=states.told, quiet=True),
    row("preference", "get", "", EVERYBODY),
    row("preference", "put", "", EVERYBODY, body={"by_email": False}, quiet=True),
    row("openapi", "get", "", every=200),
]
SITES = [
    row("sites", "get", "", EVERYBODY),
    row("sites", "post", "", "+", ok=201, body={"name": "New", "short_name": "new"}),
    row("site", "get", "site", "AS+"),
    row("site-uses", "get", "site", "AS"),
    row("site-people", "get", "site", "AS+"),
    row("site-people", "post", "site", "A", ok=201, body={"user": "stranger@demo.example", "role": "steward"}),
    # only who may give roles learns who has an account
    row(
        "site-people", "post", "site", "A", ok=404, quiet=True, but={"+": 404},  # who knows all accounts
        body={"user": "x@x.example", "role": "steward"},
    ),
    row(
        "site-people", "post", "unled_site", "+", ok=201, make=states.unled_site,
        body={"user": "stranger@demo.example", "role": "admin"},
    ),
    row("site-person", "delete", "site", "A", ok=204, rest=lambda place: (place.steward.pk, "steward")),
    row("site-invitations", "get", "site", "A"),
    row("site-invitations", "post", "site", "A", ok=201, body={"email": "new@demo.example", "role": "steward"}),
    row("site-invitation", "delete", "site", "A", ok=204, rest=lambda place: (states.invited_to_site(place).pk,)),
    row("site-nodes", "get", "site", "AS+"),
    row("site-nodes", "post", "site", "A", ok=201, body={"name": "node-3"}),
    row("nodes", "get", "", EVERYBODY),
    row("node", "get", "node", "AS+"),
    row("platform-health", "get", "", "+"),
    row("platform-queue", "get", "", "+"),
    row("node-token", "post", "node", "A", make=states.expected),
    row(
        "node-confirm",
        "post",
        "node",
        "A",
        make=states.pending,
        body={"words": "not the six words"},
        ok=409,
        quiet=True,
    ),
    row("node-revoke", "post", "node", "AS+", body={}),
]  # fmt: skip
STUDIES = [
    row("studies", "get", "", EVERYBODY),
    # Security 5.2 lets principal investigators alone create studies. One becomes a principal investigator by creating
    # a study, so whoever has no role yet may; so may a co-investigator, who is a researcher with studies of their own.
    row("studies", "post", "", "0PC", ok=201, body={"title": "Another study"}),
    row("studies-without-investigator", "get", "", "+"),
    row("study", "get", "study", STUDY_PEOPLE),
    row("study", "patch", "study", "P", body={"summary": "Four centres"}),
    row("study", "patch", "draft", "PC", make=states.drafted, body={"summary": "Four centres"}),
    row("study-transition", "post", "study", "P", body={"to": "closed"}),
    row("set-up", "get", "study", "PC"),
    row("set-up", "post", "study", "P", body=lambda place: {"sites": [states.uninvited()]}),
    row("set-up", "post", "draft", "P", make=states.drafted, body=lambda place: {"sites": [states.uninvited()]}),
    # who reads a study sees who works in it; a study that nobody leads shows its people to who appoints somebody
    row("study-people", "get", "study", STUDY_PEOPLE),
    row("study-people", "get", "unled", "U+", make=states.unled),
    # roles are given and taken in archived studies too: who may read them changes after their end
    row(
        "study-people", "post", "study", "P", ok=201, archived=201,
        body={"user": "stranger@demo.example", "role": "co_investigator"},
    ),
    row(
        "study-people", "post", "study", "P", ok=404, archived=404, quiet=True,
        body={"user": "x@x.example", "role": "auditor"},
    ),
    row(
        "study-people", "post", "unled", "+", make=states.unled, ok=201,
        body={"user": "stranger@demo.example", "role": "pi"},
    ),
    row(
        "study-person", "delete", "study", "P", ok=204, archived=204,
        rest=lambda place: (place.auditor.pk, "auditor"),
    ),
    row("study-invitations", "get", "study", "P"),
    row(
        "study-invitations", "post", "study", "P", ok=201, archived=201,
        body={"email": "new@demo.example", "role": "auditor"},
    ),
    row(
        "study-invitation", "delete", "study", "P", ok=204, archived=204,
        rest=lambda place: (states.invited_person(place).pk,),
    ),
    row("protocol", "get", "study", STUDY_PEOPLE),
    row("protocol", "post", "study", "P", ok=201, form=True, body=lambda place: protocol()),
    row("protocol-file", "get", "study", STUDY_PEOPLE),
    row("dictionary", "get", "study", STUDY_PEOPLE),
    row("dictionary", "post", "study", "P", ok=201, body={"variables": VARIABLES[:1]}),
    # drafts are seen by those who write them; after the study's own draft only the investigator does
    row("dictionary-draft", "get", "study", "PC"),
    row("dictionary-draft", "put", "study", "P", body={"variables": VARIABLES[:1]}),
    row("dictionary-draft", "put", "draft", "PC", make=states.drafted, body={"variables": VARIABLES[:1]}),
    row("dictionary-draft", "delete", "study", "P", ok=204, make=states.with_dictionary_draft),
    row(
        "dictionary-draft-publish", "post", "study", "P", ok=201, make=states.with_dictionary_draft,
        body={"revision": 1},
    ),
    row("dictionary-file", "get", "study", STUDY_PEOPLE),
    row("dictionary-read", "post", "", EVERYBODY, form=True, body=lambda place: dictionary(), quiet=True),
    row("study-enrolments", "get", "study", STUDY_PEOPLE),
    # who may invite sees the names of all sites, and may invite each of them
    row("study-enrolments", "post", "study", "P", ok=201, body=lambda place: {"site": states.uninvited()}),
    row("invitable-sites", "get", "study", "P"),
    row("study-datasets", "get", "study", STUDY_PEOPLE),
    row("study-degree", "get", "study", STUDY_PEOPLE),
    row("enrolments", "get", "", EVERYBODY),
    row("enrolment", "get", "enrolment", STUDY_PEOPLE),
    row("accept", "post", "enrolment", "A", make=states.invited, body={}, elsewhere={"other_site": 403}),
    row("enrolment-level", "post", "enrolment", "A", body={"level": "F1"}, elsewhere={"other_site": 403}),
    row("decline", "post", "enrolment", "A", make=states.invited, body={}, elsewhere={"other_site": 403}, archived=200),
    # who invites may take an invitation back that nobody has answered
    row(
        "withdraw", "post", "enrolment", "PAS", make=states.invited, body={}, elsewhere={"other_site": 403},
        archived=200,
    ),
    row(
        "withdraw", "post", "enrolment", "AS", body={"reason": "No staff"}, elsewhere={"other_site": 403},
        archived=200,
    ),
]  # fmt: skip
SCRIPTS = [
    row("library", "get", "", EVERYBODY),
    row("study-scripts", "get", "study", STUDY_PEOPLE),
    row("study-scripts", "post", "study", "PC", ok=201, body={"name": "Second"}),
    row("script-versions", "get", "script", STUDY_PEOPLE),
    row("script-versions", "post", "script", "PC", ok=201, form=True, body=lambda place: bundle()),
    # who may not submit does not make the portal build what they sent
    row(
        "script-versions", "post", "script", "PC", ok=400, archived=400, form=True, quiet=True,
        body=lambda place: wreck(),
    ),
    row("version", "get", "version", STUDY_PEOPLE),
    row("version-withdraw", "post", "version", "PC", archived=200),
    row("version-file", "get", "version", STUDY_PEOPLE, query=lambda place: "?path=tiny/client.py"),
    row("version-bundle", "get", "version", STUDY_PEOPLE),
    row("approvals", "get", "version", STUDY_PEOPLE),
    row("changes", "get", "version", STUDY_PEOPLE, make=states.amended),
    row(
        "changes", "get", "version", STUDY_PEOPLE, fixed=of_version, ok=404,
        query=lambda place: f"?against={place.version.pk}",
    ),
    row("threads", "get", "version", STUDY_PEOPLE),
    row("threads", "post", "version", "PCAS", ok=201, body={"text": "Why?", "path": "tiny/client.py"}),
    row("checklist", "get", "version", STUDY_PEOPLE),
    row("checklist", "put", "version", "AS", body=lambda place: {"site": str(place.site.pk), "items": ["purpose"]}),
    row("thread", "get", "thread", STUDY_PEOPLE, make=states.asked),
    # whoever writes on the study's scripts may answer and close any question on them, also another site's
    row("thread-comments", "post", "thread", "PCAS", ok=201, make=states.asked, body={"text": "Because."}),
    row("thread-resolve", "post", "thread", "PCAS", make=states.asked),
    row("thread-reopen", "post", "thread", "PCAS", make=states.resolved),
]  # fmt: skip
RUNS = [
    row("search", "get", "", EVERYBODY, query=lambda place: "?q=heart"),
    row("strategies", "get", "", EVERYBODY),
    row("study-runs", "get", "study", STUDY_PEOPLE),
    row(
        "study-runs", "post", "study", "P", ok=201,
        body=lambda place: {"version": str(place.version.pk), "rounds": 2},
    ),
    row(
        "study-runs", "post", "version", "P", ok=201, fixed=of_study, archived=400,
        body=lambda place: {"version": str(place.version.pk), "rounds": 2},
    ),
    row("study-comparison", "get", "study", STUDY_PEOPLE, query=lambda place: f"?runs={states.two_runs(place)}"),
    row("run", "get", "run", STUDY_PEOPLE),
    row("run-start", "post", "run", "P"),
    row("run-pause", "post", "run", "P", make=states.started, body={"at_once": True}, archived=200),
    row("run-resume", "post", "run", "P", make=states.paused),
    row("run-fork", "post", "run", "P", ok=201, body={"round": 0}),
    row("run-priority", "post", "run", "P", body={"priority": "high"}),
    row("run-stop", "post", "run", "P", body={"reason": "Enough"}, archived=200),
    row("run-schedules", "post", "run", "P", ok=201, body={"kind": "ready", "sites_needed": 1}),
    row("study-webhooks", "get", "study", "P"),
    row("study-webhooks", "post", "study", "P", ok=201, body=HOOK),
    row("webhook", "get", "webhook", "P", make=states.webhook),
    row("webhook", "patch", "webhook", "P", make=states.webhook, body={"kinds": ["run.failed"]}),
    row("webhook", "delete", "webhook", "P", ok=204, make=states.webhook),
    row("webhook-enable", "post", "webhook", "P", make=states.webhook_off),
    row("webhook-disable", "post", "webhook", "P", make=states.webhook),
    row("webhook-rotate", "post", "webhook", "P", make=states.webhook),
    row("webhook-test", "post", "webhook", "P", ok=201, make=states.webhook),
    row("webhook-deliveries", "get", "webhook", "P", make=states.webhook),
    row("delivery-repeat", "post", "webhook", "P", make=states.delivery),
    row("study-schedules", "get", "study", STUDY_PEOPLE),
    row("schedule", "get", "schedule", STUDY_PEOPLE, make=states.scheduled),
    row("schedule-suspend", "post", "schedule", "P", make=states.scheduled, archived=200),
    row("schedule-resume", "post", "schedule", "P", make=states.suspended),
    row("schedule-end", "post", "schedule", "P", make=states.scheduled, archived=200),
    row("study-degree-comparisons", "get", "study", STUDY_PEOPLE),
    row(
        "study-degree-comparisons", "post", "study", "P", ok=201,
        body=lambda place: {"version": str(place.version.pk), "rounds": 2},
    ),
    row(
        "study-degree-comparisons", "post", "version", "P", ok=201, fixed=of_study, archived=400,
        body=lambda place: {"version": str(place.version.pk), "rounds": 2},
    ),
    row("run-degree-comparisons", "post", "run", "P", ok=201, body={"start": False}),
    row("degree-comparison", "get", "degrees", STUDY_PEOPLE, make=states.compared),
    row("degree-comparison-start", "post", "degrees", "P", make=states.compared),
    row("run-rounds", "get", "run", STUDY_PEOPLE),
    row("run-results", "get", "run", STUDY_PEOPLE),
    row("run-events", "get", "run", STUDY_PEOPLE),
    row("run-files", "get", "run", STUDY_PEOPLE),
    row("run-model", "get", "run", "P"),
    row("run-file", "get", "run", "P", rest=lambda place: (digest(FILE),)),
    row("run-dossier", "get", "run", STUDY_PEOPLE, make=states.ended),
    row("run-card", "get", "run", STUDY_PEOPLE),
    row("run-card", "put", "run", "P", body={"caveats": "Few women"}),
    row("run-card-text", "get", "run", STUDY_PEOPLE),
    row("run-releases", "get", "run", STUDY_PEOPLE),
    row(
        "run-releases", "post", "run", "P", ok=201, make=states.ended,
        body={"recipient": "A registry", "purpose": "To predict elsewhere"},
    ),
    row("release", "get", "release", STUDY_PEOPLE, make=states.asked_for),
    # the sites' data stewards decide what leaves, not their admins
    row(
        "release-cosign", "post", "release", "S", make=states.asked_for,
        body=lambda place: {"site": str(place.site.pk)},
    ),
    row(
        "release-refuse", "post", "release", "S", make=states.asked_for,
        body=lambda place: {"site": str(place.site.pk), "reason": "Too few rows"},
    ),
    row("release-withdraw", "post", "release", "P", make=states.asked_for, body={}),
    row("release-model", "get", "release", "P", make=states.released),
    row("events", "get", "", EVERYBODY),
    row("event-proof", "get", "event", "PU"),
    row("log", "get", "", EVERYBODY),
    row("witnesses", "get", "", EVERYBODY),
    row("log-consistency", "get", "", EVERYBODY, query=lambda place: "?old=1&new=2"),
]  # fmt: skip
POOLING = [
    row("study-pool", "get", "study", STUDY_PEOPLE),
    row("study-pool", "put", "study", "P", body=lambda place: {"node": str(place.node.pk)}),
    # what a site shares is ended at any time
    row("study-pool", "delete", "study", "P", ok=204, make=states.with_pool_node, archived=204),
    row("study-pool-consents", "get", "study", STUDY_PEOPLE),
    row("pool-consent", "get", "poolconsent", STUDY_PEOPLE, make=states.consented),
    row("pool-consent-revoke", "post", "poolconsent", "AS", make=states.consented, body={}, archived=200),
    row("pool-consent-delete", "post", "poolconsent", "AS", make=states.consented, body={}, archived=200),
    row("pool-consent-runs", "get", "poolconsent", STUDY_PEOPLE, make=states.consented),
]
NODES = [
    row("node-enrol", "post", "", every=403, body=lambda place: introduction("t" * 30), quiet=True),
    row("node-heartbeat", "post", "", "N", body=HEARTBEAT, quiet=True),
    row("node-log", "get", "", "N"),
    row("node-cosignatures", "post", "", "N", ok=204, body=states.cosignature, quiet=True),
    row("node-log-refusals", "post", "", "N", ok=204, body=REFUSED_LOG, quiet=True),
    row("node-self", "get", "", "N"),
    row("node-rotate", "post", "", "N", body=states.rotation),
    row("node-studies", "get", "", "N"),
    row("node-datasets", "post", "study", "N", ok=201, fixed=lambda place: (), body=offered),
    row("node-scripts", "get", "", "N"),
    row("node-bundle", "get", "version", "N"),
    row("node-approvers", "put", "", "N", ok=204, body=approvers, quiet=True),
    row("node-events", "get", "", "N"),
    row(
        "node-approvals", "post", "version", "N", ok=201, fixed=lambda place: (),
        body=lambda place: {
            "version": str(place.version.pk),
            "dataset": str(place.dataset.pk),
            "envelope": place.envelope(nonce="m" * 20, sequence=2),
        },
    ),
    row("node-pool-keys", "get", "", "N"),
    row("node-pool-keys", "post", "", "N", ok=201, make=states.keyed, fixed=nothing, body=states.pool_key),
    row("node-pool-offer", "get", "study", "N", make=states.with_pool_node),
    row("node-pool-consents", "post", "", "N", ok=201, make=states.consenting, fixed=nothing, body=states.pool_consent),
    row("node-pool-objects", "get", "", "N"),
    row("node-pool-objects", "post", "", "N", ok=201, make=states.agreed, fixed=nothing, body=states.pool_manifest),
    row(
        "node-pool-revocations", "post", "", "N", ok=204, make=states.agreed, fixed=nothing,
        body=states.pool_revocation,
    ),
    row("node-pool-deletions", "post", "", "N", ok=204, make=states.agreed, fixed=nothing, body=states.pool_deletion),
    # a site takes its word back at any time
    row("node-revocation", "post", "approval", "N", ok=204, body=states.revocation, elsewhere={"archived": 204}),
]  # fmt: skip
ROWS = [*PERSON, *SITES, *STUDIES, *SCRIPTS, *RUNS, *POOLING, *NODES]
