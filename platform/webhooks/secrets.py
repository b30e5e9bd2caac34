"""A webhook's secrets and signatures, after the Standard Webhooks specification (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable

from accounts.sealing import seal, unseal

PREFIX = "whsec_"
LENGTH = 32
PURPOSE = b"fedstudy webhook secret 1"


def new_secret() -> str:
    """A secret as receivers are given it: `whsec_` and base64 of 32 bytes."""
    return PREFIX + base64.b64encode(os.urandom(LENGTH)).decode("ascii")


def sealed(secret: str, owner: str) -> bytes:
    """The secret as the database keeps it: the portal has to sign with it, and a copy of the database must not."""
    return seal(secret.encode(), purpose=PURPOSE, bound=owner.encode())


def opened(kept: bytes, owner: str) -> str:
    """The secret. Raises cryptography's InvalidTag when the portal's own secret is another one now."""
    return unseal(kept, purpose=PURPOSE, bound=owner.encode()).decode()


def signature(secrets: Iterable[str], *, message_id: str, timestamp: int, body: str) -> str:
    """The header `webhook-signature`: one signature for each secret that is good."""
    content = f"{message_id}.{timestamp}.{body}".encode()
    return " ".join(f"v1,{_signed(secret, content)}" for secret in secrets)


def _signed(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
