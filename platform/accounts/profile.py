"""What people change of their own account."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import available_timezones

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.identities import replaces_password
from accounts.models import User
from accounts.services import password_problems
from accounts.sessions import end_other_sessions
from audit.services import record
from fedstudy_core.errors import FieldProblem, Invalid, Refusal

LANGUAGES = {"en": gettext_noop("English"), "de": gettext_noop("German")}
OF_BROWSER = gettext_noop("the language of their browser")


@transaction.atomic
def rename_self(*, name: str, by: User) -> User:
    """Change one's own name; what the log has already keeps the old one.

    Raises:
        Invalid: E_INVALID.
    """
    name = name.strip()
    if not 1 <= len(name) <= 120:
        problem = FieldProblem("name", "E_INVALID", "A name has 1 to 120 characters.")
        raise Invalid("E_INVALID", "The name does not fit.", errors=[problem])
    user = User.objects.select_for_update().get(pk=by.pk)
    old, user.name = user.name, name
    user.save(update_fields=["name"])
    record(action="accounts:user:renamed", actor=user, obj=user, detail={"old": old})
    return user


@transaction.atomic
def choose_time_zone(*, time_zone: str, by: User) -> User:
    """Choose in which time zone pages show times.

    Raises:
        Invalid: E_INVALID for a zone that there is not.
    """
    if time_zone not in available_timezones():
        problem = FieldProblem("time_zone", "E_INVALID", "There is no such time zone.")
        raise Invalid("E_INVALID", "The time zone does not fit.", errors=[problem])
    user = User.objects.select_for_update().get(pk=by.pk)
    user.time_zone = time_zone
    user.save(update_fields=["time_zone"])
    record(action="accounts:user:zoned", actor=user, obj=user, detail={"time_zone": time_zone})
    return user


@transaction.atomic
def choose_language(*, language: str, by: User) -> User:
    """Choose the language of pages and e-mail; "" leaves that of pages to the browser.

    Raises:
        Invalid: E_INVALID for a language that there is not.
    """
    if language not in {"", *LANGUAGES}:
        problem = FieldProblem("language", "E_INVALID", "There is no such language.")
        raise Invalid("E_INVALID", "The language does not fit.", errors=[problem])
    user = User.objects.select_for_update().get(pk=by.pk)
    user.language = language
    user.save(update_fields=["language"])
    named = LANGUAGES.get(language, OF_BROWSER)
    record(action="accounts:language:chosen", actor=user, obj=user, detail={"language": named})
    return user


@transaction.atomic
def change_password(*, current: str = "", new: str, keep: UUID | None, by: User) -> User:
    """Set a new password, or a first one; all other sessions end, tokens stay.

    Args:
        current: the present one; nothing for who has none, and has just shown otherwise that it is them.
        keep: the session in which this is done.

    Raises:
        Invalid: E_INVALID with problems by field.
        Refusal: E_SINGLE_SIGN_ON for a first one where single sign-on replaces passwords.
    """
    user = User.objects.select_for_update().get(pk=by.pk)
    is_first = not user.has_usable_password()
    if is_first:
        if replaces_password(user):
            raise Refusal("E_SINGLE_SIGN_ON")
    elif not user.check_password(current):
        problem = FieldProblem("current", "E_CREDENTIALS", "This is not your present password.")
        raise Invalid("E_INVALID", "The present password is wrong.", errors=[problem])
    problems = password_problems(user, new, field="new")
    if problems:
        raise Invalid("E_INVALID", "The new password does not fit.", errors=problems)
    user.set_password(new)
    user.save(update_fields=["password"])
    record(action="accounts:password:set" if is_first else "accounts:password:changed", actor=user, obj=user)
    end_other_sessions(keep=keep, by=user)
    return user
