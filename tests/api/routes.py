"""Every route of the API, what a right request to it is, and what each kind of person gets.

The table is complete: a route that is not in it fails `test_access.test_every_route_is_in_the_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from portal.api.urls import urlpatterns
from tests.api.run_states import paused, prepared, scheduled, started, suspended
from tests.api.world import PASSWORD, VARIABLES, NodeKeys, World, enrolled_node, fab

PEOPLE = ("anonymous", "stranger", "pi", "site_admin", "auditor", "admin")
METHODS = ("get", "post", "put", "patch", "delete")
Json = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One method of one address.

    Attributes:
        expected: the status for each of PEOPLE, in that order.
        address: below /api/v1/, with the world's ids.
        body: a request that is right for somebody who may make it.
        form: whether it is sent as a form instead of JSON.
    """

    name: str
    method: str
    expected: tuple[int, ...]
    address: Callable[[World], str]
    body: Callable[[World], Json] | None = None
    form: bool = False


def route(
    name: str,
    method: str,
    expected: str,
    address: Callable[[World], str] | str,
    body: Callable[[World], Json] | Json | None = None,
    *,
    form: bool = False,
) -> Route:
    statuses = tuple(int(status) for status in expected.split())
    assert len(statuses) == len(PEOPLE), name
    make_address = address if callable(address) else lambda world: address
    make_body = body if callable(body) or body is None else lambda world: body
    return Route(name, method, statuses, make_address, make_body, form)


def pending_node(world: World) -> Any:
    return enrolled_node(world.site, "node-2", NodeKeys(), world.site_admin)


def another_site(world: World) -> str:
    from accounts.services import create_site

    return str(create_site(name="Hungarian Institute", short_name="hungary", by=world.admin).pk)


def invited(world: World) -> str:
    """An enrolment that waits for the site's answer."""
    from studies.enrolment.services import invite_site, withdraw_site

    withdraw_site(enrolment=world.enrolment, by=world.site_admin)
    return str(invite_site(study=world.study, site=world.site, by=world.pi).pk)


def amended(world: World) -> str:
    """The world's script in a second version."""
    from studies.scripts.services import submit_version

    return str(submit_version(script=world.script, bundle=fab("1.0.2"), by=world.pi).pk)


def asked(world: World) -> Any:
    """A question of the site on the world's version."""
    from studies.scripts.reviews import open_thread

    return open_thread(version=world.version, text="Why?", by=world.site_admin)


def resolved(world: World) -> Any:
    """A question that was answered."""
    from studies.scripts.reviews import resolve_thread

    return resolve_thread(thread=asked(world), by=world.pi)


def told(world: World) -> str:
    """Something that the investigator was told."""
    from notifications.models import Notification
    from notifications.services import notify

    notify(people=[world.pi], kind="question", subject="Why?", link="/", key="test")
    return str(Notification.objects.get(key="test").pk)


def bundle_form(world: World) -> Json:
    return {"bundle": SimpleUploadedFile("tiny.fab", fab("1.0.1"))}


def protocol_form(world: World) -> Json:
    return {"file": SimpleUploadedFile("protocol.md", b"# Second version\n")}


def study(rest: str = "") -> Callable[[World], str]:
    return lambda world: f"studies/{world.study.pk}{rest}"


def site(rest: str = "") -> Callable[[World], str]:
    return lambda world: f"sites/{world.site.pk}{rest}"


def version(rest: str = "") -> Callable[[World], str]:
    return lambda world: f"script-versions/{world.version.pk}{rest}"


def run(rest: str = "") -> Callable[[World], str]:
    return lambda world: f"runs/{world.run.pk}{rest}"


