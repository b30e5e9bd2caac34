"""Telling a node that was started again from a node that runs twice.

Each start of an agent has a random id, its boot, which every heartbeat names; an agent takes another one as well when a
connection broke on which a message may have been. A boot replaces the one before, which is never heard of again. So one
that was replaced and then speaks once more is a second agent with the same key. Nothing is concluded from one that is
merely new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

WINDOW = timedelta(hours=24)
MOST = 16
Row = dict[str, Any]


@dataclass(frozen=True)
class Boot:
    """A start of the agent: when it was first and last heard of, and the last time with which request (`sequence`)."""

    id: str
    sequence: int
    heard_at: str
    since: str = ""


def hear(
    boots: Sequence[dict[str, Any]], boot: str, *, sequence: int, now: datetime
) -> tuple[list[dict[str, Any]], bool]:
    """Take in a heartbeat.

    Args:
        boots: what this function answered last time; the boot heard last is at the end.
        sequence: of the request. One that overtook another is not held against the node.

    Returns:
        The boots to remember, and whether two agents take turns.
    """
    known = [Boot(**item) for item in boots]
    if not boot or (known and sequence <= known[-1].sequence):
        return list(boots), False
    recent = [item for item in known if now - datetime.fromisoformat(item.heard_at) <= WINDOW]
    returned = boot in {item.id for item in recent} and known[-1].id != boot
    kept = [item for item in recent if item.id != boot][-(MOST - 1) :]
    since = next((item.since for item in known if item.id == boot), "") or now.isoformat()
    heard = Boot(boot, sequence, now.isoformat(), since)
    return [asdict(item) for item in [*kept, heard]], returned


def last_start(boots: Sequence[Row]) -> datetime | None:
    """When the agent that was heard last was first heard of; None where that is not known."""
    since = boots[-1].get("since") if boots else ""
    return datetime.fromisoformat(since) if since else None
