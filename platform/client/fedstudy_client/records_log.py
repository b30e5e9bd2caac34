"""What the log says of itself: checkpoints, proofs, and its witnesses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fedstudy_client.records import Name, Record


@dataclass(frozen=True)
class Checkpoint(Record):
    """What the log says of itself: how many events it has, in a signed note that `key` verifies."""

    key: str
    size: int
    checkpoint: str
    at: datetime


@dataclass(frozen=True)
class Proof(Record):
    """That an event is in the log; `file` is the proof as C2SP's tlog-proof writes it."""

    position: int
    leaf: str
    hashes: list[str]
    key: str
    size: int
    checkpoint: str
    file: str
    names: dict[str, str] = field(default_factory=dict)
    detail: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] | None = None


@dataclass(frozen=True)
class Witness(Record):
    """A node as a witness of the log. `lag` events it has not cosigned; `refused` has code and both checkpoints."""

    node: Name
    site: Name
    key: str
    size: int
    lag: int
    cosigned_at: datetime | None = None
    refused: dict[str, Any] | None = None


@dataclass(frozen=True)
class Witnesses(Record):
    """How far the log is witnessed: `witnessed` of `size` events, by at least `needed` of `sites`."""

    key: str
    size: int
    witnessed: int
    sites: int
    needed: int
    succession: str = ""
    witnesses: list[Witness] = field(default_factory=list)
