"""Rows that lay at a pool node when a run used them: under whose consents they came, and what became of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from fedstudy_core.times import format_time
from studies.pooling.models import PoolConsent

FOLDER = "pooling"


def consents_behind(datasets: Collection[UUID]) -> list[PoolConsent]:
    """The consents whose rows are in these datasets, by site; none where all of them are a hospital's own."""
    found = PoolConsent.objects.filter(tables__dataset__in=datasets).distinct()
    return list(found.select_related("site").prefetch_related("sent").order_by("site__name", "recorded_at"))


def consent_told(consent: PoolConsent) -> dict[str, Any]:
    """A consent as plain JSON values; `rows` is how many were sent under it."""
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
