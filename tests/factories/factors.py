"""Second factors of people: an app's codes, as it would show them."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value

from accounts.models import User

PERIOD_S = 30


def code_of(secret: str, *, steps: int = 0) -> str:
    """What the app shows now, or some half minutes later."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD_S + steps))


def with_app(user: User) -> str:
    """Give somebody an app; returns its secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret
