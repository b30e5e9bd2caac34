"""Asking for a role on the pages, and by the client."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.http import HttpResponse
from django.urls import reverse

from accounts.asking import ask_for_role, make_join_code
from accounts.groups import holders
from accounts.models import AccessRequest
from accounts.roles import Role
from fedstudy_client import FedStudyProblem
from tests.api.world import PASSWORD, World
from tests.client.portals import Portal
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound

HERE = "/access"


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def test_a_stranger_asks_and_the_investigator_answers(world: World, browser: Browser) -> None:
    pi, stranger = browser("pi"), browser("stranger")
    people = reverse("web:study-people", args=[world.study.pk])
    assert "nobody can ask" in sound(pi.get(people)).text
    assert "There is a new join code" in sound(pi.post(f"{people[:-6]}join-code", {"verb": "make"}, follow=True)).text
    code = make_join_code(obj=world.study, by=world.pi).code
    assert code in pi.get(people).content.decode()
    assert "leads nowhere" in sound(stranger.get(HERE, {"code": "wrong"}), 400).text
    page = sound(stranger.get(HERE, {"code": code}))
    assert world.study.title in page.text
    sent = {"code": code, "role": "auditor", "reason": ""}
    assert "This field is required" in sound(stranger.post(HERE, sent), 400).text
    assert "You asked for a role" in sound(stranger.post(HERE, {**sent, "reason": "To audit."}, follow=True)).text
    request = AccessRequest.objects.get()
    assert "To audit." in sound(pi.get(HERE)).text
    refuse, accept = (reverse(f"web:access-{verb}", args=[request.pk]) for verb in ("refuse", "accept"))
    assert "Say why" in sound(pi.post(refuse, {"answer": " "}, follow=True)).text
    assert "is auditor now" in sound(pi.post(accept, {"answer": "Welcome."}, follow=True)).text
    assert "Welcome." in sound(stranger.get(HERE)).text
    assert world.stranger in holders(Role.AUDITOR, world.study)


def test_who_has_nothing_to_do_with_it_learns_nothing(world: World, browser: Browser) -> None:
    code = make_join_code(obj=world.study, by=world.pi).code
    request = ask_for_role(code=code, role=Role.AUDITOR, reason="Please.", by=world.stranger)
    for who in ("auditor", "site_admin", "admin"):
        assert world.stranger.name not in sound(browser(who).get(HERE)).text
        assert browser(who).post(reverse("web:access-accept", args=[request.pk])).status_code == 404
        people = reverse("web:study-people", args=[world.study.pk])
        assert code not in browser(who).get(people).content.decode()


def test_the_client_invites_asks_and_decides(world: World) -> None:
    with ExitStack() as stack:
        portal = Portal(stack)
        pi, stranger = portal.client(world.pi.email), portal.client(world.stranger.email)
        study = pi.studies.get(world.study.pk)
        code = pi.access.make_code(study)
        assert pi.access.code(study) == code
        request = stranger.access.ask(code, role="auditor", reason="To audit.")
        assert (request.name, request.kind, request.person.name) == (study.title, "study", world.stranger.name)
        assert [item.id for item in pi.access.list("asked")] == [request.id]
        assert pi.access.refuse(request, answer="Not now.").answer == "Not now."
        again = stranger.access.ask(code, role="auditor", reason="Now?")
        assert pi.access.accept(again).decided_by is not None
        pi.access.end_code(study)
        with pytest.raises(FedStudyProblem) as refused:
            stranger.access.ask(code, role="auditor", reason="Again.")
        assert refused.value.code == "E_JOIN_CODE"
        made = pi.invitations.invite(study, email="new@demo.example", role="co_investigator")
        assert [item.email for item in pi.invitations.list(study)] == ["new@demo.example"]
        person = portal.client().invitations.take_up(token=made.token, name="New Person", password=PASSWORD)
        assert person.email == "new@demo.example"
        other = pi.invitations.invite(study, email="other@demo.example", role="auditor")
        pi.invitations.revoke(study, other)
        assert pi.invitations.list(study) == []
