"""For receivers of a portal's webhooks: is this message genuine, and what does it say?

from fedstudy_client import webhooks

message = webhooks.verify(secret, request.headers, request.body)
if message.type == "run.completed":
    ...

Messages are signed as the Standard Webhooks specification says (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PREFIX = "whsec_"
TOLERANCE_S = 300


class NotGenuine(ValueError):
    """A message that was not sent by the portal, was changed on its way, or is an old one sent again."""


@dataclass(frozen=True)
class Message:
    """What a portal tells.

    Attributes:
        id: of the message; the same when it is sent again, so that it need be handled once only.
        type: such as "run.completed".
        at: when it happened.
        data: ids and states.
    """

    id: str
    type: str
    at: datetime
    data: dict[str, Any]


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> Message:
    """The message, if it is genuine.

    Args:
        secret: `whsec_...`, as the portal showed it when the webhook was registered or got a new secret.
        headers: of the request, in any case.
        body: of the request, byte for byte.
        tolerance_s: how many seconds the clocks may differ, and the way may take.
        now: the time as a POSIX timestamp; the clock's when None.

    Raises:
        NotGenuine: with the reason.
    """
    given = {name.lower(): value for name, value in headers.items()}
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    if any(name not in given for name in names):
        raise NotGenuine("a header is missing")
    message_id, timestamp, signatures = (given[name] for name in names)
    content = body.encode() if isinstance(body, str) else body
    _check_time(timestamp, time.time() if now is None else now, tolerance_s)
    signed = f"{message_id}.{timestamp}.".encode() + content
    wanted = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    # the portal signs with two secrets for a day after a new one was made
    if not any(_matches(signature, wanted) for signature in signatures.split(" ")):
        raise NotGenuine("no signature fits")
    told = json.loads(content)
    return Message(message_id, told["type"], datetime.fromisoformat(told["timestamp"]), told["data"])


def _check_time(timestamp: str, now: float, tolerance_s: float) -> None:
    if not (timestamp.isascii() and timestamp.isdecimal()):
        raise NotGenuine("the timestamp is none")
    if abs(now - int(timestamp)) > tolerance_s:
        raise NotGenuine("the timestamp is too far from now")


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("the secret is none: it begins with whsec_") from error


def _matches(signature: str, wanted: bytes) -> bool:
    version, _, text = signature.partition(",")
    try:
        return version == "v1" and hmac.compare_digest(base64.b64decode(text, validate=True), wanted)
    except (binascii.Error, ValueError):
        return False
