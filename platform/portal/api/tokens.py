"""Tokens of the API: issued at sign-in, given back, and each time an event of the log."""

from datetime import datetime

import structlog
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from knox.models import AuthToken

from accounts.models import User
from audit.services import record
from fedstudy_core.errors import Forbidden

log = structlog.get_logger("portal.api")


def sign_in(request: HttpRequest, *, email: str, password: str) -> tuple[str, datetime]:
    """A new token and when it expires.

    Raises:
        Forbidden: E_CREDENTIALS, in the same words whatever is wrong.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        log.warning("sign-in refused", address=request.META.get("REMOTE_ADDR", ""))
        raise Forbidden("E_CREDENTIALS", status=401)
    with transaction.atomic():
        stored, token = AuthToken.objects.create(user=user)
        record(action="accounts:token:issued", actor=user, obj=user)
    return token, stored.expiry


@transaction.atomic
def give_back(token: AuthToken, *, by: User) -> None:
    """End a token before it expires."""
    token.delete()
    record(action="accounts:token:returned", actor=by, obj=by)
