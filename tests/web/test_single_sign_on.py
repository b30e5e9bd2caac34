"""Single sign-on, with a provider of its own on loopback: who comes in, who does not, and what is never believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.groups import holders
from accounts.identities import link_identity, unlink_identity
from accounts.invitations import invite_person
from accounts.models import Identity, Invitation, User
from accounts.profile import change_password
from accounts.roles import Role
from accounts.sessions import VERIFIED
from audit.models import Event
from fedstudy_core.errors import Refusal
from portal.environment import SingleSignOn
from tests.api.world import PASSWORD, World
from tests.factories.factors import code_of, with_app
from tests.factories.openid import CLIENT, SECRET, Provider, running_provider
from tests.web.markup import assert_sound

START, BACK, SIGN_IN, OWN = "/sign-in/sso", "/sign-in/sso/back", "/sign-in", "/account/sso"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def offered(provider: Provider, settings: Any) -> Callable[..., None]:
    def configure(**more: Any) -> None:
        settings.FEDSTUDY_PUBLIC_URL = "http://testserver"
        sso = SingleSignOn(issuer=provider.issuer, client_id=CLIENT, secret=SECRET, name="Demo Hospital", **more)
        settings.FEDSTUDY_SINGLE_SIGN_ON, settings.SOCIALACCOUNT_PROVIDERS = sso, sso.providers

    configure()
    return configure


def there_and_back(client: Client, start: Any) -> Any:
    """Follow a redirect to the provider and what it answers back into the portal."""
    assert start.status_code == 302, start.content
    answer = httpx.get(start.headers["Location"])
    place = answer.headers["Location"]
    assert place.startswith(f"http://testserver{BACK}?")
    return client.get(place.removeprefix("http://testserver"))


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def linked(user: User, provider: Provider) -> None:
    link_identity(issuer=provider.issuer, subject=provider.person["sub"], email="", by=user)


def refused() -> int:
    return Event.objects.filter(action="accounts:session:refused").count()


def test_who_is_linked_comes_in_and_the_log_says_how(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    client = Client()
    assert "Sign in with Demo Hospital" in assert_sound(client.get(SIGN_IN).content.decode()).text
    answer = there_and_back(client, client.get(START, {"next": "/account"}))
    assert answer.headers["Location"] == "/account"
    assert signed_in(client)
    event = Event.objects.get(action="accounts:session:opened")
    assert (event.actor, event.detail) == (world.pi.audit_name, '{"by":"single sign-on"}')
    assert Identity.objects.get().last_used_at is not None
    assert client.get(START).headers["Location"] == "/"


def test_another_sites_address_is_not_gone_to(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    client = Client()
    answer = there_and_back(client, client.get(START, {"next": "https://elsewhere.example/"}))
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("claims", [{}, {"email": "PI", "email_verified": False}, {"email": "PI"},
                                    {"email": "PI", "email_verified": "true"},
                                    {"email": "nobody@demo.example", "email_verified": True}])  # fmt: skip
def test_an_address_that_is_not_verified_finds_no_account(
    claims: dict[str, Any], world: World, provider: Provider
) -> None:
    provider.person |= {name: world.pi.email if value == "PI" else value for name, value in claims.items()}
    client = Client()
    answer = there_and_back(client, client.get(START))
    assert answer.headers["Location"] == f"{SIGN_IN}?sso=unknown"
    assert not signed_in(client)
    assert "No account is linked" in assert_sound(client.get(answer.headers["Location"]).content.decode()).text
    client.post(SIGN_IN, {"username": world.pi.email, "password": PASSWORD})
    assert signed_in(client)
    assert not Identity.objects.exists()
    assert refused() == 1


def test_a_verified_address_is_linked_once_its_owner_signs_in_too(world: World, provider: Provider) -> None:
    provider.person |= {"email": world.pi.email.upper(), "email_verified": True}
    client = Client()
    answer = there_and_back(client, client.get(START))
    assert answer.headers["Location"] == f"{SIGN_IN}?sso=link"
    assert not signed_in(client)
    assert not Identity.objects.exists()
    client.post(SIGN_IN, {"username": world.pi.email, "password": PASSWORD})
    assert Identity.objects.get().user == world.pi
    other = Client()
    there_and_back(other, other.get(START))
    assert signed_in(other)


def invited_by_link(world: World, email: str = "new@demo.example") -> str:
    _, token = invite_person(email=email, role=Role.AUDITOR, obj=world.study, by=world.pi)
    return token


def asked_to_join(client: Client, token: str, **more: str) -> Any:
    return client.post("/invitation", {"token": token, "sso": "yes", **more})


def test_who_was_invited_opens_their_account_by_it(world: World, provider: Provider) -> None:
    provider.person |= {"name": "New Person", "email": "np@hospital.example", "email_verified": True}
    token, client = invited_by_link(world), Client()
    page = assert_sound(client.get("/invitation", {"token": token}).content.decode())
    assert "Open it with Demo Hospital" in page.text
    answer = there_and_back(client, asked_to_join(client, token))
    assert (answer.headers["Location"], signed_in(client)) == (f"{SIGN_IN}/set-up", False)
    user = User.objects.get(email="new@demo.example")
    assert (user.name, user.has_usable_password()) == ("New Person", False)
    assert list(holders(Role.AUDITOR, world.study).filter(pk=user.pk)) == [user]
    found = Identity.objects.get()
    assert (found.user, found.email) == (user, "np@hospital.example")
    assert client.get("/invitation", {"token": token}).status_code == 403
    with pytest.raises(Refusal, match="no password"):
        unlink_identity(id=found.pk, by=user)
    again = Client()  # before a second factor is set up nothing else opens
    assert there_and_back(again, again.get(START)).headers["Location"] == f"{SIGN_IN}/factor"
    secret = with_app(user)
    there_and_back(again, again.get(START))
    again.post(f"{SIGN_IN}/factor", {"code": code_of(secret)})
    assert signed_in(again)


def test_an_invitation_that_ended_meanwhile_opens_nothing(world: World, provider: Provider) -> None:
    client, token = Client(), invited_by_link(world)
    start = asked_to_join(client, token, name="Typed Name")
    Invitation.objects.update(revoked_at=timezone.now())
    assert there_and_back(client, start).status_code == 403
    assert asked_to_join(client, token).status_code == 403
    assert not Identity.objects.exists()
    assert not User.objects.filter(email="new@demo.example").exists()


def test_who_is_linked_already_opens_no_second_account(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    client = Client()
    answer = there_and_back(client, asked_to_join(client, invited_by_link(world), name="Typed Name"))
    assert answer.headers["Location"] == f"{SIGN_IN}?sso=taken"
    assert "linked to one" in assert_sound(client.get(answer.headers["Location"]).content.decode()).text
    assert not User.objects.filter(email="new@demo.example").exists()
    assert Invitation.objects.get().is_open
    provider.person = {"sub": "s-2"}
    nameless = there_and_back(client, asked_to_join(client, invited_by_link(world)))
    assert nameless.headers["Location"] == f"{SIGN_IN}?sso=nameless"
    there_and_back(client, asked_to_join(client, invited_by_link(world), name="Typed Name"))
    assert User.objects.get(email="new@demo.example").name == "Typed Name"


def test_what_was_offered_to_one_is_not_linked_to_another(world: World, provider: Provider) -> None:
    provider.person |= {"email": world.pi.email, "email_verified": True}
    client = Client()
    there_and_back(client, client.get(START))
    client.post(SIGN_IN, {"username": world.auditor.email, "password": PASSWORD})
    assert signed_in(client)
    assert not Identity.objects.exists()


def test_the_second_factor_is_asked_unless_the_provider_asked_it(
    world: World, provider: Provider, offered: Callable[..., None]
) -> None:
    linked(world.pi, provider)
    secret = with_app(world.pi)
    client = Client()
    assert there_and_back(client, client.get(START)).headers["Location"] == f"{SIGN_IN}/factor"
    assert not signed_in(client)
    client.post(f"{SIGN_IN}/factor", {"code": code_of(secret)})
    assert signed_in(client)
    provider.person |= {"amr": ["pwd", "mfa"]}
    client = Client()
    there_and_back(client, client.get(START))
    assert not signed_in(client), "the portal does not count what it is not told to"
    offered(factor_amr=frozenset({"mfa"}))
    there_and_back(client, client.get(START))
    assert signed_in(client)
    provider.person["amr"], provider.userinfo = ["pwd"], {"amr": ["mfa"]}
    client = Client()
    there_and_back(client, client.get(START))
    assert not signed_in(client), "only what is signed says so"


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://elsewhere.example"}, {"aud": "another"}, {"exp": 0}, {"exp": None},
        {"nonce": "another"}, {"nonce": None}, {"sub": None}, {"azp": "another"}, {"sub": "s-2"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_not_for_this_is_refused(forged: dict[str, Any], world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    provider.token = forged
    client = Client()
    answer = there_and_back(client, client.get(START))
    assert answer.headers["Location"] == f"{SIGN_IN}?sso=refused"
    assert not signed_in(client)
    assert refused() == 1


def test_a_token_of_another_key_is_refused(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    provider.key = ec.generate_private_key(ec.SECP256R1())
    client = Client()
    assert there_and_back(client, client.get(START)).headers["Location"] == f"{SIGN_IN}?sso=refused"
    assert not signed_in(client)


def test_an_answer_counts_once_and_in_the_session_that_asked(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    asking, other = Client(), Client()
    place = httpx.get(asking.get(START).headers["Location"]).headers["Location"].removeprefix("http://testserver")
    assert other.get(place).headers["Location"] == f"{SIGN_IN}?sso=refused"
    assert not signed_in(other)
    asking.get(place)
    assert signed_in(asking)
    again = Client()
    assert again.get(place).headers["Location"] == f"{SIGN_IN}?sso=refused"
    for query in ("", "?error=access_denied", "?code=x&state=y"):
        assert again.get(BACK + query).status_code == 302
    assert not signed_in(again)


def test_a_closed_account_stays_out(world: World, provider: Provider) -> None:
    linked(world.pi, provider)
    User.objects.filter(pk=world.pi.pk).update(is_active=False)
    client = Client()
    assert there_and_back(client, client.get(START)).headers["Location"] == f"{SIGN_IN}?sso=unknown"
    assert not signed_in(client)


def test_ones_own_account_is_linked_and_unlinked(world: World, provider: Provider) -> None:
    client = Client()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    assert "Nothing is linked" in assert_sound(client.get(OWN).content.decode()).text
    provider.person |= {"email": "somebody@hospital.example", "email_verified": True}
    answer = there_and_back(client, client.post(f"{OWN}/link"))
    assert answer.headers["Location"] == OWN
    page = assert_sound(client.get(OWN).content.decode())
    assert "somebody@hospital.example" in page.text
    other = Client()
    other.force_login(world.auditor, backend="django.contrib.auth.backends.ModelBackend")
    there_and_back(other, other.post(f"{OWN}/link"))
    assert "E_EXISTS" in assert_sound(other.get(OWN).content.decode()).text
    found = Identity.objects.get()
    assert found.user == world.pi
    assert other.post(f"{OWN}/{found.pk}/unlink").status_code == 404
    client.post(f"{OWN}/{found.pk}/unlink")
    assert not Identity.objects.exists()
    actions = Event.objects.filter(action__startswith="accounts:identity").order_by("pk")
    assert [event.action.rpartition(":")[2] for event in actions] == ["linked", "unlinked"]


def test_the_answer_links_who_asked_alone(world: World, provider: Provider) -> None:
    client = Client()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    start = client.post(f"{OWN}/link")
    place = httpx.get(start.headers["Location"]).headers["Location"].removeprefix("http://testserver")
    session = client.session
    states = session["socialaccount_states"]
    client.force_login(world.auditor, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["socialaccount_states"] = states
    session.save()
    client.get(place)
    assert not Identity.objects.exists()


def without_password(world: World, provider: Provider) -> Client:
    """Who came in by single sign-on, and has no password, and showed a while ago that it is them."""
    world.pi.set_unusable_password()
    world.pi.save()
    linked(world.pi, provider)
    client = Client()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[VERIFIED] = timezone.now().timestamp() - 3_600
    session.save()
    return client


def test_a_first_password_is_set_by_who_shows_that_it_is_them(world: World, provider: Provider) -> None:
    secret, there, words = with_app(world.pi), "/account/password", "correct horse battery"
    client = without_password(world, provider)
    assert client.get(there).status_code == 403, "asked before there is a form"
    for sent in ({"new": words}, {"new": words, "current": "x"}):
        asked = client.post(there, sent)
        assert asked.status_code == 403 and words not in asked.content.decode()
        assert not User.objects.get(pk=world.pi.pk).has_usable_password()
    shown = {"step-up-then": "GET", "step-up-code": code_of(secret)}
    page = assert_sound(client.post(there, shown, follow=True).content.decode())
    assert "Set a password" in page.text and "Present password" not in page.text
    text = client.post(there, {"new": words}, follow=True).content.decode()
    assert "sign in without your organisation" in text and "Your password is changed" not in text
    told = Event.objects.filter(action__startswith="accounts:password:", actor=world.pi.audit_name)
    assert [event.action for event in told] == ["accounts:password:set"]
    assert User.objects.get(pk=world.pi.pk).check_password(words)
    assert "Present password" in client.get(there).content.decode()
    client.post(there, {"new": "another horse entirely"})
    assert User.objects.get(pk=world.pi.pk).check_password(words), "from now on the present one is asked for"


def test_no_first_password_where_single_sign_on_replaces_them(
    world: World, provider: Provider, offered: Callable[..., None]
) -> None:
    offered(replaces_password=True)
    page = without_password(world, provider).get("/account/password").content.decode()
    assert "takes the place of passwords" in assert_sound(page).text and 'name="new"' not in page
    with pytest.raises(Refusal) as refused:
        change_password(new="correct horse battery", keep=None, by=world.pi)
    assert refused.value.code == "E_SINGLE_SIGN_ON"


def test_passwords_can_be_replaced_for_those_who_are_linked(
    world: World, provider: Provider, offered: Callable[..., None]
) -> None:
    linked(world.pi, provider)
    link_identity(issuer=provider.issuer, subject="admin", email="", by=world.admin)
    offered(replaces_password=True)
    wanted = {world.pi: False, world.auditor: True, world.admin: True}
    for person, comes_in in wanted.items():
        client = Client()
        answer = client.post(SIGN_IN, {"username": person.email, "password": PASSWORD})
        assert signed_in(client) == comes_in
        assert comes_in or "by single sign-on" in assert_sound(answer.content.decode()).text
        sent = {"email": person.email, "password": PASSWORD}
        assert APIClient().post("/api/v1/auth/token", sent).status_code == (200 if comes_in else 401)
    client = Client()
    there_and_back(client, client.get(START))
    assert signed_in(client)


def test_a_provider_that_does_not_answer_is_said_so(world: World, settings: Any) -> None:
    sso = SingleSignOn(issuer="http://127.0.0.1:9", client_id=CLIENT, secret=SECRET)
    settings.FEDSTUDY_SINGLE_SIGN_ON, settings.SOCIALACCOUNT_PROVIDERS = sso, sso.providers
    client = Client()
    assert client.get(START).headers["Location"] == f"{SIGN_IN}?sso=away"


def test_what_leads_there_asks_for_a_code_with_a_challenge(provider: Provider, db: None) -> None:
    asked = parse_qs(
        urlsplit(Client().get(f"{START}?scope=everything&auth_params=prompt%3Dnone").headers["Location"]).query
    )
    assert asked["redirect_uri"] == [f"http://testserver{BACK}"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    assert "prompt" not in asked


@pytest.mark.parametrize("issuer", ["http://sign-in.example", "ftp://sign-in.example"])
def test_a_provider_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="https"):
        SingleSignOn(issuer=issuer, client_id="x", secret="x")
    with pytest.raises(ImproperlyConfigured, match="SECRET"):
        SingleSignOn(issuer="https://sign-in.example")
