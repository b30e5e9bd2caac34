"""Receipts: a node's signed account of what it did, or refused to do, in one phase of a round."""

from __future__ import annotations

from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal
from fedstudy_core.keys import key_id, public_from_text
from fedstudy_core.statement import DatasetRef, Identifier, Level, Sha256
from fedstudy_core.transport import RoundingTold, Transport

PAYLOAD_TYPE = "application/vnd.fedstudy.receipt.v1+json"
Count = Annotated[int, Field(ge=0)]


class JournalHead(BaseModel):
    """How far the node's own journal had come: the number of its last row, and the head of the chain there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sequence: Count
    head: Sha256


class Receipt(BaseModel):
    """One exchange as the node saw it.

    Attributes:
        approval: id of the statement under which it ran.
        model_sha256: the parameters that came in, widened, as the order named them.
        update_sha256: SHA-256 of the packed answer that went out.
        examples: rows that the script says it used.
        transport: how the arrays of message and answer travelled, as the order named it.
        rounding: what narrowing did to the answer's numbers; None where they travelled as they are.
        sequence: rises with every receipt of the node.
        journal: the node's journal, this exchange's row included; receipts of older agents have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1
    run: str
    flower_run: str
    round: Count
    phase: str
    study: str
    site: Identifier
    node: Identifier
    outcome: Literal["done", "refused", "failed"]
    code: str | None = None
    script_sha256: Sha256 | None = None
    approval: Sha256 | None = None
    dataset: DatasetRef | None = None
    model_sha256: str | None = None
    update_sha256: Sha256 | None = None
    examples: Count | None = None
    transport: Transport = "float32"
    rounding: RoundingTold | None = None
    bytes_in: Count = 0
    bytes_out: Count = 0
    started_at: str
    ended_at: str
    sandbox: Level
    agent_version: str
    sequence: Count
    journal: JournalHead | None = None


def sign_receipt(receipt: Receipt, key: Ed25519PrivateKey) -> bytes:
    """The envelope around the receipt, by the node's identity key."""
    return dsse.sign(PAYLOAD_TYPE, canonical.dumps(receipt.model_dump(mode="json")), [key])


def verify_receipt(envelope: bytes, public_key: str) -> Receipt:
    """The receipt that the node's identity key signed.

    Args:
        public_key: as `keys.public_text` writes it.

    Raises:
        Refusal: E_RECEIPT.
    """
    key = public_from_text(public_key)
    try:
        payload = dsse.verify(envelope, PAYLOAD_TYPE, {key_id(key): key})
        return Receipt.model_validate(canonical.loads(payload))
    except (Refusal, ValidationError) as error:
        raise Refusal("E_RECEIPT") from error
