"""Witnesses of the log, as their page shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from fedstudy_core.codes import CODES
from nodes.registry.witnesses import Standing
from portal.web.advice import said


@dataclass(frozen=True)
class WitnessRow:
    """A node; ``state`` is holds, behind, silent or refused, ``why`` the sentence of a refusal."""

    name: str
    site: str
    state: str
    size: int
    at: dt.datetime | None
    lag: int
    key: str
    code: str = ""
    why: str = ""
    refused_at: dt.datetime | None = None


def witness_rows(found: Iterable[Standing]) -> list[WitnessRow]:
    """The nodes as rows."""
    return [_row(item) for item in found]


def _row(item: Standing) -> WitnessRow:
    last, refusal = item.last, item.refusal
    state = "refused" if refusal else "silent" if last is None else "behind" if item.lag else "holds"
    return WitnessRow(
        name=item.node.name,
        site=item.node.site.name,
        state=state,
        size=last.size if last else 0,
        at=last.made_at if last else None,
        lag=item.lag,
        key=last.key if last else "",
        code=refusal.code if refusal else "",
        why=said(CODES.get(refusal.code, "")) if refusal else "",
        refused_at=refusal.at if refusal else None,
    )
