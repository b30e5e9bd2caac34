"""What a node's receipt adds to the record of a round, so that neither side can rewrite its part of it alone.

The log then holds the receipt's hash, the approval that it names, and how far the node's own journal had come. A
portal that exchanges a receipt contradicts its log; a node that rewrites its journal contradicts what it signed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal
from fedstudy_core.receipts import Receipt


def accounted(receipt: bytes, update: str) -> dict[str, Any]:
    """The facts by which a receipt that was checked when it came is bound; nothing where none came.

    Args:
        update: SHA-256 of the site's packed answer, or empty.
    """
    if not receipt:
        return {}
    told: dict[str, Any] = {"receipt": sha256(receipt).hexdigest()}
    if update:
        told["update"] = update
    try:
        account = Receipt.model_validate(canonical.loads(dsse.unverified_payload(receipt)))
    except (Refusal, ValidationError):
        return told
    if account.approval:
        told["approval"] = account.approval
    if account.journal:
        told["journal"] = {"rows": account.journal.sequence, "head": account.journal.head}
    return told
