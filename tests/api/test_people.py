"""The first administrator, sessions, tokens, accounts, and roles."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ApiToken, User
from accounts.scopes import TokenScope
from accounts.services import create_setup_token
from accounts.tokens import MOST_SESSIONS, begin_program_session, make_token
from audit.models import Event
from portal.throttles import PasswordByPerson, SignInByAccount, SignInByAddress
from tests.api.world import ACCOUNT, PASSWORD, World

pytestmark = pytest.mark.django_db


def test_the_first_administrator_is_made_once() -> None:
    client = APIClient()
    body = {"token": create_setup_token(), **ACCOUNT}
    answer = client.post("/api/v1/setup", body, format="json")
    assert answer.status_code == 201
    assert answer.json()["is_platform_admin"]
    again = client.post("/api/v1/setup", body, format="json")
    assert (again.status_code, again.json()["code"]) == (403, "E_TOKEN")
    assert User.objects.count() == 1


def test_a_setup_with_a_weak_password_uses_nothing_up() -> None:
    body = {"token": create_setup_token(), **ACCOUNT, "password": "password"}
    answer = APIClient().post("/api/v1/setup", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID")
    assert {error["field"] for error in answer.json()["errors"]} == {"password"}
    assert not User.objects.exists()
    assert APIClient().post("/api/v1/setup", {**body, "password": PASSWORD}, format="json").status_code == 201


def test_a_token_signs_in_until_it_is_given_back(world: World) -> None:
    client = APIClient()
    answer = client.post("/api/v1/auth/token", {"email": "PI@demo.example", "password": PASSWORD}, format="json")
    assert answer.status_code == 200
    assert answer.json()["expiry"]
    client.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    me = client.get("/api/v1/me").json()
    assert me["roles"] == [{"role": "pi", "kind": "study", "id": str(world.study.pk), "name": world.study.title}]
    assert client.delete("/api/v1/auth/token").status_code == 204
    assert client.get("/api/v1/me").status_code == 401
    assert ApiToken.objects.count() == 0
    actions = Event.objects.filter(object_id=str(world.pi.pk)).order_by("id").values_list("action", flat=True)
    assert list(actions)[-2:] == ["accounts:token:issued", "accounts:token:returned"]


@pytest.mark.parametrize(
    ("email", "password"), [("pi@demo.example", "wrong password here"), ("nobody@demo.example", PASSWORD)]
)
def test_a_wrong_sign_in_says_the_same_whatever_is_wrong(world: World, email: str, password: str) -> None:
    answer = APIClient().post("/api/v1/auth/token", {"email": email, "password": password}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "E_CREDENTIALS")
    assert answer.json()["detail"] == "The e-mail address or the password is wrong."


def test_an_expired_token_sent_along_does_not_keep_one_from_signing_in(world: World) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Token " + "0" * 64)
    body = {"email": world.pi.email, "password": PASSWORD}
    assert client.post("/api/v1/auth/token", body, format="json").status_code == 200


def test_a_closed_account_has_no_token_any_more(world: World) -> None:
    theirs = world.client("pi")
    admin = world.client("admin")
    answer = admin.patch(f"/api/v1/users/{world.pi.pk}", {"is_active": False}, format="json")
    assert answer.json()["is_active"] is False
    assert theirs.get("/api/v1/me").status_code == 401
    body = {"email": world.pi.email, "password": PASSWORD}
    assert APIClient().post("/api/v1/auth/token", body, format="json").status_code == 401


def test_a_token_does_not_come_back_with_the_account(world: World) -> None:
    theirs, admin = world.client("pi"), world.client("admin")
    for is_active in (False, True):
        admin.patch(f"/api/v1/users/{world.pi.pk}", {"is_active": is_active}, format="json")
    assert theirs.get("/api/v1/me").status_code == 401


def test_the_oldest_session_makes_room_for_a_new_one(world: World) -> None:
    oldest = world.client("pi")
    for _ in range(MOST_SESSIONS - 1):
        begin_program_session(user=world.pi)
    assert oldest.get("/api/v1/me").status_code == 200
    body = {"email": world.pi.email, "password": PASSWORD}
    newest = APIClient().post("/api/v1/auth/token", body, format="json").json()["token"]
    assert ApiToken.objects.filter(user=world.pi).count() == MOST_SESSIONS
    assert oldest.get("/api/v1/me").status_code == 401
    assert APIClient(HTTP_AUTHORIZATION=f"Token {newest}").get("/api/v1/me").status_code == 200


def test_an_expired_session_takes_no_room(world: World) -> None:
    kept = world.client("pi")
    for _ in range(MOST_SESSIONS):
        expired, _ = begin_program_session(user=world.pi)
        ApiToken.objects.filter(pk=expired.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    body = {"email": world.pi.email, "password": PASSWORD}
    assert APIClient().post("/api/v1/auth/token", body, format="json").status_code == 200
    assert ApiToken.objects.filter(user=world.pi).count() == 2
    assert kept.get("/api/v1/me").status_code == 200


def test_a_token_is_made_by_the_api_shown_once_and_revoked(world: World) -> None:
    session = world.client("pi")
    made = session.post("/api/v1/me/tokens", {"name": "Notebook", "scopes": ["read"], "days": 7}, format="json").json()
    program = APIClient(HTTP_AUTHORIZATION=f"Token {made['token']}")
    assert program.get("/api/v1/me").json()["email"] == world.pi.email
    refused = program.post("/api/v1/studies", {"title": "Another"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "E_SCOPE")
    [listed] = session.get("/api/v1/me/tokens").json()["results"]
    assert "token" not in listed
    assert listed["last_used_at"]
    assert session.delete(f"/api/v1/me/tokens/{made['id']}").status_code == 204
    assert program.get("/api/v1/me").status_code == 401


def test_a_token_that_has_expired_lets_nobody_in_and_goes_with_the_next(world: World) -> None:
    token, secret = make_token(name="Old", scopes=[TokenScope.READ], days=1, by=world.pi)
    program = APIClient(HTTP_AUTHORIZATION=f"Token {secret}")
    assert program.get("/api/v1/me").status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    assert program.get("/api/v1/me").status_code == 401
    make_token(name="New", scopes=[TokenScope.READ], days=1, by=world.pi)
    assert [item.name for item in ApiToken.objects.filter(user=world.pi)] == ["New"]


def test_the_use_of_a_token_is_noted_to_the_minute(world: World) -> None:
    token, secret = make_token(name="Notebook", scopes=[TokenScope.READ], days=1, by=world.pi)
    program = APIClient(HTTP_AUTHORIZATION=f"Token {secret}")
    program.get("/api/v1/me")
    first = ApiToken.objects.get(pk=token.pk).last_used_at
    program.get("/api/v1/me")
    assert first is not None
    assert ApiToken.objects.get(pk=token.pk).last_used_at == first
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(minutes=2))
    program.get("/api/v1/me")
    assert ApiToken.objects.get(pk=token.pk).last_used_at > first - timedelta(minutes=1)  # type: ignore[operator]


def test_sessions_are_listed_with_where_they_are_and_ended(world: World) -> None:
    here, there = world.client("pi"), world.client("pi")
    body = {"email": world.pi.email, "password": PASSWORD}
    key = APIClient(HTTP_USER_AGENT="notebook/1.0").post("/api/v1/auth/token", body, format="json").json()["token"]
    found = here.get("/api/v1/me/sessions").json()["results"]
    assert [item["is_current"] for item in found].count(True) == 1
    assert {item["kind"] for item in found} == {"program"}
    named = next(item for item in found if item["agent"] == "notebook/1.0")
    assert named["address"] == "127.0.0.1"
    assert here.delete(f"/api/v1/me/sessions/{named['id']}").status_code == 204
    assert APIClient(HTTP_AUTHORIZATION=f"Token {key}").get("/api/v1/me").status_code == 401
    assert here.post("/api/v1/me/sessions/end-others").status_code == 204
    assert [client.get("/api/v1/me").status_code for client in (here, there)] == [200, 401]


def test_tries_of_the_present_password_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PasswordByPerson, "THROTTLE_RATES", {"password": "2/hour"})
    client, body = world.client("pi"), {"current": "wrong", "new": "another horse entirely"}
    codes = [client.post("/api/v1/me/password", body, format="json").status_code for _ in range(3)]
    assert codes == [400, 400, 429]


def test_a_refused_sign_in_is_in_the_log_whether_by_page_or_api(world: World) -> None:
    for email in (world.pi.email, "nobody@demo.example"):
        APIClient().post("/api/v1/auth/token", {"email": email, "password": "wrong"}, format="json")
    rows = Event.objects.filter(action="accounts:session:refused", outcome="refused").order_by("id")
    assert [row.object_label for row in rows] == [world.pi.name, "an unknown account"]


def test_one_s_own_account_stays_open(world: World) -> None:
    answer = world.client("admin").patch(f"/api/v1/users/{world.admin.pk}", {"is_active": False}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "E_STATE")


def test_an_account_with_a_known_address_is_refused(world: World) -> None:
    body = {**ACCOUNT, "email": "PI@demo.example"}
    answer = world.client("admin").post("/api/v1/users", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "E_EXISTS")


def test_fields_that_nobody_asked_for_are_refused(world: World) -> None:
    body = {**ACCOUNT, "is_superuser": True, "id": "00000000-0000-4000-8000-000000000000"}
    answer = world.client("admin").post("/api/v1/users", body, format="json")
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"is_superuser", "id"}
    assert not User.objects.filter(email=ACCOUNT["email"]).exists()


def test_too_many_tries_at_one_account_are_slowed_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInByAccount, "THROTTLE_RATES", {"sign-in-account": "3/minute"})
    codes = []
    for number in range(5):
        client = APIClient(REMOTE_ADDR=f"192.0.2.{number}")
        body = {"email": " pi@Demo.example", "password": "wrong"}
        codes.append(client.post("/api/v1/auth/token", body, format="json"))
    assert [answer.status_code for answer in codes] == [401, 401, 401, 429, 429]
    assert codes[-1].json()["code"] == "E_THROTTLED"
    assert int(codes[-1].headers["Retry-After"]) > 0


def test_too_many_tries_from_one_address_are_slowed_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInByAddress, "THROTTLE_RATES", {"sign-in": "2/minute"})
    tries = [{"email": f"{number}@demo.example", "password": "wrong"} for number in range(3)]
    found = [APIClient().post("/api/v1/auth/token", body, format="json").status_code for body in tries]
    assert found == [401, 401, 429]
    cache.clear()


def test_sessions_of_the_pages_work_and_need_their_csrf_token(world: World) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(world.pi)
    assert client.get("/api/v1/me").status_code == 200
    answer = client.post("/api/v1/studies", {"title": "Forged"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "E_FORBIDDEN")


def test_a_role_is_given_by_e_mail_and_taken_back(world: World) -> None:
    pi, theirs = world.client("pi"), world.client("stranger")
    path = f"/api/v1/studies/{world.study.pk}/people"
    answer = pi.post(path, {"user": "stranger@demo.example", "role": "co_investigator"}, format="json")
    assert answer.json() == {
        "user": {"id": str(world.stranger.pk), "name": "Sam Stranger", "email": "stranger@demo.example"},
        "role": "co_investigator",
    }
    assert theirs.get(f"/api/v1/studies/{world.study.pk}").status_code == 200
    assert pi.delete(f"{path}/{world.stranger.pk}/co_investigator").status_code == 204
    assert theirs.get(f"/api/v1/studies/{world.study.pk}").status_code == 404


def test_two_duties_that_exclude_each_other_are_refused(world: World) -> None:
    path = f"/api/v1/studies/{world.study.pk}/people"
    answer = world.client("pi").post(path, {"user": world.site_admin.email, "role": "auditor"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "E_DUTIES")


def test_a_role_that_is_none_and_a_person_who_is_none(world: World) -> None:
    pi, path = world.client("pi"), f"/api/v1/studies/{world.study.pk}/people"
    assert pi.post(path, {"user": "x@demo.example", "role": "auditor"}, format="json").status_code == 404
    assert pi.post(path, {"user": world.stranger.email, "role": "admin"}, format="json").status_code == 400
    answer = pi.delete(f"{path}/{world.stranger.pk}/king")
    assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")


def test_who_may_give_no_roles_does_not_learn_who_has_an_account(world: World) -> None:
    auditor, path = world.client("auditor"), f"/api/v1/studies/{world.study.pk}/people"
    known = auditor.post(path, {"user": world.stranger.email, "role": "auditor"}, format="json")
    unknown = auditor.post(path, {"user": "nobody@demo.example", "role": "auditor"}, format="json")
    assert (known.status_code, known.content) == (403, unknown.content)


def test_every_change_is_in_the_log(world: World) -> None:
    world.client("admin").post("/api/v1/users", ACCOUNT, format="json")
    event = Event.objects.latest("id")
    assert (event.action, event.actor) == ("accounts:user:created", f"user:{world.admin.pk}")
