"""Rows that lay at a pool node when a run used them: under whose consents they came, and what became of them.

A run that goes on from another run's model has what that model has seen: the rows that trained it, in that run and in
those that it comes from itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from federation.runs.lineage import Ancestor
from federation.runs.models import Run
from federation.runs.pooled import tables_seen
from fedstudy_core.times import format_time
from studies.pooling.models import PoolConsent

FOLDER = "pooling"


@dataclass(frozen=True)
class Behind:
    """A consent, and the runs whose models have seen its rows: of the run itself and of those it comes from."""

    consent: PoolConsent
    runs: tuple[Run, ...]


def consents_behind(run: Run, datasets: Collection[UUID], ancestors: Sequence[Ancestor]) -> list[Behind]:
    """The consents whose rows are behind a run's model, by site; none where all rows were a hospital's own.

    Args:
        datasets: those that the run itself stands on.
    """
    used = {run: set(datasets)} | {item.run: tables_seen(item.run, item.until) for item in ancestors}
    found = PoolConsent.objects.filter(tables__dataset__in=set().union(*used.values())).distinct()
    rows = found.select_related("site").prefetch_related("sent", "tables").order_by("site__name", "recorded_at")
    return [Behind(item, tuple(_users(item, used.items()))) for item in rows]


def _users(consent: PoolConsent, used: Iterable[tuple[Run, set[UUID]]]) -> Iterable[Run]:
    tables = {item.dataset_id for item in consent.tables.all()}
    return (run for run, datasets in used if not tables.isdisjoint(datasets))


def consent_told(item: Behind) -> dict[str, Any]:
    """A consent as plain JSON values; `rows` is how many were sent under it, `runs` whose models have seen them."""
    consent = item.consent
    said = consent.statement
    return {
        "site": consent.site.name,
        "meaning": "consents",
        "level": consent.level,
        "signers": [{"name": signer["name"], "role": signer["role"]} for signer in said["approvers"]],
        "signed_at": format_time(consent.signed_at),
        "not_after": format_time(consent.not_after),
        "retention_until": format_time(consent.retention_until),
        "columns": said["columns"],
        "rows": sum(item.rows for item in consent.sent.all() if item.completed_at),
        "state": consent.standing,
        "ended_at": format_time(consent.ended_at) if consent.ended_at else None,
        "deleted_at": format_time(consent.deleted_at) if consent.deleted_at else None,
        "runs": [{"id": str(run.pk), "label": run.label} for run in item.runs],
        "statement": consent.sha256,
        "files": sorted(signed_files(consent)),
    }


def signed_files(consent: PoolConsent) -> dict[str, tuple[bytes, str]]:
    """What was signed of a consent, byte for byte, with a title: by the path of its file."""
    stem = f"{FOLDER}/{consent.sha256[:16]}"
    kept = {
        f"{stem}.dsse.json": (consent.envelope, "rows may be pooled"),
        f"{stem}.revocation.dsse.json": (consent.revocation, "no longer"),
        f"{stem}.deletion.dsse.json": (consent.deletion, "deleted, says the pool node"),
    }
    return {
        path: (bytes(content), f"{consent.site.name}: {words}, as it was signed")
        for path, (content, words) in kept.items()
        if content
    }
