"""Second factors, as services keep them; passkeys: `tests.web.test_second_factor`."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret

from accounts import factors
from accounts.models import User
from accounts.tokens import begin_program_session
from audit.models import Event
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from tests.factories.accounts import PASSWORD, UserFactory, platform_admin
from tests.factories.factors import code_of, with_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ada@demo.example", PASSWORD, name="Ada Demo")


def test_an_app_is_added_by_its_code_and_comes_with_recovery_codes(person: User) -> None:
    secret = generate_totp_secret()
    with pytest.raises(Invalid) as refused:
        factors.add_app(secret=secret, code="000000" if code_of(secret) != "000000" else "111111", by=person)
    assert refused.value.code == "E_CODE"
    codes = factors.add_app(secret=secret, code=code_of(secret), by=person)
    assert (len(codes), {len(code) for code in codes}) == (10, {16})
    assert factors.recovery_codes_left(person) == 10
    stored = str(list(Authenticator.objects.values()))
    assert secret not in stored
    assert not any(code in stored for code in codes)
    with pytest.raises(Conflict):
        factors.add_app(secret=secret, code=code_of(secret), by=person)
    assert Event.objects.get(action="accounts:factor:added").actor == person.audit_name


def test_a_code_counts_once(person: User) -> None:
    secret = with_app(person)
    factors.check_code(person, f" {code_of(secret)[:3]} {code_of(secret)[3:]} ")
    with pytest.raises(Forbidden) as refused:
        factors.check_code(person, code_of(secret))
    assert refused.value.code == "E_CODE"
    assert factors.factors_of(person).get().last_used_at


def test_a_recovery_code_counts_once_and_is_in_the_log(person: User) -> None:
    secret = generate_totp_secret()
    codes = factors.add_app(secret=secret, code=code_of(secret), by=person)
    factors.check_code(person, codes[3])
    assert factors.recovery_codes_left(person) == 9
    assert Event.objects.filter(action="accounts:recovery:used").count() == 1
    with pytest.raises(Forbidden):
        factors.check_code(person, codes[3])
    renewed = factors.renew_recovery_codes(by=person)
    assert not set(renewed) & set(codes)
    with pytest.raises(Forbidden):
        factors.check_code(person, codes[0])


def test_codes_of_others_fit_nobody_else(person: User) -> None:
    other = UserFactory.create()
    secret = with_app(other)
    with pytest.raises(Forbidden):
        factors.check_code(person, code_of(secret))


@pytest.mark.parametrize("required", [True, False])
def test_the_last_factor_stays_where_everybody_needs_one(person: User, required: bool, settings: object) -> None:
    settings.FEDSTUDY_FACTORS_REQUIRED = required  # type: ignore[attr-defined]
    secret = generate_totp_secret()
    factors.add_app(secret=secret, code=code_of(secret), by=person)
    factor = factors.factors_of(person).get()
    if required:
        with pytest.raises(Refusal):
            factors.remove_factor(factor=factor, by=person)
        assert factors.has_factor(person)
        return
    factors.remove_factor(factor=factor, by=person)
    assert not Authenticator.objects.filter(user=person).exists()
    assert Event.objects.filter(action="accounts:factor:removed").exists()


def test_factors_are_found_by_their_person_only(person: User) -> None:
    with_app(person)
    number = str(factors.factors_of(person).get().pk)
    assert factors.factor_named(person, number).user == person
    for who, text in ((UserFactory.create(), number), (person, "x"), (person, "9" * 30)):
        with pytest.raises(NotFound):
            factors.factor_named(who, text)


def test_recovery_codes_stand_in_for_a_factor(person: User) -> None:
    with pytest.raises(Refusal):
        factors.renew_recovery_codes(by=person)


def test_an_administrator_resets_factors_and_the_person_is_told(person: User) -> None:
    with_app(person)
    begin_program_session(user=person)
    admin = platform_admin()
    for nobody in (UserFactory.create(), person):
        with pytest.raises(Forbidden):
            factors.reset_factors(user=person, by=nobody)
    with pytest.raises(Refusal):
        factors.reset_factors(user=admin, by=admin)
    factors.reset_factors(user=person, by=admin)
    assert not factors.has_factor(person)
    assert not person.auth_token_set.exists()
    assert [told.kind for told in person.notifications.all()] == ["factors"]  # type: ignore[attr-defined]
    assert Event.objects.get(action="accounts:factor:reset").actor == admin.audit_name
