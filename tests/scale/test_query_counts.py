"""Every page and list asks the database as often for five times as many rows, and as often as the golden file says.

`pytest tests/scale --rewrite-golden` writes tests/golden/query_counts.json anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import Model as Table
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.asking import make_join_code
from accounts.models import AccessRequest, Site, User
from accounts.tokens import begin_program_session
from federation.degrees.services import compare_run
from federation.releases.models import Release
from federation.releases.services import request_release
from federation.runs.models import Model, Run, Schedule
from fedstudy_core.canonical import digest
from nodes.registry.models import Node
from portal.seeding.seed import seed
from portal.seeding.shape import Shape
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.pooling.models import PoolConsent
from studies.scripts.models import ScriptVersion
from tests.audit.logs import sequence
from tests.factories.pools import on_file
from tests.security.access import api, pages
from tests.security.access.row import Row, first_event
from tests.security.access.scene import MODEL, leave_results, used_for_long
from webhooks.models import Delivery, Webhook
from webhooks.services import register_webhook

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]
GOLDEN = Path(__file__).parents[1] / "golden" / "query_counts.json"
TIMES = 5
FEW = Shape(
    studies=2, sites=2, rounds=8, events=200, sites_per_study=2, versions_per_study=2, rounds_per_run=2,
    investigators=1, auditors=1, notifications=2, threads=2, schedules=2,
)  # fmt: skip
MANY = replace(
    FEW, studies=10, sites=10, rounds=800, events=1_000, sites_per_study=10, versions_per_study=10, rounds_per_run=10,
    notifications=10, threads=10, schedules=10,
)  # fmt: skip
# What tells the same for any number of rows, or is a node's.
# Proofs take up to three questions, as full tiles of the tree are met or not (tests.audit.test_sequencer).
# A dossier waits for the log besides; that it asks no more for more rounds is tried in tests.dossiers.
PROOFS = {"api:event-proof", "api:log-consistency", "web:event", "api:run-dossier", "web:run-dossier"}
# An export's proof likewise; so many more it may ask for.
PROVEN = "web:study-events?form=proof"
TILES = 3
WITHOUT_ROWS = {"api:openapi", "healthz", "web:sign-in", "web:styleguide", "web:studies-listed", *PROOFS}
QUERIES = {"api:version-file": "?path=pyproject.toml"}
LOG = ("", "?q=hospital", "?kind=runs", "?actor=investigator", "?since=2020-01-01&until=2100-01-01")
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Portal:
    """A synthetic portal: people by the letters of the access table, and the objects of its first study."""

    people: dict[str, User]
    objects: dict[str, Table]
    clients: dict[tuple[str, bool], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: Shape) -> Portal:
        seed(shape)
        study = Study.objects.get(slug="study-0")
        enrolment = Enrolment.objects.filter(study=study, state="ready").select_related("site").order_by("pk")[0]
        admin = User.objects.get(groups__name=f"site:{enrolment.site_id}:admin")
        people = {"P": "investigator-1", "U": "auditor-1", "+": "administrator-1"}
        named = {who: User.objects.get(email=f"{name}@scale.example") for who, name in people.items()}
        run = Run.objects.filter(study=study, state="completed").order_by("created_at")[0]
        _leave_files(run)
        version = ScriptVersion.objects.select_related("script").get(script__study=study, number=2)
        of_study = {"study": study, "unled": _unled(), "enrolment": enrolment, "run": run, "version": version}
        others = {
            "script": version.script,
            "thread": version.threads.all()[0],
            "schedule": Schedule.objects.filter(template__study=study)[0],
            "degrees": compare_run(run=run, by=named["P"]),
            "webhook": _webhook(study, 3 * shape.schedules),
            "site": enrolment.site,
            "release": _released(run, named["P"]),
            "poolconsent": _pooled(study, enrolment, named["P"]),
            "node": enrolment.site.nodes.all()[0],
            "user": named["P"],
            "event": first_event(SimpleNamespace(study=study)),  # type: ignore[arg-type]
            "employee": admin,
            "request": _asked(study, enrolment.site, admin),
        }
        sequence()
        return cls({**named, "A": admin}, {**of_study, **others})

    def client(self, who: str, row: Row) -> Any:
        """Somebody's browser, or their program with a token; each of them one and the same."""
        if (who, row.is_page) not in self.clients:
            self.clients[who, row.is_page] = self._signed_in(who, in_browser=row.is_page)
        return self.clients[who, row.is_page]

    def _signed_in(self, who: str, *, in_browser: bool) -> Any:
        if in_browser:
            client = Client()
            client.force_login(self.people[who], backend="django.contrib.auth.backends.ModelBackend")
            return client
        _, token = begin_program_session(user=self.people[who])
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    def address(self, row: Row) -> str:
        place = SimpleNamespace(**self.objects)
        named = (self.objects[row.kind].pk, *row.rest(place)) if row.kind else ()  # type: ignore[arg-type]
        return reverse(row.name, args=named) + QUERIES.get(row.name, row.query(place))  # type: ignore[arg-type]


