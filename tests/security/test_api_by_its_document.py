"""The API answers as its OpenAPI document says, whatever it is sent and whoever sends it.

Requests are made up by schemathesis from the document: right ones, and wrong ones of every kind. `make test` sends a
few for each operation as each of nine people, `make fuzz-api` many (FEDSTUDY_FUZZ_EXAMPLES of each).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.plugin import DjangoDbBlocker
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fedstudy_core.canonical import digest
from tests.security.access import scene, states
from tests.security.access.row import first_event
from tests.security.access.scene import FILE, PEOPLE, Scene

EXAMPLES = int(os.environ.get("FEDSTUDY_FUZZ_EXAMPLES", "2"))
PARTS = 9  # of the operations, which several processes may share
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The first part of an address (of nodes, oneself and the log the first two) to the object of a place that its id names.
OBJECTS: dict[str, Callable[[scene.Place], Any]] = {
    "studies": lambda place: place.study,
    "sites": lambda place: place.site,
    "nodes": lambda place: place.node,
    "users": lambda place: place.pi,
    "enrolments": lambda place: place.enrolment,
    "scripts": lambda place: place.script,
    "script-versions": lambda place: place.version,
    "runs": lambda place: place.run,
    "schedules": states.scheduled,
    "degree-comparisons": states.compared,
    "webhooks": states.webhook,
    "webhook-deliveries": states.delivery,
    "review-threads": states.asked,
    "notifications": states.told,
    "access-requests": states.requested,
    "releases": states.asked_for,
    "me/tokens": states.token,
    "me/sessions": states.session,
    "me/factors": states.factor,
    "me/identities": states.identity,
    "audit/events": first_event,
    "node/scripts": lambda place: place.version,
    "node/approvals": lambda place: place.approval,
    "node/pool": lambda place: place.study,
    "pool-consents": states.consented,
}


class Portal:
    """The portal as a WSGI application that takes every request for one person's."""

    def __init__(self, people: Scene) -> None:
        self.people, self.who = people, "-"
        self._portal = get_wsgi_application()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ.update(self.people.credentials(self.who, environ))
        return self._portal(environ, start_response)


@pytest.fixture(scope="module")
def portal(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Portal]:
    request_started.disconnect(close_old_connections)  # as Django's own test client does
    request_finished.disconnect(close_old_connections)
    with django_db_blocker.unblock(), transaction.atomic(), scene.used_for_long(), scene.fewer_lines():
        cache.clear()
        yield Portal(scene.build())
        transaction.set_rollback(True)
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture(scope="module")
def operations(portal: Portal) -> list[APIOperation[Any, Any, Any, Any]]:
    """Everything that the document names."""
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", portal)
    return [found.ok() for found in document.get_all_operations()]


def objects_of(operation: APIOperation[Any, Any, Any, Any]) -> Callable[[scene.Place], Any] | None:
    """How to find an object that the address may name, if it names one by `id`."""
    if "{id}" not in operation.path:
        return None
    parts = operation.path.removeprefix("/api/v1/").split("/")
    return OBJECTS["/".join(parts[:2]) if parts[0] in ("node", "me", "audit") else parts[0]]


@pytest.mark.parametrize("part", range(PARTS))
def test_answers_are_as_the_document_says(
    part: int, portal: Portal, operations: list[APIOperation[Any, Any, Any, Any]], db: None
) -> None:
    assert len(operations) > 100
    wrong = []
    for operation in operations[part::PARTS]:
        try:
            ask_in_many_ways(portal, operation)
        except FailureGroup as error:
            wrong.append(f"{operation.label} as {PEOPLE[portal.who]}: {error}")
    assert not wrong, "\n\n".join(wrong)


def ask_in_many_ways(portal: Portal, operation: APIOperation[Any, Any, Any, Any]) -> None:
    """Send right and wrong requests as everybody, half of those with an id to an object that is there.

    To make a request up takes longer than to answer it: all of PEOPLE send the same.
    """
    find = objects_of(operation)
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 10,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, is_there=st.booleans())
    def ask(case: Case, is_there: bool) -> None:
        with transaction.atomic():
            if find is not None and is_there:
                case.path_parameters["id"] = str(find(portal.people.place("own")).pk)
                if "sha256" in case.path_parameters:
                    case.path_parameters["sha256"] = digest(FILE)
            for who in PEOPLE:
                send(portal, who, case)
            transaction.set_rollback(True)

    ask()


def send(portal: Portal, who: str, case: Case) -> None:
    """Send a request as one of PEOPLE, look at the answer, and take back what it wrote."""
    portal.who = who
    cache.clear()
    with transaction.atomic():
        case.validate_response(case.call(), checks=CHECKS)
        transaction.set_rollback(True)
