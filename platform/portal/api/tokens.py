"""Signing a program in by password."""

from datetime import datetime

import structlog
from django.contrib.auth import authenticate
from django.http import HttpRequest

from accounts.models import User
from accounts.services import note_refused_sign_in
from accounts.tokens import begin_program_session
from fedstudy_core.errors import Forbidden
from portal.throttles import address_of

log = structlog.get_logger("portal.api")


def sign_in(request: HttpRequest, *, email: str, password: str) -> tuple[str, datetime]:
    """The key of a new session and when it is over.

    Raises:
        Forbidden: E_CREDENTIALS, in the same words whatever is wrong.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        note_refused_sign_in(email=email)
        log.warning("sign-in refused", address=request.META.get("REMOTE_ADDR", ""))
        raise Forbidden("E_CREDENTIALS", status=401)
    agent = request.headers.get("User-Agent", "")
    session, key = begin_program_session(user=user, address=address_of(request), agent=agent)
    return key, session.expiry
