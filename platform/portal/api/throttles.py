"""How often one address, and one account, may try to sign in, set up or enrol."""

import hashlib
from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle


class ByAddress(SimpleRateThrottle):
    """Counts by the client's address, whoever it says it is."""

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class SignInByAddress(ByAddress):
    """Tries to sign in from one address."""

    scope = "sign-in"


class SetUpByAddress(ByAddress):
    """Tries to make the first administrator."""

    scope = "setup"


class EnrolByAddress(ByAddress):
    """Tries to enrol a node."""

    scope = "enrol"


class SignInByAccount(SimpleRateThrottle):
    """Tries to sign in to one account, from anywhere; counts the same whether the account exists or not."""

    scope = "sign-in-account"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        email = request.data.get("email") if isinstance(request.data, dict) else None
        if not isinstance(email, str):
            return None
        digest = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
        return f"throttle:{self.scope}:{digest}"