def _asked(study: Study, site: Site, person: User) -> AccessRequest:
    """What a site's admin asks of the study's investigator; both have join codes."""
    make_join_code(obj=site, by=person)
    make_join_code(obj=study, by=User.objects.get(email="investigator-1@scale.example"))
    return AccessRequest.objects.create(person=person, role="auditor", content_object=study, reason="demo")


def _leave_files(run: Run) -> None:
    """Files that can be fetched; the last model's is that of the preparation."""
    leave_results(SimpleNamespace(run=run))  # type: ignore[arg-type]
    Model.objects.filter(run=run).update(sha256=digest(MODEL))


def _released(run: Run, by: User) -> Release:
    """A model that may leave."""
    release = request_release(run=run, recipient="A registry", purpose="To predict elsewhere", by=by)
    Release.objects.filter(pk=release.pk).update(state="released", decided_at=timezone.now())
    return release


def _pooled(study: Study, enrolment: Enrolment, by: User) -> PoolConsent:
    """Every ready site of the study pools rows; the consent of the one."""
    ready = Enrolment.objects.filter(study=study, state="ready").select_related("site", "dataset")
    made = {
        row.pk: on_file(study, row.site, Node.objects.get(pk=row.dataset.node_id), row.dataset, by) for row in ready
    }
    return made[enrolment.pk]


def _webhook(study: Study, messages: int) -> Webhook:
    """A webhook with messages that did not arrive."""
    by = User.objects.get(email="investigator-1@scale.example")
    made, _ = register_webhook(study=study, url="https://hook.example.org/in", kinds=["run.completed"], by=by)
    Delivery.objects.bulk_create(
        Delivery(webhook=made, kind="run.completed", body="{}", state="failed") for _ in range(messages)
    )
    return made


def _unled() -> Study:
    """Take every other study's investigator away; the first of these studies."""
    for study in Study.objects.all():
        if int(study.slug.rpartition("-")[2]) % 2:
            Group.objects.get(name=f"study:{study.pk}:pi").user_set.clear()  # type: ignore[attr-defined]
    return Study.objects.get(slug="study-1")


def rows() -> Iterator[tuple[str, Row]]:
    """What somebody may read, by a name of its own."""
    seen = set()
    for row in [*api.ROWS, *pages.ROWS]:
        name = f"{row.name}{row.query(SimpleNamespace()) if row.name == 'web:study-events' else ''}"  # type: ignore[arg-type]
        name = f"{name} {row.rest(SimpleNamespace())[0]}" if row.name == "web:run-export" else name  # type: ignore[arg-type]
        if row.method == "get" and row.ok == 200 and row.may != "N" and row.name not in WITHOUT_ROWS | seen:
            yield name, row
        if row.name not in ("web:study-events", "web:run-export"):
            seen.add(row.name)
    events = next(row for row in pages.ROWS if row.name == "web:events")
    yield from ((f"web:events{query}", replace(events, query=lambda place, q=query: q)) for query in LOG[1:])  # type: ignore[misc]


def counted(portal: Portal) -> Counts:
    """Queries of each page and list, by who reads it; everything is read once before, so that caches are warm."""
    return {name: {who: _count(portal, who, row) for who in "PUA+" if who in row.may} for name, row in rows()}


def _count(portal: Portal, who: str, row: Row) -> int:
    client, address = portal.client(who, row), portal.address(row)
    _read(client, address)
    with CaptureQueriesContext(connection) as asked:
        _read(client, address)
    return len(asked)


def _read(client: Any, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, f"{address}: {answer.status_code}"
    if answer.streaming:
        b"".join(answer.streaming_content)


def measure(shape: Shape) -> Counts:
    """The queries in a portal of this shape, which is taken back."""
    with transaction.atomic(), used_for_long():
        counts = counted(Portal.of(shape))
        transaction.set_rollback(True)
    return counts


def test_queries_do_not_grow_with_rows(request: pytest.FixtureRequest) -> None:
    few, many = measure(FEW), measure(MANY)
    proven_few, proven_many = few.pop(PROVEN), many.pop(PROVEN)
    assert all(proven_many[who] <= count + TILES for who, count in proven_few.items())
    grown = {name: (few[name], many[name]) for name in few if few[name] != many[name]}
    assert grown == {}
    if request.config.getoption("--rewrite-golden"):
        GOLDEN.write_text(json.dumps(few, indent=1, sort_keys=True) + "\n", "utf-8")
    assert few == json.loads(GOLDEN.read_text("utf-8")), "write it anew with --rewrite-golden if this is meant"
