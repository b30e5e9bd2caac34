"""Tokens of the API: issued at sign-in, given back, ended with their person's account, and each time an event."""

from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from knox.models import AuthToken
from knox.settings import knox_settings

from accounts.models import User
from accounts.services import note_refused_sign_in
from accounts.signals import account_closed
from audit.services import record
from fedstudy_core.errors import Forbidden

log = structlog.get_logger("portal.api")


def connect() -> None:
    """Listen; called once when the API is loaded."""
    account_closed.connect(_end_all, dispatch_uid="api.tokens.account_closed")


def _end_all(*, user: User, **_: Any) -> None:
    """A token must not come back to life when the account is opened again."""
    AuthToken.objects.filter(user=user).delete()


def sign_in(request: HttpRequest, *, email: str, password: str) -> tuple[str, datetime]:
    """A new token and when it expires; the oldest ones end where the person would hold too many.

    Raises:
        Forbidden: E_CREDENTIALS, in the same words whatever is wrong.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        note_refused_sign_in(email=email)
        log.warning("sign-in refused", address=request.META.get("REMOTE_ADDR", ""))
        raise Forbidden("E_CREDENTIALS", status=401)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        _make_room(user)
        stored, token = AuthToken.objects.create(user=user)
        record(action="accounts:token:issued", actor=user, obj=user)
    return token, stored.expiry


def _make_room(user: User) -> None:
    """Delete what has expired, and the oldest tokens beyond the limit that knox knows and only its own view keeps."""
    AuthToken.objects.filter(user=user, expiry__lte=timezone.now()).delete()
    held = AuthToken.objects.filter(user=user).order_by("-created", "-digest").values_list("pk", flat=True)
    AuthToken.objects.filter(pk__in=list(held[knox_settings.TOKEN_LIMIT_PER_USER - 1 :])).delete()


@transaction.atomic
def give_back(token: AuthToken, *, by: User) -> None:
    """End a token before it expires."""
    token.delete()
    record(action="accounts:token:returned", actor=by, obj=by)
