"""How often one address, and one account, may try to sign in. Pages and API count together, by the same keys."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest
from rest_framework.throttling import SimpleRateThrottle


class SignInByAddress(SimpleRateThrottle):
    """Tries from one address."""

    scope = "sign-in"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class SignInByAccount(SimpleRateThrottle):
    """Tries to sign in to one account, from anywhere; counts the same whether the account exists or not."""

    scope = "sign-in-account"

    def get_cache_key(self, request: Any, view: Any) -> str:
        email = request.POST.get("username", "").strip().lower()
        return f"throttle:{self.scope}:{hashlib.sha256(email.encode()).hexdigest()[:32]}"


def may_try(request: HttpRequest) -> bool:
    """Count a try to sign in, and say whether it may go on."""
    throttles = [SignInByAddress(), SignInByAccount()]
    return all(throttle.allow_request(request, None) for throttle in throttles)  # type: ignore[arg-type]
