"""What wants to know that it is still the person: every act of the table, by page and by API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.utils import decrypt
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.factors import factors_of
from accounts.models import ApiToken, User
from accounts.scopes import TokenScope
from accounts.sessions import VERIFIED
from accounts.tokens import make_token
from portal.step_up import ACTS
from tests.api.world import PASSWORD
from tests.factories.factors import code_of, with_app
from tests.security.access import api, pages, scene
from tests.security.access.row import Row
from tests.security.access.scene import PEOPLE, Scene
from tests.security.test_access import Request, done, undone
from tests.web.markup import assert_sound

RIGHTS = re.compile(
    r"people|person|role-revoke|invitations?$|investigator|node-(revoke|confirm)|factor|recovery|tokens|api:users?$"
    r"|enrolment-answer|api:(accept|withdraw)|transition"
)
# Taking an invitation back gives nobody anything; whoever takes one up, or is signing in, is no one yet.
NOT_ASKED = {
    ("DELETE", "api:site-invitation"),
    ("DELETE", "api:study-invitation"),
    ("POST", "web:invitation"),
    ("POST", "web:sign-in-factor"),
}
ROWS = [row for row in (*api.ROWS, *pages.ROWS) if (row.method.upper(), row.name) in ACTS and row.may]
# Asked by what is sent, or of who has no password: the tables' requests are not, so these have tests of their own.
ARCHIVING = ("web:study-transition", "api:study-transition")
PASSWORDS = ("web:account-password", "api:own-password")


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    with django_db_blocker.unblock(), transaction.atomic(), scene.fewer_lines():
        cache.clear()
        people = scene.build()
        ApiToken.objects.update(created=F("created") - timedelta(minutes=11))
        yield people
        transaction.set_rollback(True)


@pytest.fixture
def people(built: Scene, db: None) -> Scene:
    """Everybody signed in eleven minutes ago."""
    for who in built._pages:
        if who != "-":
            sign_in_again(built, who)
    return built


def sign_in_again(people: Scene, who: str) -> None:
    """Give one of PEOPLE a session that is eleven minutes old."""
    client = people._pages[who] = people._browser(PEOPLE[who])
    session = client.session
    session[VERIFIED] = timezone.now().timestamp() - 660
    session.save()


def test_every_act_is_an_operation_of_the_table() -> None:
    known = {(row.method.upper(), row.name) for row in (*api.ROWS, *pages.ROWS)}
    assert set(ACTS) <= known


def test_no_act_that_gives_rights_or_takes_them_is_left_out() -> None:
    """Found by their names among all addresses, so that a line missing in the table shows."""
    named = {
        (row.method.upper(), row.name)
        for row in (*api.ROWS, *pages.ROWS)
        if row.method != "get" and RIGHTS.search(row.name)
    }
    assert named - set(ACTS) == NOT_ASKED


def test_what_asks_before_a_page_is_shown_asks_before_its_form_is_taken() -> None:
    assert {("POST", name) for method, name in ACTS if method == "GET"} <= set(ACTS)


def tried(people: Scene) -> Iterator[tuple[Row, str, Request]]:
    for row in ROWS:
        if row.name not in (*ARCHIVING, *PASSWORDS):
            with undone():
                yield row, row.may.replace("N", "")[0], Request(people, row, "own")


def test_each_act_is_asked_for_and_nothing_is_done(people: Scene) -> None:
    wrong = []
    for row, who, request in tried(people):
        before = done()
        answer = request.by(who)
        said = answer.json()["code"] if not row.is_page else "Is it still you?" in answer.content.decode()
        if answer.status_code != 403 or said not in ("E_STEP_UP", True) or done() != before:
            wrong.append(f"{row.method} {row.name}: {answer.status_code}")
        if row.is_page:
            assert_sound(answer.content.decode())
    assert not wrong, "\n".join(wrong)


def test_the_pages_go_on_with_what_was_sent(people: Scene) -> None:
    """By the password, or the code of who has an app."""
    wrong = []
    for row, who, request in tried(people):
        if not row.is_page:
            continue
        cache.clear()
        sign_in_again(people, who)
        body = request._told(row.body(request.place)) if row.body else {}
        shown = {**body, "step-up-then": row.method.upper(), **proof_of(getattr(people.own, PEOPLE[who]))}
        answer = people.page(who, "post", request.address, shown)
        signed_out = answer.headers.get("Location", "").startswith("/sign-in")
        if signed_out or answer.status_code != (302 if row.method == "get" else row.ok):
            wrong.append(f"{row.method} {row.name}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def proof_of(person: User) -> dict[str, str]:
    app = factors_of(person).first()
    if app is None:
        return {"step-up-password": PASSWORD}
    return {"step-up-code": code_of(decrypt(app.data["secret"]))}


def aged(people: Scene, who: str) -> Any:
    client = people._pages[who]
    assert client.session[VERIFIED] < timezone.now().timestamp() - 600
    return client


ROLE = {"email": "stranger@demo.example", "role": "auditor"}


def test_the_question_carries_along_what_was_sent_and_only_that(people: Scene) -> None:
    client, there = aged(people, "P"), f"/studies/{people.own.study.pk}/people"
    text = client.post(there, {**ROLE, "step-up-password": "kept to itself"}).content.decode()
    assert '<input type="hidden" name="email" value="stranger@demo.example">' in text
    assert "kept to itself" not in text
    shown = {**ROLE, "step-up-then": "POST"}
    key = client.session.session_key
    assert client.post(there, {**shown, "step-up-password": "wrong"}).status_code == 400
    assert client.post(there, shown).status_code == 400
    assert client.post(there, {**shown, "step-up-password": PASSWORD}).status_code == 302
    assert client.session.session_key != key
    assert client.post(there, {**ROLE, "email": "nobody@demo.example"}).status_code == 400  # not asked again


def test_nobody_says_by_themselves_that_a_form_was_only_looked_at(people: Scene) -> None:
    client, there = aged(people, "P"), f"/studies/{people.own.study.pk}/people"
    before = done()
    for said in ("GET", "HEAD", ""):
        assert client.post(there, {**ROLE, "step-up-then": said}).status_code == 400
    assert done() == before


def test_who_has_a_factor_shows_it_and_not_the_password(people: Scene) -> None:
    client, there = aged(people, "P"), f"/studies/{people.own.study.pk}/people"
    secret = with_app(people.own.pi)
    shown = {**ROLE, "step-up-then": "POST"}
    assert client.post(there, {**shown, "step-up-password": PASSWORD}).status_code == 400
    assert client.post(there, {**shown, "step-up-code": "wrong"}).status_code == 400
    assert client.post(there, {**shown, "step-up-code": code_of(secret)}).status_code == 302


def test_only_archiving_is_asked_for_among_a_studys_moves(people: Scene) -> None:
    client, study = aged(people, "P"), people.own.study
    there = f"/studies/{study.pk}/transition"
    assert client.post(there, {"to": "archived"}).status_code == 403
    assert client.post(there, {"to": "closed"}).status_code == 302
    answer = people._api["P"].post(f"/api/v1{there}", {"to": "archived"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "E_STEP_UP")


def test_a_first_password_is_asked_for_whatever_is_sent_as_a_present_one(people: Scene) -> None:
    there, words = "/account/password", "correct horse battery"
    assert aged(people, "P").get(there).status_code == 200, "who has one shows it in the form"
    person = people.place("own").pi
    person.set_unusable_password()
    person.save()
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[VERIFIED] = timezone.now().timestamp() - 660
    session.save()
    assert "Is it still you?" in client.get(there).content.decode()
    for sent in ({"new": words}, {"current": "x", "new": words}):
        asked = client.post(there, sent)
        assert asked.status_code == 403 and words not in asked.content.decode()
        answer = people._api["P"].post("/api/v1/me/password", sent, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "E_STEP_UP")
    assert not User.objects.get(pk=person.pk).has_usable_password()


def test_a_token_archives_nothing(people: Scene) -> None:
    _, secret = make_token(name="All", scopes=list(TokenScope), days=1, by=people.own.pi)
    program = APIClient(HTTP_AUTHORIZATION=f"Token {secret}")
    address = f"/api/v1/studies/{people.own.study.pk}/transition"
    answer = program.post(address, {"to": "archived"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "E_SCOPE")
    assert program.post(address, {"to": "closed"}, format="json").status_code == 200
