"""What runs did with a site's data, as rows for page and file."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.runs.models import Participation
from fedstudy_core.codes import CODES
from portal.web.presenters.runs import phase_name

COLUMNS = (
    "asked_at", "answered_at", "study", "run_id", "run", "script", "script_sha256", "dataset", "fingerprint", "round",
    "phase", "state", "code", "rows", "bytes_in", "bytes_out", "left", "content_sha256", "receipt_sha256",
)  # fmt: skip
LEFT = {
    "sums": gettext_noop("sums over all rows"),
    "initial": gettext_noop("model"),
    "train": gettext_noop("model update"),
}


@dataclass(frozen=True)
class UseRow:
    """One exchange: what came in, what left.

    Attributes:
        left: the kinds of what left, in words; `numbers` are those beside metrics, and `metrics` their names.
        receipt: SHA-256 of the node's signed account; empty where there is none.
    """

    asked_at: dt.datetime
    study: str
    run: str
    run_href: str
    dataset: str
    round: int
    phase: str
    state: str
    trouble: str
    rows: int | None
    bytes_in: int
    bytes_out: int
    left: str
    numbers: str
    metrics: tuple[str, ...]
    content: str
    receipt: str


def use_rows(uses: Iterable[Participation]) -> list[UseRow]:
    """The lines of the table."""
    return [_row(item) for item in uses]


def _row(item: Participation) -> UseRow:
    run, approval = item.round.run, item.approval
    return UseRow(
        asked_at=item.asked_at,
        study=run.study.title,
        run=run.label,
        run_href=reverse("web:run", args=[run.pk]),
        dataset=approval.dataset.name if approval else "",
        round=item.round.number,
        phase=phase_name(item.phase),
        state=item.state,
        trouble=item.detail or CODES.get(item.code, ""),
        rows=item.examples,
        bytes_in=item.bytes_sent,
        bytes_out=item.bytes_received,
        left=what_left(item),
        numbers=_numbers(item),
        metrics=tuple(sorted(item.metrics)) if item.bytes_received else (),
        content=item.content_sha256,
        receipt=receipt_digest(item),
    )


def _numbers(item: Participation) -> str:
    return _(LEFT[item.phase]) if item.phase in LEFT else ""


def what_left(item: Participation) -> str:
    """What a site's answer held: the kind of numbers that the phase sends, and the names of the metrics."""
    if not item.bytes_received:
        return ""
    kinds = [word for word in [_numbers(item)] if word]
    if item.metrics:
        kinds.append(_("metrics {names}").format(names=", ".join(sorted(item.metrics))))
    return "; ".join(kinds) or _("numbers")


def receipt_digest(item: Participation) -> str:
    """By which a receipt is found in the node's own ledger."""
    return hashlib.sha256(bytes(item.receipt)).hexdigest() if item.receipt else ""


def use_record(item: Participation) -> dict[str, Any]:
    """One exchange as a line of a file, in English; moments in ISO 8601, sizes in bytes."""
    run, approval = item.round.run, item.approval
    with translation.override(None):
        left = what_left(item)
    return {
        "asked_at": item.asked_at.isoformat(),
        "answered_at": item.answered_at.isoformat() if item.answered_at else None,
        "study": run.study.title,
        "run_id": str(run.pk),
        "run": run.label,
        "script": str(run.version),
        "script_sha256": run.version.sha256,
        "dataset": approval.dataset.name if approval else "",
        "fingerprint": approval.dataset.fingerprint if approval else "",
        "round": item.round.number,
        "phase": item.phase,
        "state": item.state,
        "code": item.code,
        "rows": item.examples,
        "bytes_in": item.bytes_sent,
        "bytes_out": item.bytes_received,
        "left": left,
        "content_sha256": item.content_sha256,
        "receipt_sha256": receipt_digest(item),
    }
