"""Standing policies: a site's signed rule that admits named scripts without a new signature for each, within limits.

A policy names scripts by their hash. Under it the node itself signs a statement for a script (`Statement.policy`); the
gate lets that through only while the policy still holds and covers it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedstudy_core import canonical, dsse
from fedstudy_core.approvers import Approver
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import (
    MAX_VALIDITY,
    MOST_PEOPLE,
    Count,
    DatasetRef,
    Identifier,
    Level,
    Limits,
    Outputs,
    Privacy,
    Sha256,
    Signer,
    Statement,
    level_of,
)
from fedstudy_core.times import parse_time

PAYLOAD_TYPE = "application/vnd.fedstudy.policy.v1+json"


class Policy(BaseModel):
    """Which scripts may run on one dataset of one study without asking again. Times as in `Statement`.

    Attributes:
        issued_at: when it was written; policies of older agents do not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1]
    study: Identifier
    site: Identifier
    node: Identifier
    scripts: Annotated[list[Sha256], Field(min_length=1, max_length=100)]
    dataset: DatasetRef
    rounds: Count
    privacy: Privacy
    outputs: Outputs
    limits: Limits
    sandbox_min: Level
    meaning: Literal["standing policy"]
    approvers: Annotated[list[Signer], Field(min_length=1, max_length=MOST_PEOPLE)]
    nonce: Annotated[str, Field(min_length=16, max_length=64)]
    sequence: Annotated[int, Field(ge=0)]
    revocation_epoch: Annotated[int, Field(ge=0)]
    issued_at: str | None = None
    not_before: str
    not_after: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({signer.key for signer in self.approvers}) != len(self.approvers):
            raise ValueError("a person signs once")
        return self


def policy_payload(policy: Policy) -> bytes:
    """The bytes that are signed (inside the envelope's PAE)."""
    return canonical.dumps(policy.model_dump(mode="json", exclude_none=True))


def sign_policy(policy: Policy, *keys: Ed25519PrivateKey) -> bytes:
    """The envelope around the policy, signed by console keys."""
    return dsse.sign(PAYLOAD_TYPE, policy_payload(policy), keys)


def verify_policy(envelope: bytes, trusted: Mapping[str, Approver]) -> Policy:
    """The policy, when exactly the people whom it names signed it.

    Raises:
        Refusal: the codes of `dsse.verify`, then E_NOT_CANONICAL, E_DUPKEY, E_FIELDS, E_SIGNERS.
    """
    keys = {name: approver.key for name, approver in trusted.items()}
    payload, signed = dsse.verify_signers(envelope, PAYLOAD_TYPE, keys)
    try:
        policy = Policy.model_validate(canonical.loads(payload))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Refusal("E_FIELDS", f"The policy's field “{where}” does not fit.") from error
    named = {(signer.key, signer.name, signer.role) for signer in policy.approvers}
    if named != {(name, trusted[name].name, trusted[name].role) for name in signed}:
        raise Refusal("E_SIGNERS")
    return policy


def check_policy(
    policy: Policy,
    statement: Statement,
    *,
    now: datetime,
    revocation_epoch: int,
    revoked: Collection[str],
    identity: str,
) -> None:
    """Refuse a statement that the policy does not cover; return when it does.

    Args:
        identity: the policy's own id (SHA-256 of its payload).

    Raises:
        Refusal: E_POLICY, E_TOO_LONG, E_NOT_YET, E_EXPIRED, E_REVOKED, E_REVOKED_EPOCH.
    """
    wider = _wider(policy, statement)
    if wider:
        raise Refusal("E_POLICY", f"The standing policy does not cover this: {wider}.")
    begin, end = parse_time(policy.not_before), parse_time(policy.not_after)
    if end - begin > MAX_VALIDITY:
        raise Refusal("E_TOO_LONG")
    if now < begin:
        raise Refusal("E_NOT_YET")
    if now >= end:
        raise Refusal("E_EXPIRED", f"The standing policy ended at {policy.not_after}.")
    if identity in revoked:
        raise Refusal("E_REVOKED")
    if policy.revocation_epoch < revocation_epoch:
        raise Refusal("E_REVOKED_EPOCH")


def _wider(policy: Policy, statement: Statement) -> str:
    """In what the statement goes beyond the policy; "" when it stays within."""
    same = (policy.study, policy.site, policy.node, policy.dataset)
    rules = {
        "another subject": same == (statement.study, statement.site, statement.node, statement.dataset),
        "another script": statement.script.sha256 in policy.scripts,
        "rounds": statement.rounds <= policy.rounds,
        "sites": statement.privacy.min_sites >= policy.privacy.min_sites,
        "rows": statement.privacy.min_rows >= policy.privacy.min_rows,
        "phases": set(statement.outputs.phases) <= set(policy.outputs.phases),
        "bytes": statement.outputs.max_bytes <= policy.outputs.max_bytes,
        "norm": _within(statement.outputs.max_norm, policy.outputs.max_norm),
        "metrics": _among(statement.outputs.metrics, policy.outputs.metrics),
        "seconds": statement.limits.wall_s <= policy.limits.wall_s,
        "memory": statement.limits.memory_mb <= policy.limits.memory_mb,
        "sandbox": level_of(statement.sandbox_min) >= level_of(policy.sandbox_min),
        "validity": parse_time(statement.not_after) <= parse_time(policy.not_after),
    }
    return next((name for name, holds in rules.items() if not holds), "")


def _within(value: int | None, bound: int | None) -> bool:
    return bound is None or (value is not None and value <= bound)


def _among(values: list[str] | None, allowed: list[str] | None) -> bool:
    return allowed is None or (values is not None and set(values) <= set(allowed))
