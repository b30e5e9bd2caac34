"""What some events say that others, and the signed documents beside them, must fit to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

APPROVED, REVOKED = "scripts:approval:recorded", "scripts:approval:revoked"
CONSENTED, RECEIVED = "pooling:consent:given", "pooling:object:received"
COMMITTED, PLANNED = "runs:round:committed", "runs:run:created"
REGISTERED, WITHDRAWN = "registry:key:registered", "registry:key:withdrawn"
_TEXT = rb'"((?:[^"\\]|\\.)*)"'
_BEGINS = re.compile(
    rb'\{"action":"(?:scripts:approval:(?:recorded|revoked)|runs:(?:round:committed|run:created)'
    rb'|registry:key:(?:registered|withdrawn)|pooling:(?:consent:given|object:received))"'
)
_LEAF = re.compile(
    rb'\{"action":"([a-z_:]+)","actor":' + _TEXT + rb',"at":"([^"\\]+)",(?:"context":"[0-9a-f]{64}",)?'
    rb'"detail":"[0-9a-f]{64}","event":"[^"\\]+",'
    rb'"names":"[0-9a-f]{64}","object":\{"id":' + _TEXT + rb',"type":' + _TEXT + rb'\},"outcome":"[a-z]+",'
    rb'"site":' + _TEXT + rb',"study":' + _TEXT + rb',"v":[12]\}'
)


class Told(NamedTuple):
    """An event of which it matters what it says.

    Attributes:
        line: of `log.jsonl`, from 1.
        at: when it happened, as the log says.
        object, site, study: ids.
    """

    line: int
    position: int
    action: str
    at: str
    object: str
    site: str
    study: str
    detail: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """The event's details; nothing where they are no object."""
        try:
            value = json.loads(self.detail)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class Problem(NamedTuple):
    """What does not fit, and the row that is wrong.

    Attributes:
        subject: "rounds", "approvals", "receipts" or "executions".
        file: where the row is, if not in the log.
    """

    line: int
    position: int
    subject: str
    text: str
    file: str = ""


def matters(leaf: bytes) -> bool:
    """Whether others must fit to what the event says."""
    return _BEGINS.match(leaf) is not None


def told_of(line: int, position: int, leaf: bytes, detail: str) -> Told | None:
    """What such an event says; None for a leaf that is not written as the log writes them."""
    found = _LEAF.fullmatch(leaf)
    if found is None:
        return None
    action, _, at, object_, _, site, study = (part.decode("utf-8", "replace") for part in found.groups())
    return Told(line, position, action, at, object_, site, study, detail)
