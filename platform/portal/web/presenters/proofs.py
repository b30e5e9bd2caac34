"""An event with its proof, as its page shows it and as the page's own script checks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from audit.models import Cosignature, Event
from audit.presenters import detail_of
from audit.proofs import Proof, encoded
from fedstudy_core.transparency.leaves import BoundText
from portal.web.presenters.facts import name_of

HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShownProof:
    """A proof; ``data`` is the JSON that the page's script checks, ``path`` from the leaf up to the root."""

    position: int
    size: int
    leaf: str
    path: tuple[str, ...]
    checkpoint: str
    witnesses: tuple[str, ...]
    data: str


def shown_proof(event: Event, proof: Proof, key: str, cosigned: Iterable[Cosignature]) -> ShownProof:
    """The proof, with the cosignatures of this very checkpoint."""
    found = [item for item in cosigned if item.size == proof.checkpoint.size]
    note = proof.checkpoint.note + "".join(item.line for item in found)
    path = encoded(proof.hashes)
    told = {
        "event": str(event.event_id),
        "position": proof.position,
        "leaf": proof.leaf,
        **{name: _opened(text) for name, text in vars(proof.texts).items()},
        "hashes": path,
        "key": key,
        "checkpoint": note,
        "witnesses": [item.key for item in found],
    }
    return ShownProof(
        position=proof.position,
        size=proof.checkpoint.size,
        leaf=json.dumps(json.loads(proof.leaf), indent=2, ensure_ascii=False),
        path=tuple(path),
        checkpoint=note,
        witnesses=tuple(item.key.partition("+")[0] for item in found),
        data=json.dumps(told, ensure_ascii=False),
    )


def hashes_of(event: Event) -> tuple[tuple[str, str], ...]:
    """The hashes that an event names: what was before and after, what was signed or run."""
    return tuple(_hashes(detail_of(event)))


def _hashes(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, str) and HASH.fullmatch(value):
            yield name_of(name), value


def _opened(text: BoundText | None) -> dict[str, str] | None:
    return None if text is None else {"salt": text.salt.hex(), "text": text.text}
