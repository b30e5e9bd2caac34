"""Accounts and sites."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import selectors
from accounts.models import SetupToken, Site, User
from accounts.roles import Role
from accounts.services import create_first_admin, create_setup_token, create_site, create_user, set_active
from audit.models import Event
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid, NotFound, Refusal
from tests.factories.accounts import PASSWORD, SiteFactory, UserFactory, holder_of, platform_admin
from tests.factories.studies import new_study

pytestmark = pytest.mark.django_db

ACCOUNT = {"email": "ada@demo.example", "name": "Ada Demo", "password": PASSWORD}


def fields_of(error: FedStudyError) -> set[str]:
    return {problem.field for problem in error.errors}


def test_the_first_administrator_signs_up_once() -> None:
    token = create_setup_token()
    admin = create_first_admin(token=token, **ACCOUNT)
    assert admin.is_platform_admin
    assert not admin.is_superuser
    assert authenticate(username="ada@demo.example", password=PASSWORD) == admin
    with pytest.raises(Forbidden) as refused:
        create_first_admin(token=token, **{**ACCOUNT, "email": "bo@demo.example"})
    assert refused.value.code == "E_TOKEN"
    with pytest.raises(Conflict) as again:
        create_setup_token()
    assert again.value.code == "E_SETUP_DONE"
    assert Event.objects.filter(action="accounts:user:set_up", object_id=str(admin.pk)).count() == 1


def test_a_setup_token_is_kept_as_a_digest_only() -> None:
    token = create_setup_token()
    assert token not in str(SetupToken.objects.values())
    assert token not in str(list(Event.objects.values()))


def test_wrong_expired_and_replaced_setup_tokens_look_alike() -> None:
    replaced = create_setup_token()
    expired = create_setup_token()
    SetupToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answers = set()
    for token in (replaced, expired, "wrong", ""):
        with pytest.raises(Forbidden) as refused:
            create_first_admin(token=token, **ACCOUNT)
        answers.add((refused.value.code, refused.value.detail))
    assert len(answers) == 1
    assert not User.objects.exists()


def test_a_setup_with_a_weak_password_leaves_the_token_good() -> None:
    token = create_setup_token()
    with pytest.raises(Invalid) as refused:
        create_first_admin(token=token, **{**ACCOUNT, "password": "short"})
    assert fields_of(refused.value) == {"password"}
    assert create_first_admin(token=token, **ACCOUNT).is_platform_admin


def test_the_setup_command_prints_a_token_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_setup_token")
    create_first_admin(token=capsys.readouterr().out.split()[-1], **ACCOUNT)
    with pytest.raises(CommandError, match="E_SETUP_DONE"):
        call_command("create_setup_token")


def test_platform_administrators_open_accounts() -> None:
    admin = platform_admin()
    user = create_user(**{**ACCOUNT, "email": " Ada@Demo.example "}, by=admin)
    assert user.email == "ada@demo.example"
    assert authenticate(username="ADA@demo.example", password=PASSWORD) == user
    assert Event.objects.get(action="accounts:user:created").actor == f"user:{admin.pk}"


def test_others_open_no_accounts() -> None:
    with pytest.raises(Forbidden):
        create_user(**ACCOUNT, by=UserFactory.create())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", ""),
        ("name", " "),
        ("name", "x" * 121),
        ("password", "short"),
        ("password", "password12345"[:8]),
        ("password", "ada@demo.example"),
    ],
)
def test_accounts_that_do_not_fit_say_where(field: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        create_user(**{**ACCOUNT, field: value}, by=platform_admin())
    assert fields_of(refused.value) == {field}


def test_an_address_has_one_account() -> None:
    admin = platform_admin()
    create_user(**ACCOUNT, by=admin)
    with pytest.raises(Conflict) as refused:
        create_user(**{**ACCOUNT, "email": "ADA@demo.example"}, by=admin)
    assert refused.value.code == "E_EXISTS"


def test_the_database_knows_no_superuser() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory.create(is_superuser=True)


def test_accounts_are_closed_and_reopened() -> None:
    admin, user = platform_admin(), create_user(**ACCOUNT, by=platform_admin())
    assert not set_active(user=user, is_active=False, by=admin).is_active
    assert authenticate(username=user.email, password=PASSWORD) is None
    set_active(user=user, is_active=False, by=admin)
    assert set_active(user=user, is_active=True, by=admin).is_active
    actions = list(Event.objects.filter(object_id=str(user.pk)).order_by("pk").values_list("action", flat=True))
    assert actions == ["accounts:user:created", "accounts:user:closed", "accounts:user:reopened"]


def test_nobody_closes_their_own_account() -> None:
    admin = platform_admin()
    with pytest.raises(Refusal):
        set_active(user=admin, is_active=False, by=admin)
    with pytest.raises(Forbidden):
        set_active(user=admin, is_active=False, by=UserFactory.create())


def test_platform_administrators_add_sites() -> None:
    admin = platform_admin()
    site = create_site(name=" Demo Hospital ", short_name="Demo", city="Demo City", by=admin)
    assert (site.name, site.short_name, site.country) == ("Demo Hospital", "demo", "")
    assert Event.objects.get(action="accounts:site:created").site == str(site.pk)
    for taken in ({"name": "demo hospital", "short_name": "other"}, {"name": "Other", "short_name": "demo"}):
        with pytest.raises(Conflict):
            create_site(**taken, by=admin)
    with pytest.raises(Forbidden):
        create_site(name="Other", short_name="other", by=UserFactory.create())


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 161), ("short_name", "a b"), ("short_name", "x" * 41), ("city", "x" * 81)],
)
def test_sites_that_do_not_fit_say_where(field: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        create_site(**{"name": "Demo", "short_name": "demo", field: value}, by=platform_admin())
    assert fields_of(refused.value) == {field}
    assert not Site.objects.exists()


def test_sites_are_seen_by_their_people_and_platform_administrators() -> None:
    site, other = SiteFactory.create(), SiteFactory.create()
    assert list(selectors.visible_sites(holder_of(Role.STEWARD, site))) == [site]
    assert set(selectors.visible_sites(platform_admin())) == {site, other}
    assert not selectors.visible_sites(UserFactory.create()).exists()


def test_accounts_are_listed_for_platform_administrators() -> None:
    admin, user = platform_admin(), UserFactory.create()
    assert set(selectors.visible_accounts(admin)) == {admin, user}
    assert not selectors.visible_accounts(user).exists()


def test_people_are_found_by_id_or_address() -> None:
    user = UserFactory.create(email="ada@demo.example")
    assert selectors.person_named(str(user.pk)) == selectors.person_named(" Ada@demo.example ") == user
    for unknown in ("nobody@demo.example", str(uuid.uuid4()), ""):
        with pytest.raises(NotFound):
            selectors.person_named(unknown)


def test_a_person_knows_their_roles() -> None:
    study, pi = new_study(title="Demo study")
    site = SiteFactory.create(name="Demo Hospital")
    assert [(held.role, held.kind, held.id, held.name) for held in pi.roles] == [
        (Role.PI, "study", study.pk, "Demo study")
    ]
    admin = holder_of(Role.ADMIN, site)
    assert [(held.role, held.kind, held.name) for held in admin.roles] == [(Role.ADMIN, "site", "Demo Hospital")]
