"""A node's requests to the portal, signed over method, path, time, sequence and body."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import canonical
from fedstudy_core.errors import FedStudyError, Forbidden
from fedstudy_core.keys import public_from_text
from fedstudy_core.times import format_time, parse_time

NODE, TIMESTAMP, SEQUENCE, SIGNATURE = (
    "FedStudy-Node",
    "FedStudy-Timestamp",
    "FedStudy-Sequence",
    "FedStudy-Signature",
)
PATIENCE = timedelta(minutes=5)
_DOMAIN = b"fedstudy-request-v1\n"
_LONGEST_SEQUENCE = 16  # digits


def sign(
    key: Ed25519PrivateKey, *, node: str, method: str, path: str, body: bytes, now: datetime, sequence: int
) -> dict[str, str]:
    """The headers of a request.

    Args:
        path: with its query, as it goes over the wire.
        sequence: higher than in every earlier request of this node.
    """
    stamp = format_time(now)
    signature = key.sign(_signed(node, f"{method.upper()} {path}", body, stamp, sequence))
    return {
        NODE: node,
        TIMESTAMP: stamp,
        SEQUENCE: str(sequence),
        SIGNATURE: base64.b64encode(signature).decode("ascii"),
    }


def verify(headers: Mapping[str, str], *, public_key: str, method: str, path: str, body: bytes, now: datetime) -> int:
    """Check a request's signature and time; answer its sequence, which the caller compares with the last one.

    Raises:
        Forbidden: E_SIGNATURE, or E_CLOCK when the node's clock is more than five minutes off.
    """
    try:
        sequence = _whole(headers[SEQUENCE])
        stamp = headers[TIMESTAMP]
        moment = parse_time(stamp)
        signature = base64.b64decode(headers[SIGNATURE], validate=True)
        signed = _signed(headers[NODE], f"{method.upper()} {path}", body, stamp, sequence)
        public_from_text(public_key).verify(signature, signed)
    except (KeyError, ValueError, binascii.Error, InvalidSignature, FedStudyError) as error:
        raise Forbidden("E_SIGNATURE", status=401) from error
    if abs(now - moment) > PATIENCE:
        raise Forbidden("E_CLOCK", status=401)
    return sequence


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_SEQUENCE):
        raise ValueError("not a sequence number")
    return int(text)


def _signed(node: str, target: str, body: bytes, stamp: str, sequence: int) -> bytes:
    request = {
        "target": target,
        "node": node,
        "timestamp": stamp,
        "sequence": sequence,
        "body_sha256": canonical.digest(body),
    }
    return _DOMAIN + canonical.dumps(request)
