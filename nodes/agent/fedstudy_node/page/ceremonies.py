"""Passkeys at the page: registering one, and checking what one signed.

Only registration needs `webauthn`; a signature is verified by `fedstudy_core.passkeys`, as it is everywhere else.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature

from fedstudy_core.approvers import ApproverKey, Role
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.passkeys import Assertion, public_key_text
from fedstudy_node.ledger import Ledger
from fedstudy_node.page.address import PageAddress
from fedstudy_node.trust import pinned

SIGN_IN = b"fedstudy-node-sign-in-v1\n"
TIMEOUT_MS = 5 * 60 * 1000
_ES256, _EDDSA, _RS256 = -7, -8, -257


@dataclass(frozen=True)
class Registered:
    """A passkey that was just made: what to pin, and where its counter stands."""

    entry: ApproverKey
    sign_count: int


def creation_options(
    address: PageAddress, *, name: str, site: str, challenge: bytes, known: Sequence[ApproverKey]
) -> dict[str, Any]:
    """Return what the browser is asked to make. The user's handle is random, so that it overwrites no passkey."""
    return {
        "rp": {"id": address.host, "name": f"FedStudy node of {site}"},
        "user": {"id": _text(secrets.token_bytes(32)), "name": f"{name} ({address.authority})", "displayName": name},
        "challenge": _text(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": kind} for kind in (_ES256, _EDDSA, _RS256)],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": descriptors(known),
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "required"},
        "attestation": "none",
    }


def request_options(address: PageAddress, challenge: bytes, known: Sequence[ApproverKey]) -> dict[str, Any]:
    """Return what the browser is asked to sign."""
    return {
        "challenge": _text(challenge),
        "rpId": address.host,
        "allowCredentials": descriptors(known),
        "userVerification": "required",
        "timeout": TIMEOUT_MS,
    }


def descriptors(entries: Sequence[ApproverKey]) -> list[dict[str, str]]:
    """Return the passkeys as browsers name them."""
    return [{"type": "public-key", "id": entry.credential} for entry in entries]


def of_page(entries: Sequence[ApproverKey], address: PageAddress) -> list[ApproverKey]:
    """Return the passkeys that work on this very page."""
    return [entry for entry in entries if (entry.rp_id, entry.origin) == (address.host, address.origin)]


def read_registration(
    credential: Mapping[str, Any], *, challenge: bytes, address: PageAddress, name: str, role: Role
) -> Registered:
    """Return the passkey that a browser made for this challenge on this page.

    Raises:
        Invalid: E_INVALID when it was not made so; E_KEY for a kind that is not taken.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        found = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=address.host,
            expected_origin=address.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(kind) for kind in (_ES256, _EDDSA, _RS256)],
        )
        _check_top_level(credential)
        key = decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
        entry = pinned(
            kind="passkey",
            name=name,
            role=role,
            key=public_key_text(key),  # type: ignore[arg-type]  # read back and refused just below if of another kind
            rp_id=address.host,
            origin=address.origin,
            credential=_text(found.credential_id),
            synced=found.credential_device_type.value == "multi_device",
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Invalid("E_INVALID", f"The browser's new passkey does not hold: {error}.") from error
    entry.approver()
    return Registered(entry, found.sign_count)


def _check_top_level(credential: Mapping[str, Any]) -> None:
    """Raises ValueError when the passkey was made inside another site's page."""
    client = json.loads(_bytes(credential["response"]["clientDataJSON"]))
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        raise ValueError("it was made inside another site's page")


def read_assertion(answer: Mapping[str, Any]) -> Assertion:
    """Return what a browser gives as a signature. Raises Invalid (E_INVALID)."""
    try:
        response = answer["response"]
        parts = [_bytes(response[name]) for name in ("authenticatorData", "clientDataJSON", "signature")]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Invalid("E_INVALID", "The browser's signature does not have the form.") from error
    return Assertion(*parts)


def verify(ledger: Ledger, entry: ApproverKey, assertion: Assertion, data: bytes) -> bytes:
    """Return an assertion as a signature over `data`, once it holds and its counter has gone up.

    Raises:
        Refusal: the codes of `Passkey.verify`, E_SIG; E_WA_COUNTER.
    """
    signature = assertion.to_bytes()
    try:
        entry.approver().key.verify(signature, data)
    except InvalidSignature as error:
        raise Refusal("E_SIG", "The passkey's signature does not hold.") from error
    if not ledger.count_up(counter_name(entry), assertion.sign_count):
        raise Refusal("E_WA_COUNTER")
    return signature


def counter_name(entry: ApproverKey) -> str:
    """Return the ledger's name for a passkey's counter."""
    return f"passkey:{entry.id}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not text")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
