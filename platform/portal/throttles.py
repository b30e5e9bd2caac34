"""How often one address, and one account, may try to sign in, set up or enrol. Pages and API count together."""

import hashlib
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle

from accounts.models import User
from accounts.refusals import note_locked_out


class ByAddress(SimpleRateThrottle):
    """Counts by the client's address, whoever it says it is."""

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class Locking(SimpleRateThrottle):
    """Tries to show who one is: when there were too many, the log is told once for as long as the count lasts."""

    duration: int

    def allow_request(self, request: Any, view: Any) -> bool:
        is_allowed = bool(super().allow_request(request, view))
        if not is_allowed:
            note_locked_out(
                limit=str(self.scope), key=str(self.key), lasts_s=self.duration, email=self.account(request)
            )
        return is_allowed

    def account(self, request: Any) -> str:
        """The e-mail address of the account, where that is known."""
        return ""


class SignInByAddress(Locking, ByAddress):
    """Tries to sign in from one address."""

    scope = "sign-in"


class SetUpByAddress(ByAddress):
    """Tries to make the first administrator."""

    scope = "setup"


class PasswordByPerson(Locking):
    """Tries of somebody who is signed in to say their present password."""

    scope = "password"

    def account(self, request: Any) -> str:
        return str(request.user.email)

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{self.scope}:{request.user.pk}"


class CodeByPerson(Locking):
    """Tries of a second factor; whoever gets it right begins anew."""

    scope = "code"

    def __init__(self, user: User) -> None:
        self.name, self.email = f"throttle:{self.scope}:{user.pk}", user.email
        super().__init__()

    def get_cache_key(self, request: Any, view: Any) -> str:
        return self.name

    def account(self, request: Any) -> str:
        return self.email


class JoinCodeByPerson(SimpleRateThrottle):
    """Tries of a join code by somebody who is signed in."""

    scope = "join-code"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{self.scope}:{request.user.pk}"


class EnrolByAddress(ByAddress):
    """Tries to enrol a node."""

    scope = "enrol"


class SignInByAccount(Locking):
    """Tries to sign in to one account, from anywhere; counts the same whether the account exists or not."""

    scope = "sign-in-account"

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        email = _account(request)
        if email is None:
            return None
        return f"throttle:{self.scope}:{hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]}"

    def account(self, request: Any) -> str:
        return _account(request) or ""


def _account(request: Request | HttpRequest) -> str | None:
    """The address that somebody signs in with: by the API's body or by the page's form; None for what is no text."""
    if not isinstance(request, Request):
        return request.POST.get("username", "")
    given = request.data.get("email") if isinstance(request.data, dict) else None
    return given if isinstance(given, str) else None


def may_try_to_sign_in(request: HttpRequest) -> bool:
    """Count a try to sign in by the page, and say whether it may go on."""
    throttles = [SignInByAddress(), SignInByAccount()]
    return all(throttle.allow_request(request, None) for throttle in throttles)


def may_try_a_password(request: HttpRequest) -> bool:
    """Count a try to say one's present password by a page, and say whether it may go on."""
    return PasswordByPerson().allow_request(request, None)


def may_try_a_code(request: Request | HttpRequest, user: User) -> bool:
    """Count a try of somebody's second factor, and say whether it may go on."""
    return CodeByPerson(user).allow_request(request, None)


def may_try_a_join_code(request: HttpRequest) -> bool:
    """Count a try of a join code by a page, and say whether it may go on."""
    return JoinCodeByPerson().allow_request(request, None)  # type: ignore[arg-type]


def forget_codes(user: User) -> None:
    """Forget the tries before a right one."""
    throttle = CodeByPerson(user)
    throttle.cache.delete(throttle.name)


def address_of(request: Request | HttpRequest) -> str:
    """The network address that a request comes from."""
    return str(BaseThrottle().get_ident(request) or "") if "REMOTE_ADDR" in request.META else ""  # type: ignore[arg-type]
