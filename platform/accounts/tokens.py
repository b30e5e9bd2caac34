"""Tokens of the API: made by their owner for a purpose, shown once, ended at will; and the sessions of programs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from accounts.models import ApiToken, User
from accounts.scopes import TokenScope
from audit.services import record
from fedstudy_core.errors import FieldProblem, Invalid, Refusal

PREFIX = "fst_"
MOST_TOKENS = 20
MOST_SESSIONS = 20
NOTED_EVERY = timedelta(minutes=1)


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """The person's own tokens that have not expired."""
    return ApiToken.objects.filter(user=user, expiry__gt=timezone.now()).exclude(scopes=[])


@transaction.atomic
def make_token(*, name: str, scopes: Collection[TokenScope], days: int, by: User) -> tuple[ApiToken, str]:
    """Make a token for some purposes; what is returned beside it is shown this once.

    Args:
        days: until it expires, 1 to 90.

    Raises:
        Invalid: E_INVALID with problems by field.
        Refusal: E_STATE for somebody who holds too many.
    """
    name = name.strip()
    problems = _problems(name, scopes, days)
    if problems:
        raise Invalid("E_INVALID", "Some of the token's details do not fit.", errors=problems)
    User.objects.select_for_update().get(pk=by.pk)
    _forget_expired(by)
    if tokens_of(by).count() >= MOST_TOKENS:
        raise Refusal("E_STATE", f"You have {MOST_TOKENS} tokens already; revoke one first.")
    chosen = [scope.value for scope in TokenScope if scope in scopes]
    token, secret = _create(PREFIX, user=by, expiry=timezone.now() + timedelta(days=days), name=name, scopes=chosen)
    detail = {"name": name, "scopes": ", ".join(chosen), "until": f"{token.expiry:%Y-%m-%d}"}
    record(action="accounts:token:made", actor=by, obj=by, detail=detail)
    return token, secret


@transaction.atomic
def revoke_token(*, token: ApiToken, by: User) -> None:
    """End a token before it expires."""
    token.delete()
    record(action="accounts:token:revoked", actor=by, obj=by, detail={"name": token.name})


@transaction.atomic
def begin_program_session(*, user: User, address: str = "", agent: str = "", aal: int = 1) -> tuple[ApiToken, str]:
    """Sign a program in as a person; the oldest of the person's ends where there would be too many.

    Args:
        aal: how many factors were shown, 1 or 2.
    """
    User.objects.select_for_update().get(pk=user.pk)
    _forget_expired(user)
    held = ApiToken.objects.filter(user=user, scopes=[])
    oldest = held.order_by("-created", "-id").values_list("pk", flat=True)[MOST_SESSIONS - 1 :]
    held.filter(pk__in=list(oldest)).delete()
    now = timezone.now()
    token, secret = _create(
        user=user,
        expiry=now + timedelta(seconds=settings.SESSION_COOKIE_AGE),
        last_used_at=now,
        address=address[:45],
        agent=agent[:200],
        aal=aal,
    )
    record(action="accounts:token:issued", actor=user, obj=user, detail={"factors": str(aal)})
    return token, secret


@transaction.atomic
def give_back(token: ApiToken, *, by: User) -> None:
    """End a program's session, or a token, by the program itself."""
    token.delete()
    record(action="accounts:token:returned", actor=by, obj=by, detail={"name": token.name} if token.name else {})


def note_use(token: ApiToken) -> None:
    """Note that a token was used, to the minute."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _forget_expired(user: User) -> None:
    ApiToken.objects.filter(user=user, expiry__lte=timezone.now()).delete()


def _create(prefix: str = "", **fields: Any) -> tuple[ApiToken, str]:
    digest, secret = get_digest_token(prefix)
    key = secret[: CONSTANTS.TOKEN_KEY_LENGTH]
    return ApiToken.objects.create(digest=digest, token_key=key, **fields), secret


def _problems(name: str, scopes: Collection[TokenScope], days: int) -> list[FieldProblem]:
    problems = []
    if not 1 <= len(name) <= 80:
        problems.append(FieldProblem("name", "E_INVALID", "A name has 1 to 80 characters."))
    if not scopes:
        problems.append(FieldProblem("scopes", "E_INVALID", "Say what the token is for."))
    if not 1 <= days <= ApiToken.LONGEST.days:
        problems.append(FieldProblem("days", "E_INVALID", f"A token is good for 1 to {ApiToken.LONGEST.days} days."))
    return problems