ACCOUNT = {"email": "new@demo.example", "name": "New Person", "password": PASSWORD}
PERSON_ROUTES = [
    #                            anonymous stranger pi site_admin auditor admin
    route("setup", "post", "403 403 403 403 403 403", "setup", {"token": "t" * 30, **ACCOUNT}),
    route(
        "token",
        "post",
        "200 200 200 200 200 200",
        "auth/token",
        lambda world: {"email": world.pi.email, "password": PASSWORD},
    ),
    route("token", "delete", "401 204 204 204 204 204", "auth/token"),
    route("me", "get", "401 200 200 200 200 200", "me"),
    route("users", "get", "401 403 403 403 403 200", "users"),
    route("users", "post", "401 403 403 403 403 201", "users", ACCOUNT),
    route("user", "get", "401 404 404 404 404 200", lambda world: f"users/{world.pi.pk}"),
    route("user", "patch", "401 404 404 404 404 200", lambda world: f"users/{world.pi.pk}", {"is_active": False}),
]
NOTIFICATION_ROUTES = [
    route("notifications", "get", "401 200 200 200 200 200", "notifications"),
    route("notifications-read", "post", "401 204 204 204 204 204", "notifications/read"),
    route("notification", "post", "401 404 200 404 404 404", lambda world: f"notifications/{told(world)}/read"),
    route("preference", "get", "401 200 200 200 200 200", "notifications/preference"),
    route("preference", "put", "401 200 200 200 200 200", "notifications/preference", {"by_email": False}),
]
SITE_ROUTES = [
    route("sites", "get", "401 200 200 200 200 200", "sites"),
    route("sites", "post", "401 403 403 403 403 201", "sites", {"name": "New", "short_name": "new"}),
    route("site", "get", "401 404 404 200 404 200", site()),
    route("site-people", "get", "401 404 404 200 404 200", site("/people")),
    route(
        "site-people",
        "post",
        "401 404 404 201 404 403",
        site("/people"),
        {"user": "stranger@demo.example", "role": "steward"},
    ),
    # the last site admin stays
    route(
        "site-person",
        "delete",
        "401 404 404 409 404 403",
        lambda world: f"sites/{world.site.pk}/people/{world.site_admin.pk}/admin",
    ),
    route("site-nodes", "get", "401 404 404 200 404 200", site("/nodes")),
    route("site-nodes", "post", "401 404 404 201 404 403", site("/nodes"), {"name": "node-3"}),
    route("node", "get", "401 404 404 200 404 200", lambda world: f"nodes/{world.node.pk}"),
    route("node-token", "post", "401 404 404 409 404 403", lambda world: f"nodes/{world.node.pk}/token"),
    route(
        "node-confirm",
        "post",
        "401 404 404 409 404 403",
        lambda world: f"nodes/{pending_node(world).pk}/confirm",
        {"words": "not the six words at all"},
    ),
    route("node-revoke", "post", "401 404 404 200 404 200", lambda world: f"nodes/{world.node.pk}/revoke", {}),
]
STUDY_ROUTES = [
    route("studies", "get", "401 200 200 200 200 200", "studies"),
    route("studies", "post", "401 201 201 403 403 403", "studies", {"title": "Another study"}),
    route("studies-without-investigator", "get", "401 403 403 403 403 200", "studies/without-investigator"),
    route("study", "get", "401 404 200 200 200 404", study()),
    route("study", "patch", "401 404 200 403 403 404", study(), {"summary": "Four centres"}),
    route("study-transition", "post", "401 404 200 403 403 404", study("/transition"), {"to": "closed"}),
    route("study-people", "get", "401 404 200 200 200 404", study("/people")),
    route(
        "study-people",
        "post",
        "401 404 201 403 403 404",
        study("/people"),
        {"user": "stranger@demo.example", "role": "co_investigator"},
    ),
    route(
        "study-person",
        "delete",
        "401 404 204 403 403 404",
        lambda world: f"studies/{world.study.pk}/people/{world.auditor.pk}/auditor",
    ),
    route("protocol", "get", "401 404 200 200 200 404", study("/protocol")),
    route("protocol", "post", "401 404 201 403 403 404", study("/protocol"), protocol_form, form=True),
    route("protocol-file", "get", "401 404 200 200 200 404", study("/protocol/file")),
    route("dictionary", "get", "401 404 200 200 200 404", study("/dictionary")),
    route("dictionary", "post", "401 404 201 403 403 404", study("/dictionary"), {"variables": VARIABLES[:1]}),
    route("study-enrolments", "get", "401 404 200 200 200 404", study("/enrolments")),
    route(
        "study-enrolments",
        "post",
        "401 404 201 403 403 404",
        study("/enrolments"),
        lambda world: {"site": another_site(world), "level": "F2"},
    ),
    route("invitable-sites", "get", "401 404 200 403 403 404", study("/invitable-sites")),
    route("study-datasets", "get", "401 404 200 200 200 404", study("/datasets")),
    route("enrolments", "get", "401 200 200 200 200 200", "enrolments"),
    route("enrolment", "get", "401 404 200 200 200 404", lambda world: f"enrolments/{world.enrolment.pk}"),
    route("accept", "post", "401 404 403 200 403 404", lambda world: f"enrolments/{invited(world)}/accept", {}),
    route("decline", "post", "401 404 403 200 403 404", lambda world: f"enrolments/{invited(world)}/decline", {}),
    route(
        "withdraw",
        "post",
        "401 404 403 200 403 404",
        lambda world: f"enrolments/{world.enrolment.pk}/withdraw",
        {"reason": "No staff"},
    ),
]
SCRIPT_ROUTES = [
    route("library", "get", "401 200 200 200 200 200", "library"),
    route("study-scripts", "get", "401 404 200 200 200 404", study("/scripts")),
    route("study-scripts", "post", "401 404 201 403 403 404", study("/scripts"), {"name": "Second"}),
    route("script-versions", "get", "401 404 200 200 200 404", lambda world: f"scripts/{world.script.pk}/versions"),
    route(
        "script-versions",
        "post",
        "401 404 201 403 403 404",
        lambda world: f"scripts/{world.script.pk}/versions",
        bundle_form,
        form=True,
    ),
    route("version", "get", "401 404 200 200 200 404", version()),
    route("version-withdraw", "post", "401 404 200 403 403 404", version("/withdraw")),
    route("version-file", "get", "401 404 200 200 200 404", version("/files?path=tiny/client.py")),
    route("version-bundle", "get", "401 404 200 200 200 404", version("/bundle")),
    route("approvals", "get", "401 404 200 200 200 404", version("/approvals")),
    route("changes", "get", "401 404 200 200 200 404", lambda world: f"script-versions/{amended(world)}/changes"),
    route("threads", "get", "401 404 200 200 200 404", version("/threads")),
    route(
        "threads", "post", "401 404 201 201 403 404", version("/threads"), {"text": "Why?", "path": "tiny/client.py"}
    ),
    route("checklist", "get", "401 404 200 200 200 404", version("/checklist")),
    route(
        "checklist",
        "put",
        "401 404 404 200 404 404",
        version("/checklist"),
        lambda world: {"site": str(world.site.pk), "items": ["purpose"]},
    ),
    route("thread", "get", "401 404 200 200 200 404", lambda world: f"review-threads/{asked(world).pk}"),
    route(
        "thread-comments",
        "post",
        "401 404 201 201 403 404",
        lambda world: f"review-threads/{asked(world).pk}/comments",
        {"text": "Because."},
    ),
    route(
        "thread-resolve",
        "post",
        "401 404 200 200 403 404",
        lambda world: f"review-threads/{asked(world).pk}/resolve",
    ),
    route(
        "thread-reopen",
        "post",
        "401 404 200 200 403 404",
        lambda world: f"review-threads/{resolved(world).pk}/reopen",
    ),
]
RUN_ROUTES = [
    route("strategies", "get", "401 200 200 200 200 200", "strategies"),
    route("study-runs", "get", "401 404 200 200 200 404", study("/runs")),
    route(
        "study-runs",
        "post",
        "401 404 201 403 403 404",
        study("/runs"),
        lambda world: {"version": str(world.version.pk), "rounds": 2},
    ),
    route("run", "get", "401 404 200 200 200 404", run()),
    route("run-start", "post", "401 404 200 403 403 404", run("/start")),
    route("run-pause", "post", "401 404 200 403 403 404", started("/pause"), {"at_once": True}),
    route("run-resume", "post", "401 404 200 403 403 404", paused("/resume")),
    route("run-fork", "post", "401 404 201 403 403 404", prepared("/fork"), {"round": 0}),
    route("run-priority", "post", "401 404 200 403 403 404", run("/priority"), {"priority": "high"}),
    route("run-schedules", "post", "401 404 201 403 403 404", run("/schedules"), {"kind": "ready", "sites_needed": 1}),
    route("study-schedules", "get", "401 404 200 200 200 404", study("/schedules")),
    route("schedule", "get", "401 404 200 200 200 404", scheduled()),
    route("schedule-suspend", "post", "401 404 200 403 403 404", scheduled("/suspend")),
    route("schedule-resume", "post", "401 404 200 403 403 404", suspended("/resume")),
    route("schedule-end", "post", "401 404 200 403 403 404", scheduled("/end")),
    route("run-stop", "post", "401 404 200 403 403 404", run("/stop"), {"reason": "Enough"}),
    route("run-rounds", "get", "401 404 200 200 200 404", run("/rounds")),
    route("run-results", "get", "401 404 200 200 200 404", run("/results")),
    route("run-events", "get", "401 404 200 200 200 404", run("/events")),
    # no round has been committed: those who may fetch a model hear that there is none
    route("run-model", "get", "401 404 404 403 403 404", run("/model")),
    route("run-files", "get", "401 404 200 200 200 404", run("/files")),
    route("run-file", "get", "401 404 404 403 403 404", run(f"/files/{'0' * 64}")),
    route("events", "get", "401 200 200 200 200 200", "audit/events"),
]
NODE_ROUTES = [
    route("node-enrol", "post", "403 403 403 403 403 403", "node/enrol", lambda world: introduction("t" * 30)),
    *(
        route(name, method, "401 401 401 401 401 401", address, {} if method == "post" else None)
        for name, method, address in (
            ("node-heartbeat", "post", "node/heartbeat"),
            ("node-self", "get", "node/self"),
            ("node-rotate", "post", "node/rotate"),
            ("node-studies", "get", "node/studies"),
            ("node-datasets", "post", "node/datasets"),
            ("node-scripts", "get", "node/scripts"),
            ("node-bundle", "get", lambda world: f"node/scripts/{world.version.pk}/bundle"),
            ("node-approvers", "put", "node/approvers"),
            ("node-events", "get", "node/events"),
            ("node-approvals", "post", "node/approvals"),
            ("node-revocation", "post", lambda world: f"node/approvals/{world.approval.pk}/revoke"),
        )
    ),
]
OPEN_ROUTES = [route("openapi", "get", "200 200 200 200 200 200", "openapi.json")]
ROUTES = [
    *PERSON_ROUTES, *NOTIFICATION_ROUTES, *SITE_ROUTES,
    *STUDY_ROUTES, *SCRIPT_ROUTES, *RUN_ROUTES, *NODE_ROUTES, *OPEN_ROUTES,
]  # fmt: skip


def introduction(token: str, keys: NodeKeys | None = None) -> Json:
    """A node's first words."""
    mine = keys or NodeKeys()
    return {"token": token, "name": "node", "proof": mine.proof(token), "agent_version": "0.1.0", **mine.public()}


def served() -> Iterator[tuple[str, str]]:
    """Name and method of everything that the URLconf serves."""
    for pattern in urlpatterns:
        callback = pattern.callback
        if pattern.name == "unknown":
            continue
        # REST framework adds "head" to a view's actions when the view is first used
        kind = getattr(callback, "cls", None) or callback.view_class
        declared = getattr(callback, "actions", None) or [name for name in METHODS if hasattr(kind, name)]
        yield from ((pattern.name, method) for method in declared if method in METHODS)
