"""A node's requests to the SuperLink: signed by its key; and what it means when one is refused."""

import time
from base64 import b64encode

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.interceptors.http.utils import add_headers
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

from fedstudy_node.clock import Clock
from fedstudy_node.errors import FleetError, KeyRefused, NotRegistered, RunEnded, Unreachable

SIGNATURE_REUSE = 1.0


class SignedHeaders:
    """Sign the node's requests. Flower's server checks a signature over a timestamp; one is used again for a second."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._public = b64encode(public_key_to_bytes(key.public_key())).decode("ascii")
        self._headers: dict[str, str] = {}
        self._signed_at = float("-inf")

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Add the identity headers and pass the request on."""
        moment = time.monotonic()
        if moment - self._signed_at > SIGNATURE_REUSE:
            timestamp = self._clock.now().isoformat()
            signature = b64encode(sign_message(self._key, timestamp.encode("ascii"))).decode("ascii")
            self._headers = {
                FLEET_HTTP_PUBLIC_KEY_HEADER: self._public,
                TIMESTAMP_HEADER: timestamp,
                FLEET_HTTP_SIGNATURE_HEADER: signature,
            }
            self._signed_at = moment
        add_headers(context.request, self._headers)
        return call_next(context)


def error_from(response: httpx.Response) -> FleetError:
    """Name what a refused request means."""
    flower = FlowerError.from_json(response.text)
    said = f"{response.status_code}: {flower.message if flower else response.reason_phrase}"
    code = flower.code if flower else None
    if code in (
        ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED,
        ApiErrorCode.FLEET_GET_RUN_FAILED,
        ApiErrorCode.FLEET_GET_FAB_FAILED,
    ):
        return RunEnded(said)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return KeyRefused(said)
    if response.status_code == httpx.codes.PRECONDITION_FAILED:
        return NotRegistered(said)
    return Unreachable(said)
