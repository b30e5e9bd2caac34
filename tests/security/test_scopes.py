"""What a token opens, by its scopes: every operation of the table of access is tried with a token of each scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.models import User
from accounts.scopes import TokenScope
from accounts.tokens import make_token
from portal.api.scopes import BY_ANY, OPENED
from tests.security.access import api, scene
from tests.security.access.row import Row
from tests.security.access.scene import PEOPLE, Scene
from tests.security.test_access import Request, undone

# What no token reaches: accounts and one's own, people and roles, sites and nodes' keys, and a site's own word.
FOR_PEOPLE_ONLY = {
    "GET users", "POST users", "GET user", "PATCH user", "DELETE user-factors", "GET user-waiting", "POST user-move",
    "GET access-requests", "POST access-requests", "GET access-request", "POST access-accept", "POST access-refuse",
    "POST access-withdraw", "GET study-join-code", "POST study-join-code", "DELETE study-join-code",
    "GET site-join-code", "POST site-join-code", "DELETE site-join-code",
    "GET own-identities", "DELETE own-identity",
    "PATCH me", "POST own-password", "GET own-tokens", "POST own-tokens", "DELETE own-token",
    "GET own-factors", "DELETE own-factor", "GET own-sessions", "POST own-sessions-end", "DELETE own-session",
    "POST notifications-read", "POST notification", "PUT preference",
    "POST sites", "POST site-people", "DELETE site-person",
    "GET site-invitations", "POST site-invitations", "DELETE site-invitation",
    "GET study-invitations", "POST study-invitations", "DELETE study-invitation",
    "POST site-nodes", "POST node-token", "POST node-confirm", "POST node-revoke",
    "POST study-people", "DELETE study-person", "POST accept", "POST decline", "POST withdraw", "PUT checklist",
    "POST enrolment-level", "POST pool-consent-revoke", "POST pool-consent-delete", "DELETE study-pool",
    "POST study-webhooks", "PATCH webhook", "DELETE webhook", "POST webhook-enable", "POST webhook-disable",
    "POST webhook-rotate", "POST webhook-test", "POST delivery-repeat",
    "POST run-releases", "POST release-cosign", "POST release-refuse", "POST release-withdraw",
}  # fmt: skip
# Nobody shows a token there: for nodes, or for those who have none yet.
WITHOUT_TOKEN = {"POST setup", "GET openapi", "POST node-enrol", "POST token", "POST take-up"}


@pytest.fixture(scope="module")
def people(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    with django_db_blocker.unblock(), transaction.atomic(), scene.fewer_lines():
        cache.clear()
        yield scene.build()
        transaction.set_rollback(True)


def operation(row: Row) -> tuple[str, str]:
    return row.method.upper(), row.name


def name(row: Row) -> str:
    return f"{row.method.upper()} {row.name.removeprefix('api:')}"


def takes_tokens(row: Row) -> bool:
    """Whether people who are signed in use it."""
    return row.may != "N" and name(row) not in WITHOUT_TOKEN


ROWS = [row for row in api.ROWS if takes_tokens(row)]


def opened(row: Row, scope: TokenScope) -> bool:
    return operation(row) in BY_ANY | OPENED[scope]


def token_client(user: User, *scopes: TokenScope) -> APIClient:
    client = APIClient()
    _, secret = make_token(name="Trial", scopes=scopes, days=1, by=user)
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return client


def token_clients(people: Scene) -> dict[tuple[str, TokenScope], APIClient]:
    """For everybody and each scope a client with a token of theirs."""
    everybody = {name for who, name in PEOPLE.items() if who not in "-N"}
    return {(who, scope): token_client(getattr(people.own, who), scope) for who in everybody for scope in TokenScope}


def asked(request: Request, client: APIClient) -> Any:
    """The answer to the row's request with a client of ours."""
    row = request.row
    body = request._told(row.body(request.place)) if row.body else None
    options = {} if row.method == "get" else {"format": "multipart" if row.form else "json"}
    return getattr(client, row.method)(request.address, body, **options)


def test_no_operation_is_forgotten() -> None:
    known = {operation(row) for row in ROWS}
    opened_by_some = frozenset().union(*OPENED.values()) | BY_ANY
    assert opened_by_some <= known
    assert {name(row) for row in ROWS if operation(row) not in opened_by_some} == FOR_PEOPLE_ONLY


def test_a_token_opens_what_its_scope_says_and_nothing_else(people: Scene, db: None) -> None:
    wrong, clients = [], token_clients(people)
    for row in ROWS:
        who = next((letter for letter in row.may if letter != "N"), "0")
        with undone():
            request = Request(people, row, "own")
            for scope in TokenScope:
                with undone():
                    answer = asked(request, clients[PEOPLE[who], scope])
                    refused = answer.status_code == 403 and answer.json()["code"] == "E_SCOPE"
                    wanted = row.expected("own", who) if opened(row, scope) else 403
                    if refused == opened(row, scope) or answer.status_code != wanted:
                        wrong.append(f"{name(row)} with {scope}: {answer.status_code} instead of {wanted}")
    assert not wrong, "\n".join(wrong)


def test_a_token_gives_no_more_than_its_owner_may(people: Scene, db: None) -> None:
    wrong, client = [], token_client(people.own.stranger, *TokenScope)
    for row in ROWS:
        if "0" in row.may or row.every is not None:
            continue
        with undone():
            request = Request(people, row, "own")
            answer = asked(request, client)
            if answer.status_code not in (403, 404):
                wrong.append(f"{name(row)}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
