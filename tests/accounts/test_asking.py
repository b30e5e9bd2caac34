"""Asking for a role: by a code alone, decided by those who give it, and once."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts.asking import (
    accept_request,
    ask_for_role,
    end_join_code,
    make_join_code,
    object_behind,
    refuse_request,
    requests_seen_by,
    requests_to,
    withdraw_request,
)
from accounts.groups import holders
from accounts.models import AccessRequest, JoinCode
from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid, NotFound, Refusal
from notifications.models import Notification
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def code(world: World) -> str:
    return make_join_code(obj=world.study, by=world.pi).code


def ask(world: World, code: str, role: Role = Role.AUDITOR) -> AccessRequest:
    return ask_for_role(code=code, role=role, reason=" I audit such studies. ", by=world.stranger)


def test_a_request_is_accepted_and_the_role_is_there(world: World, code: str) -> None:
    request = ask(world, code.lower())
    assert request.reason == "I audit such studies."
    told = Notification.objects.get(person=world.pi, kind="access")
    assert world.stranger.name in told.subject
    assert list(requests_to(world.pi)) == list(requests_seen_by(world.pi)) == [request]
    assert not holders(Role.AUDITOR, world.study).filter(pk=world.stranger.pk).exists()
    accepted = accept_request(request=request, by=world.pi, answer="Welcome.")
    assert (accepted.state, accepted.decided_by) == ("accepted", world.pi)
    assert holders(Role.AUDITOR, world.study).filter(pk=world.stranger.pk).exists()
    assert "as you asked. Welcome." in Notification.objects.get(person=world.stranger, kind="decided").subject
    actions = Event.objects.filter(study=str(world.study.pk)).order_by("-pk").values_list("action", flat=True)
    assert list(actions[:3]) == ["accounts:access:accepted", "accounts:role:granted", "accounts:access:asked"]
    with pytest.raises(Conflict) as again:
        refuse_request(request=request, by=world.pi, answer="No.")
    assert again.value.code == "E_STATE"


def test_a_refusal_says_why_and_gives_nothing(world: World, code: str) -> None:
    request = ask(world, code)
    with pytest.raises(Invalid, match="Say why, so that the person knows"):
        refuse_request(request=request, by=world.pi, answer="  ")
    assert refuse_request(request=request, by=world.pi, answer="Not now.").state == "refused"
    assert not holders(Role.AUDITOR, world.study).filter(pk=world.stranger.pk).exists()
    assert ask(world, code).state == "asked", "somebody may ask again after an answer"


@pytest.mark.parametrize("wrong", ["", "X", "AAAAA-AAAAA-AAAAA-AAAAA", "ended"])
def test_codes_that_lead_nowhere_are_alike(wrong: str, world: World, code: str) -> None:
    if wrong == "ended":
        end_join_code(obj=world.study, by=world.pi)
        wrong = code
    with pytest.raises(Forbidden) as refused:
        ask(world, wrong)
    assert (refused.value.code, refused.value.detail) == (
        "E_JOIN_CODE",
        "This code leads nowhere. Ask who gave it to you for the present one.",
    )


def test_a_new_code_ends_the_one_before(world: World, code: str) -> None:
    newer = make_join_code(obj=world.study, by=world.pi)
    assert object_behind(newer.code) == world.study
    with pytest.raises(Forbidden):
        object_behind(code)
    with pytest.raises(IntegrityError), transaction.atomic():
        JoinCode.objects.create(code="second", content_object=world.study, created_by=world.pi)


@pytest.mark.parametrize("who", ["auditor", "site_admin", "stranger", "admin"])
def test_only_who_gives_roles_makes_codes_and_decides(who: str, world: World, code: str) -> None:
    somebody, request = getattr(world, who), ask(world, code)
    with pytest.raises((Forbidden, NotFound)):
        make_join_code(obj=world.study, by=somebody)
    with pytest.raises((Forbidden, NotFound)):
        accept_request(request=request, by=somebody)
    assert requests_seen_by(somebody).exists() == (who == "stranger")


@pytest.mark.parametrize(
    ("who", "role", "code_of_error"),
    [
        ("stranger", Role.STEWARD, "E_INVALID"),
        ("auditor", Role.AUDITOR, "E_EXISTS"),
        ("auditor", Role.PI, "E_DUTIES"),
        ("admin", Role.AUDITOR, "E_DUTIES"),
    ],
)
def test_what_cannot_be_given_is_not_asked_for(
    who: str, role: Role, code_of_error: str, world: World, code: str
) -> None:
    with pytest.raises(FedStudyError) as refused:
        ask_for_role(code=code, role=role, reason="Please.", by=getattr(world, who))
    assert refused.value.code == code_of_error


def test_nobody_asks_twice_and_everybody_may_take_it_back(world: World, code: str) -> None:
    request = ask(world, code)
    with pytest.raises(Conflict) as twice:
        ask(world, code, Role.CO_INVESTIGATOR)
    assert twice.value.code == "E_EXISTS"
    with pytest.raises(NotFound):
        withdraw_request(request=request, by=world.pi)
    assert withdraw_request(request=request, by=world.stranger).state == "withdrawn"
    with pytest.raises(Conflict):
        accept_request(request=request, by=world.pi)


def test_duties_hold_when_the_answer_comes_too(world: World, code: str) -> None:
    request = ask(world, code)
    grant_role(user=world.stranger, role=Role.ADMIN, obj=world.site, by=world.site_admin)
    with pytest.raises(Refusal) as refused:
        accept_request(request=request, by=world.pi)
    assert refused.value.code == "E_DUTIES"
    assert AccessRequest.objects.get(pk=request.pk).state == "asked"


def test_a_site_is_asked_too(world: World) -> None:
    code = make_join_code(obj=world.site, by=world.site_admin).code
    request = ask(world, code, Role.STEWARD)
    accept_request(request=request, by=world.site_admin)
    assert list(holders(Role.STEWARD, world.site)) == [world.stranger]
