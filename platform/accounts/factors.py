"""Second factors: codes of an app (TOTP), passkeys, and recovery codes for the day when both are lost.

Models and ceremonies are allauth's, which reads the session of the request at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.permissions import Permission, check
from accounts.sessions import end_everything
from accounts.signals import factors_reset
from audit.services import record
from fedstudy_core.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound, Refusal

APP, PASSKEY, RECOVERY = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN, Authenticator.Type.RECOVERY_CODES
KINDS = {APP: gettext_noop("app"), PASSKEY: gettext_noop("passkey"), RECOVERY: gettext_noop("recovery code")}
MOST_FACTORS = 10
Json = Mapping[str, Any]


def are_required() -> bool:
    """Whether everybody needs a second factor to get in."""
    return bool(settings.FEDSTUDY_FACTORS_REQUIRED)


def factors_of(user: User) -> QuerySet[Authenticator]:
    """The person's factors, the oldest first; recovery codes are none."""
    return Authenticator.objects.filter(user=user, type__in=[APP, PASSKEY]).order_by("created_at", "pk")


def factor_named(user: User, text: str) -> Authenticator:
    """One of the person's factors by its number.

    Raises:
        NotFound: E_NOT_FOUND.
    """
    found = factors_of(user).filter(pk=int(text)).first() if text.isdecimal() and len(text) < 10 else None
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such factor, or it is not yours.")
    return found


def has_factor(user: User) -> bool:
    """Whether the person has a factor."""
    return factors_of(user).exists()


def recovery_codes_left(user: User) -> int:
    """How many recovery codes have not been used."""
    held = _recovery(user)
    return 0 if held is None else len(held.get_unused_codes())


@transaction.atomic
def add_app(*, secret: str, code: str, by: User) -> list[str]:
    """Add an app that shows codes; returns new recovery codes with the first factor, to be shown this once.

    Raises:
        Invalid: E_CODE for a code that the app would not show.
        Conflict: E_EXISTS where there is an app.
    """
    _lock(by)
    if factors_of(by).filter(type=APP).exists():
        raise Conflict("E_EXISTS", "You have an app already; remove it first.")
    if not totp.validate_totp_code(secret, code):
        raise _wrong("code")
    added = totp.TOTP.activate(by, secret)
    return _added(by, added.instance)


@transaction.atomic
def add_passkey(*, name: str, credential: Json, by: User) -> list[str]:
    """Add a passkey that a browser made for the present session; returns as `add_app` does.

    Raises:
        Invalid: E_CODE for one that does not belong here, E_INVALID for its name.
        Refusal: E_STATE for too many.
    """
    _lock(by)
    name = name.strip() or "Passkey"
    if len(name) > 80:
        raise Invalid("E_INVALID", errors=[FieldProblem("name", "E_INVALID", "A name has at most 80 characters.")])
    if factors_of(by).count() >= MOST_FACTORS:
        raise Refusal("E_STATE", f"You have {MOST_FACTORS} factors already; remove one first.")
    try:
        webauthn.parse_registration_response(credential)
        made = webauthn.complete_registration(dict(credential))
    except (ValidationError, KeyError, ValueError, TypeError) as error:
        raise _wrong("credential") from error
    if not made.is_user_verified():
        raise _wrong("credential")
    added = webauthn.WebAuthn.add(by, name, dict(credential))
    return _added(by, added.instance)


@transaction.atomic
def renew_recovery_codes(*, by: User) -> list[str]:
    """Ten new recovery codes, to be shown this once; the old ones end.

    Raises:
        Refusal: E_STATE for somebody without a factor.
    """
    _lock(by)
    if not has_factor(by):
        raise Refusal("E_STATE", "Recovery codes stand in for a factor; set one up first.")
    Authenticator.objects.filter(user=by, type=RECOVERY).delete()
    record(action="accounts:recovery:renewed", actor=by, obj=by)
    return list(RecoveryCodes.activate(by).generate_codes())


@transaction.atomic
def remove_factor(*, factor: Authenticator, by: User) -> None:
    """Remove one of the person's factors.

    Raises:
        Refusal: E_STATE for the last one, where everybody needs one.
    """
    _lock(by)
    is_last = not factors_of(by).exclude(pk=factor.pk).exists()
    if is_last and are_required():
        raise Refusal("E_STATE", "This is your last factor, and you need one here; add another one first.")
    record(action="accounts:factor:removed", actor=by, obj=by, detail=_detail(factor))
    factor.delete()
    if is_last:
        Authenticator.objects.filter(user=by, type=RECOVERY).delete()


@transaction.atomic
def reset_factors(*, user: User, by: User) -> None:
    """Remove all factors of somebody who lost them; they set up new ones when they sign in next, and are told.

    Raises:
        Forbidden: E_FORBIDDEN.
        Refusal: E_STATE for oneself.
    """
    check(by, Permission.USERS_MANAGE)
    if user.pk == by.pk:
        raise Refusal("E_STATE", "Another administrator resets yours.")
    _lock(user)
    Authenticator.objects.filter(user=user).delete()
    end_everything(user)
    record(action="accounts:factor:reset", actor=by, obj=user)
    factors_reset.send(sender=User, user=user, by=by)


def check_code(user: User, code: str) -> None:
    """Hold a code of the person's app, or a recovery code, to what they have; either counts once.

    Raises:
        Forbidden: E_CODE.
    """
    code = code.strip().replace(" ", "")
    app = factors_of(user).filter(type=APP).first()
    if app is not None and totp.TOTP(app).validate_code(code):
        app.record_usage()
        return
    held = _recovery(user)
    if held is None or not held.validate_code(code):
        raise Forbidden("E_CODE")
    held.instance.record_usage()
    with transaction.atomic():
        record(action="accounts:recovery:used", actor=user, obj=user, detail={"left": str(recovery_codes_left(user))})


def check_passkey(user: User | None, response: Json) -> User:
    """Hold a passkey's answer to the challenge of the session; without a person it says itself whose it is.

    Raises:
        Forbidden: E_CODE.
    """
    try:
        webauthn.parse_authentication_response(response)
        owner = user or webauthn.extract_user_from_response(dict(response))
        factor = webauthn.complete_authentication(owner, dict(response))
    except (ValidationError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Forbidden("E_CODE") from error
    if not owner.is_active:
        raise Forbidden("E_CODE")
    factor.record_usage()
    return User.objects.get(pk=owner.pk)


def _added(user: User, factor: Authenticator) -> list[str]:
    record(action="accounts:factor:added", actor=user, obj=user, detail=_detail(factor))
    if _recovery(user) is not None:
        return []
    return list(RecoveryCodes.activate(user).generate_codes())


def _recovery(user: User) -> RecoveryCodes | None:
    held = Authenticator.objects.filter(user=user, type=RECOVERY).first()
    return None if held is None else RecoveryCodes(held)


def _detail(factor: Authenticator) -> dict[str, str]:
    return {"kind": KINDS[Authenticator.Type(factor.type)], "name": str(factor)}


def _lock(user: User) -> None:
    User.objects.select_for_update().get(pk=user.pk)


def _wrong(field: str) -> Invalid:
    return Invalid("E_CODE", errors=[FieldProblem(field, "E_CODE", "This did not fit; try again.")])
