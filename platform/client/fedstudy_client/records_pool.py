"""What the portal answers about pooled rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fedstudy_client.records import Name, Record


@dataclass(frozen=True)
class StudyPool(Record):
    """A study's pooled rows.

    Attributes:
        pool_node: {node, name, site, named_at} of the node that holds them; None where none is named.
        rows: that the pool holds and may use.
        sites: {site, level, state, not_after, awaits_proof} of each site that pools rows, or did.
        candidates: nodes that could be named, for who may name one: [{id, name}].
    """

    pool_node: dict[str, Any] | None
    rows: int
    sites: list[dict[str, Any]]
    candidates: list[dict[str, Any]]


@dataclass(frozen=True)
class PoolConsent(Record):
    """What a site consented to, as it was signed (`statement`), and what became of it.

    States: valid, replaced, expired, revoked, deleted. `awaits_proof`: its rows are to be gone, and the pool node has
    not proved yet that they are.
    """

    id: str
    study: Name
    site: Name
    level: str
    state: str
    sha256: str
    statement: dict[str, Any] = field(repr=False)
    signed_at: datetime
    not_after: datetime
    retention_until: str
    reason: str = ""
    ended_at: datetime | None = None
    delete_asked_at: datetime | None = None
    deleted_at: datetime | None = None
    awaits_proof: bool = False
