"""Signing in with a second factor, and setting up the first one; by pages and by the API."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework.throttling import SimpleRateThrottle

from accounts import factors
from audit.models import Event
from portal.web.signing_in import GOOD_FOR_S, PENDING
from tests.api import world as worlds
from tests.api.world import World
from tests.factories.factors import code_of, with_app
from tests.factories.passkeys import SoftPasskey
from tests.web.markup import assert_sound

SIGN_IN, FACTOR, SET_UP = "/sign-in", "/sign-in/factor", "/sign-in/set-up"


@pytest.fixture
def required(settings: Any) -> None:
    settings.FEDSTUDY_FACTORS_REQUIRED = True


def with_password(world: World, goes_to: str = "") -> Client:
    """Somebody whose password was right."""
    client = Client()
    form = {"username": world.pi.email, "password": worlds.PASSWORD, "next": goes_to}
    assert client.post(SIGN_IN, form).status_code == 302
    return client


def device() -> SoftPasskey:
    return SoftPasskey(rp_id="testserver", origin="http://testserver")


def options(client: Client, purpose: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(reverse("web:passkey-options", args=[purpose])).json()["publicKey"]
    return found


def made(client: Client, passkey: SoftPasskey) -> str:
    credential = passkey.created(options(client, "new"))
    return json.dumps({**credential, "clientExtensionResults": {"credProps": {"rk": True}}})


def answered(client: Client, passkey: SoftPasskey, purpose: str, handle: str | None = None) -> str:
    answer = passkey.sign_challenge(options(client, purpose)["challenge"])
    if handle is not None:
        answer["response"]["userHandle"] = handle
    return json.dumps({**answer, "clientExtensionResults": {}})


def test_who_has_no_factor_sets_one_up_before_anything_else(world: World, required: None) -> None:
    client = with_password(world, f"/studies/{world.study.pk}")
    assert client.get("/").status_code == 302
    assert client.get("/account/factors").headers["Location"].startswith("/sign-in?")
    assert client.get("/api/v1/me").status_code == 401
    answer = client.get(FACTOR, follow=True)
    assert answer.redirect_chain == [(SET_UP, 302)]
    page = assert_sound(answer.content.decode())
    secret = "".join(re.findall(r"[A-Z2-7]{4}(?: [A-Z2-7]{4}){7}", page.text)[0].split())
    assert client.post(SET_UP, {"code": "12"}).status_code == 400
    answer = client.post(SET_UP, {"code": code_of(secret)})
    assert answer.status_code == 201
    assert len(re.findall(r"\b\d{16}\b", assert_sound(answer.content.decode()).text)) == 10
    assert f'href="/studies/{world.study.pk}"' in answer.content.decode()
    assert client.get("/").status_code == 200
    assert client.get(SET_UP).status_code == 302


def test_a_password_alone_reaches_nothing(world: World) -> None:
    secret = with_app(world.pi)
    client = with_password(world)
    key = client.session.session_key
    assert client.get("/").status_code == 302
    assert client.get("/api/v1/me").status_code == 401
    assert client.get(SET_UP).headers["Location"] == FACTOR
    assert_sound(client.get(FACTOR).content.decode())
    assert client.post(FACTOR, {"code": "000000x"}).status_code == 400
    assert client.get("/").status_code == 302
    assert client.post(FACTOR, {"code": code_of(secret)}).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.session.session_key != key
    assert Event.objects.filter(action="accounts:session:opened").count() == 1
    assert Event.objects.filter(action="accounts:session:refused").count() == 1


def test_the_time_between_password_and_factor_is_short(world: World) -> None:
    secret = with_app(world.pi)
    client = with_password(world)
    session = client.session
    session[PENDING] = {**session[PENDING], "at": timezone.now().timestamp() - GOOD_FOR_S - 1}
    session.save()
    assert client.post(FACTOR, {"code": code_of(secret)}).headers["Location"] == SIGN_IN
    assert client.get("/").status_code == 302


def test_wrong_codes_lock_out_and_a_right_one_forgets_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {**SimpleRateThrottle.THROTTLE_RATES, "code": "3/hour"}
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
    secret = with_app(world.pi)
    client = with_password(world)
    assert [client.post(FACTOR, {"code": "wrong"}).status_code for _ in range(2)] == [400, 400]
    assert client.post(FACTOR, {"code": code_of(secret)}).status_code == 302
    client = with_password(world)
    assert [client.post(FACTOR, {"code": "wrong"}).status_code for _ in range(3)] == [400, 400, 400]
    assert client.post(FACTOR, {"code": code_of(secret, steps=1)}).status_code == 429
    body = {"email": world.pi.email, "password": worlds.PASSWORD, "code": code_of(secret, steps=1)}
    assert APIClient().post("/api/v1/auth/token", body, format="json").status_code == 429


def test_a_passkey_is_set_up_and_signs_in_alone(world: World, required: None) -> None:
    passkey, client = device(), with_password(world)
    assert client.post(SET_UP, {"credential": made(client, passkey), "name": "Laptop"}).status_code == 201
    assert [str(item) for item in factors.factors_of(world.pi)] == ["Laptop"]
    other = Client()
    handle = options_handle(world)
    assert (
        other.post("/sign-in/passkey", {"credential": answered(other, passkey, "sign-in", handle)}).status_code == 302
    )
    assert other.get("/").status_code == 200


def options_handle(world: World) -> str:
    """The handle by which a passkey says whose it is."""
    from allauth.account.utils import user_pk_to_url_str
    from fido2.utils import websafe_encode

    return websafe_encode(user_pk_to_url_str(world.pi).encode())


def test_a_passkey_is_the_second_factor(world: World) -> None:
    client, passkey = Client(), device()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/account/factors", {"credential": made(client, passkey), "name": ""}).status_code == 201
    client = with_password(world)
    assert 'data-passkey="get"' in client.get(FACTOR).content.decode()
    assert client.post(FACTOR, {"credential": answered(client, passkey, "factor")}).headers["Location"] == "/"


def test_passkeys_that_do_not_belong_here_are_refused(world: World) -> None:
    client, passkey = Client(), device()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    for credential in ("{}", "[]", "1", "x", '{"id": "x", "rawId": "x", "response": {}, "type": "public-key"}'):
        assert client.post("/account/factors", {"credential": credential}).status_code == 400
    used = made(client, passkey)
    client.post("/account/factors", {"credential": used})
    assert client.post("/account/factors", {"credential": used}).status_code == 400  # its challenge was answered
    waiting, stranger = with_password(world), device()
    for credential in ("{}", answered(waiting, stranger, "factor")):
        assert waiting.post(FACTOR, {"credential": credential}).status_code == 400
    for credential in ("{}", "x", answered(Client(), passkey, "sign-in", options_handle(world))):
        assert Client().post("/sign-in/passkey", {"credential": credential}).headers["Location"].startswith(SIGN_IN)


def test_a_closed_account_has_no_passkey(world: World) -> None:
    client, passkey = Client(), device()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    client.post("/account/factors", {"credential": made(client, passkey)})
    world.pi.is_active = False
    world.pi.save()
    other = Client()
    answer = other.post("/sign-in/passkey", {"credential": answered(other, passkey, "sign-in", options_handle(world))})
    assert answer.headers["Location"].startswith(SIGN_IN)
    assert other.get("/").status_code == 302


def test_options_are_for_those_who_may_use_them() -> None:
    for purpose in ("factor", "new", "other"):
        assert Client().get(reverse("web:passkey-options", args=[purpose])).status_code == 404


def test_the_account_shows_factors_and_renews_codes(world: World) -> None:
    client = Client()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    secret = re.findall(r"[A-Z2-7]{4}(?: [A-Z2-7]{4}){7}", client.get("/account/factors").content.decode())[0]
    answer = client.post("/account/factors", {"code": code_of(secret.replace(" ", ""))})
    assert (answer.status_code, "shown once" in answer.content.decode()) == (201, True)
    page = assert_sound(client.get("/account/factors").content.decode())
    assert "10 recovery codes left" in page.text
    assert client.post("/account/recovery-codes").status_code == 201
    number = factors.factors_of(world.pi).get().pk
    assert client.post(f"/account/factors/{number}/remove").status_code == 302
    assert not factors.has_factor(world.pi)


def test_the_api_wants_the_code_too(world: World, required: None) -> None:
    def signed_in(**more: str) -> tuple[int, str]:
        body = {"email": world.pi.email, "password": worlds.PASSWORD, **more}
        answer = APIClient().post("/api/v1/auth/token", body, format="json")
        return answer.status_code, answer.json().get("code", "")

    assert signed_in() == (403, "E_FACTOR_MISSING")
    secret = with_app(world.pi)
    assert signed_in() == (401, "E_FACTOR")
    assert signed_in(code="wrong") == (401, "E_CODE")
    assert signed_in(password="wrong", code=code_of(secret)) == (401, "E_CREDENTIALS")
    assert signed_in(code=code_of(secret)) == (200, "")


def test_the_api_lists_and_removes_factors_and_administrators_reset_them(world: World) -> None:
    with_app(world.pi)
    theirs = world.client("pi")
    [listed] = theirs.get("/api/v1/me/factors").json()["results"]
    assert listed["kind"] == "app"
    assert world.client("admin").delete(f"/api/v1/users/{world.pi.pk}/factors").status_code == 204
    assert theirs.get("/api/v1/me").status_code == 401
    assert not factors.has_factor(world.pi)
    assert world.pi.notifications.filter(kind="factors", created_at__gt=timezone.now() - timedelta(minutes=1)).exists()  # type: ignore[attr-defined]
