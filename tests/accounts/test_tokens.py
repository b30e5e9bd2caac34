"""Tokens and sessions, as services keep them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import sessions
from accounts.models import ApiToken, Session, User
from accounts.profile import change_password, rename_self
from accounts.scopes import TokenScope
from accounts.services import set_active
from accounts.tokens import MOST_SESSIONS, MOST_TOKENS, begin_program_session, make_token, revoke_token, tokens_of
from audit.models import Event
from fedstudy_core.errors import FedStudyError, Invalid, NotFound, Refusal
from tests.factories.accounts import PASSWORD, UserFactory, platform_admin

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ada@demo.example", PASSWORD, name="Ada Demo")


def a_token(person: User, **changes: object) -> tuple[ApiToken, str]:
    return make_token(**{"name": "Notebook", "scopes": {TokenScope.READ}, "days": 30, "by": person, **changes})  # type: ignore[arg-type]


def in_a_browser(person: User, **data: object) -> sessions.SessionStore:
    store = sessions.SessionStore()
    store["_auth_user_id"] = str(person.pk)
    sessions.begin(store, address="192.0.2.7", agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    store.update(data)
    store.save()
    return store


def test_a_token_is_kept_as_a_digest_only(person: User) -> None:
    _, secret = a_token(person)
    assert secret.startswith("fst_")
    assert len(secret) >= 64
    assert secret not in str(list(ApiToken.objects.values()))
    assert secret not in str(list(Event.objects.values()))
    event = Event.objects.get(action="accounts:token:made")
    assert (event.actor, "Notebook" in event.detail, "read" in event.detail) == (person.audit_name, True, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("name", "x" * 81), ("scopes", set()), ("days", 0), ("days", 91)],
)
def test_tokens_that_do_not_fit_say_where(person: User, field: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        a_token(person, **{field: value})
    assert {problem.field for problem in refused.value.errors} == {field}
    assert not ApiToken.objects.exists()


def test_ninety_days_are_the_most_that_the_database_takes(person: User) -> None:
    token, _ = a_token(person, days=90)
    session, _ = begin_program_session(user=person)
    for changed, expiry in ((token, timedelta(days=91)), (session, timedelta(days=2))):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiToken.objects.filter(pk=changed.pk).update(expiry=timezone.now() + expiry)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiToken.objects.filter(pk=token.pk).update(scopes=["sign"])


def test_a_person_holds_so_many_tokens_and_no_more(person: User) -> None:
    for _ in range(MOST_TOKENS):
        a_token(person)
    with pytest.raises(Refusal):
        a_token(person)
    revoke_token(token=tokens_of(person)[0], by=person)
    a_token(person)


def test_the_oldest_session_of_a_program_makes_room(person: User) -> None:
    token, _ = a_token(person)
    first, _ = begin_program_session(user=person)
    for _ in range(MOST_SESSIONS):
        begin_program_session(user=person)
    held = ApiToken.objects.filter(user=person)
    assert held.filter(scopes=[]).count() == MOST_SESSIONS
    assert not held.filter(pk=first.pk).exists()
    assert held.filter(pk=token.pk).exists()


def test_sessions_are_listed_to_their_person_only(person: User) -> None:
    store = in_a_browser(person)
    begin_program_session(user=person, address="192.0.2.8", agent="notebook")
    a_token(person)
    in_a_browser(UserFactory.create())
    found = {item.kind: item for item in sessions.sessions_of(person)}
    assert set(found) == {"browser", "program"}
    assert (found["browser"].id, found["browser"].address) == (sessions.handle_of(store), "192.0.2.7")
    assert (found["program"].address, found["program"].agent) == ("192.0.2.8", "notebook")


def test_a_session_keeps_its_handle_when_its_key_is_rotated(person: User) -> None:
    store = in_a_browser(person)
    handle, key = sessions.handle_of(store), store.session_key
    store.cycle_key()
    store.save()
    assert (sessions.handle_of(store), store.session_key == key) == (handle, False)
    assert [item.id for item in sessions.sessions_of(person)] == [handle]
    assert Session.objects.get().user == person


def test_sessions_are_ended_by_their_person(person: User) -> None:
    kept, other = in_a_browser(person), in_a_browser(person)
    program, _ = begin_program_session(user=person)
    foreign = in_a_browser(UserFactory.create())
    sessions.end_session(id=program.pk, by=person)
    assert len(sessions.sessions_of(person)) == 2
    for gone in (program.pk, sessions.handle_of(foreign)):
        with pytest.raises(NotFound):
            sessions.end_session(id=gone, by=person)  # type: ignore[arg-type]
    assert sessions.end_other_sessions(keep=sessions.handle_of(kept), by=person) == 1
    assert not other.exists(other.session_key)
    assert [item.id for item in sessions.sessions_of(person)] == [sessions.handle_of(kept)]
    assert sessions.end_other_sessions(keep=sessions.handle_of(kept), by=person) == 0
    assert Event.objects.filter(action="accounts:session:ended").count() == 2


def test_a_closed_account_loses_all_that_lets_it_in(person: User) -> None:
    in_a_browser(person)
    begin_program_session(user=person)
    a_token(person)
    admin = platform_admin()
    set_active(user=person, is_active=False, by=admin)
    set_active(user=person, is_active=True, by=admin)
    assert not sessions.sessions_of(person)
    assert not tokens_of(person).exists()


def test_a_new_password_ends_other_sessions_and_leaves_tokens(person: User) -> None:
    kept = in_a_browser(person)
    in_a_browser(person)
    begin_program_session(user=person)
    a_token(person)
    handle = sessions.handle_of(kept)
    changed = change_password(current=PASSWORD, new="another horse entirely", keep=handle, by=person)
    assert changed.check_password("another horse entirely")
    assert [item.id for item in sessions.sessions_of(person)] == [handle]
    assert tokens_of(person).count() == 1
    assert Event.objects.filter(action="accounts:password:changed", actor=person.audit_name).exists()


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("wrong", "another horse entirely", "current"), (PASSWORD, "short", "new"), (PASSWORD, "password12345", "new")],
)
def test_passwords_that_do_not_fit_change_nothing(person: User, current: str, new: str, field: str) -> None:
    with pytest.raises(FedStudyError) as refused:
        change_password(current=current, new=new, keep=None, by=person)
    assert {problem.field for problem in refused.value.errors} == {field}
    assert User.objects.get(pk=person.pk).check_password(PASSWORD)


def test_a_person_changes_their_name(person: User) -> None:
    assert rename_self(name=" Ada Lovelace ", by=person).name == "Ada Lovelace"
    assert "Ada Demo" in Event.objects.get(action="accounts:user:renamed").detail
    with pytest.raises(Invalid):
        rename_self(name=" ", by=person)
