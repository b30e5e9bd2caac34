"""Signing a program in by password."""

from datetime import datetime

import structlog
from django.contrib.auth import authenticate
from django.http import HttpRequest

from accounts import factors
from accounts.identities import replaces_password
from accounts.models import User
from accounts.services import note_refused_sign_in
from accounts.tokens import begin_program_session
from fedstudy_core.errors import Forbidden
from portal.throttles import address_of, forget_codes, may_try_a_code

log = structlog.get_logger("portal.api")


def sign_in(request: HttpRequest, *, email: str, password: str, code: str = "") -> tuple[str, datetime]:
    """The key of a new session and when it is over.

    Raises:
        Forbidden: E_CREDENTIALS, in the same words whatever is wrong; E_FACTOR or E_CODE for the second factor's code;
            E_FACTOR_MISSING for somebody who has yet to set one up; E_SINGLE_SIGN_ON where that replaces passwords.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        note_refused_sign_in(email=email)
        log.warning("sign-in refused", address=request.META.get("REMOTE_ADDR", ""))
        raise Forbidden("E_CREDENTIALS", status=401)
    if replaces_password(user):
        note_refused_sign_in(email=email)
        raise Forbidden("E_SINGLE_SIGN_ON", status=401)
    aal = _check_factor(request, user, code)
    agent = request.headers.get("User-Agent", "")
    session, key = begin_program_session(user=user, address=address_of(request), agent=agent, aal=aal)
    return key, session.expiry


def _check_factor(request: HttpRequest, user: User, code: str) -> int:
    """How many factors the person has shown with this one."""
    if not factors.has_factor(user):
        if factors.are_required():
            raise Forbidden("E_FACTOR_MISSING")
        return 1
    if not code:
        raise Forbidden("E_FACTOR", status=401)
    if not may_try_a_code(request, user):
        raise Forbidden("E_THROTTLED", status=429)
    try:
        factors.check_code(user, code)
    except Forbidden as error:
        note_refused_sign_in(email=user.email)
        raise Forbidden(error.code, status=401) from error
    forget_codes(user)
    return 2
