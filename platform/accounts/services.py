"""Opening and closing accounts, and adding sites."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email, validate_slug
from django.db import transaction
from django.utils import timezone

from accounts import groups
from accounts.duplicates import refuse_duplicates
from accounts.grants import grant_role, revoke_role
from accounts.models import SetupToken, Site, User
from accounts.permissions import Permission, check
from accounts.sessions import end_everything
from audit.services import record
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict, FieldProblem, Forbidden, Invalid, Refusal

__all__ = [
    "create_first_admin",
    "create_setup_token",
    "create_site",
    "create_user",
    "grant_role",
    "note_refused_sign_in",
    "open_account",
    "password_problems",
    "revoke_role",
    "set_active",
]

SETUP_TOKEN_LIFE = timedelta(hours=24)


@transaction.atomic
def create_setup_token(*, by: str = "system:console") -> str:
    """The one-time token of the first platform administrator, good for 24 hours; it replaces earlier ones.

    Raises:
        Conflict: E_SETUP_DONE, when there is an administrator already.
    """
    _refuse_second_setup()
    SetupToken.objects.filter(used_at=None).delete()
    token = secrets.token_urlsafe(32)
    stored = SetupToken.objects.create(digest=digest(token.encode()), expires_at=timezone.now() + SETUP_TOKEN_LIFE)
    record(action="accounts:setup:offered", actor=by, obj=stored)
    return token


@transaction.atomic
def create_first_admin(*, token: str, email: str, name: str, password: str) -> User:
    """Open the first platform administrator's account, once.

    Raises:
        Forbidden: E_TOKEN for a token that is wrong, used or expired.
        Conflict: E_SETUP_DONE.
        Invalid: E_INVALID with problems by field.
    """
    stored = SetupToken.objects.select_for_update().filter(digest=digest(token.encode())).first()
    if stored is None or stored.used_at is not None or stored.expires_at <= timezone.now():
        raise Forbidden("E_TOKEN")
    _refuse_second_setup()
    user = open_account(email, name, password, is_platform_admin=True)
    stored.used_at = timezone.now()
    stored.save(update_fields=["used_at"])
    record(action="accounts:user:set_up", actor=user, obj=user)
    return user


def _refuse_second_setup() -> None:
    if User.objects.filter(is_platform_admin=True).exists():
        raise Conflict("E_SETUP_DONE")


@transaction.atomic
def create_user(*, email: str, name: str, password: str, is_platform_admin: bool = False, by: User) -> User:
    """Open an account.

    Raises:
        Forbidden: E_FORBIDDEN.
        Invalid: E_INVALID with problems by field.
        Conflict: E_EXISTS for an e-mail address that has an account.
    """
    check(by, Permission.USERS_MANAGE)
    user = open_account(email, name, password, is_platform_admin=is_platform_admin)
    record(
        action="accounts:user:created",
        actor=by,
        obj=user,
        detail={"is_platform_admin": user.is_platform_admin},
    )
    return user


def open_account(email: str, name: str, password: str | None, *, is_platform_admin: bool = False) -> User:
    """Store a person; the caller has checked who may do it, and records it.

    Args:
        password: None for somebody who comes in by single sign-on alone.

    Raises:
        Invalid: E_INVALID with problems by field.
        Conflict: E_EXISTS.
    """
    email, name = email.strip().lower(), name.strip()
    user = User(email=email, name=name, is_platform_admin=is_platform_admin)
    problems = _account_problems(user, password)
    if problems:
        raise Invalid("E_INVALID", "Some of the account's details do not fit.", errors=problems)
    user.set_password(password)
    with refuse_duplicates("There is an account with this e-mail address already."):
        user.save()
    return user


def _account_problems(user: User, password: str | None) -> list[FieldProblem]:
    problems = []
    try:
        validate_email(user.email)
    except ValidationError:
        problems.append(FieldProblem("email", "E_INVALID", "This is not an e-mail address."))
    if not 1 <= len(user.name) <= 120:
        problems.append(FieldProblem("name", "E_INVALID", "A name has 1 to 120 characters."))
    return problems if password is None else problems + password_problems(user, password)


def password_problems(user: User, password: str, *, field: str = "password") -> list[FieldProblem]:
    """What speaks against a password for a person."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        return [FieldProblem(field, "E_INVALID", message) for message in error.messages]
    return []


@transaction.atomic
def set_active(*, user: User, is_active: bool, by: User) -> User:
    """Close or reopen an account. A closed account keeps its roles, loses its sessions and tokens, and cannot sign in.

    Raises:
        Forbidden: E_FORBIDDEN.
        Refusal: E_STATE for one's own account.
    """
    check(by, Permission.USERS_MANAGE)
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.pk == by.pk and not is_active:
        raise Refusal("E_STATE", "You cannot close your own account; another administrator can.")
    if user.is_active == is_active:
        return user
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    if not is_active:
        end_everything(user)
    record(action=f"accounts:user:{'reopened' if is_active else 'closed'}", actor=by, obj=user)
    return user


@transaction.atomic
def note_refused_sign_in(*, email: str) -> None:
    """Note a try to sign in that failed, by page or API.

    One event for a known address and for an unknown one: neither the answer nor its time tells which it was.
    """
    known = User.objects.filter(email=email.strip().lower()).first() or User(name="an unknown account")
    record(action="accounts:session:refused", actor="system:sign-in", obj=known, outcome="refused")


@transaction.atomic
def create_site(*, name: str, short_name: str, city: str = "", country: str = "", by: User) -> Site:
    """Add a hospital or clinic.

    Raises:
        Forbidden: E_FORBIDDEN.
        Invalid: E_INVALID with problems by field.
        Conflict: E_EXISTS.
    """
    check(by, Permission.SITES_MANAGE)
    site = Site(name=name.strip(), short_name=short_name.strip().lower(), city=city.strip(), country=country.strip())
    problems = _site_problems(site)
    if problems:
        raise Invalid("E_INVALID", "Some of the site's details do not fit.", errors=problems)
    taken = "There is a site with this name or short name already."
    if Site.objects.filter(name__iexact=site.name).exists():
        raise Conflict("E_EXISTS", taken)
    with refuse_duplicates(taken):
        site.save()
    groups.groups_of_site(site)
    record(
        action="accounts:site:created",
        actor=by,
        obj=site,
        site=site.pk,
        detail={"short_name": site.short_name},
    )
    return site


def _site_problems(site: Site) -> list[FieldProblem]:
    problems = []
    if not 1 <= len(site.name) <= 160:
        problems.append(FieldProblem("name", "E_INVALID", "A name has 1 to 160 characters."))
    try:
        validate_slug(site.short_name)
    except ValidationError:
        detail = "A short name has letters, digits, hyphens and underscores."
        problems.append(FieldProblem("short_name", "E_INVALID", detail))
    problems += [
        FieldProblem(field, "E_INVALID", f"At most {limit} characters.")
        for field, value, limit in (
            ("short_name", site.short_name, 40),
            ("city", site.city, 80),
            ("country", site.country, 80),
        )
        if len(value) > limit
    ]
    return problems
