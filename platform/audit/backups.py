"""What operators do with backups. Their own tools make them; the log is told by `manage.py note_backup`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.db import transaction

from audit.models import Checkpoint, Event
from audit.services import Thing, record

ACTOR = "system:backup"
MOST_FILES, LONGEST_LABEL = 100, 60
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "made": "portal:backup:made",
        "failed": "portal:backup:failed",
        "tried": "portal:backup:tried",
        "restored": "portal:backup:restored",
    }
)


def note_backup(*, done: str, label: str, files: Sequence[Path] = ()) -> Event:
    """Tell the log what was done with a backup, and how many of its entries are signed when it is told.

    Args:
        done: "made", "failed" (it could not be), "tried" (restored elsewhere, to see that it can be) or "restored".
        label: how the operator finds it again; at most `LONGEST_LABEL` characters.
        files: what it consists of, at most `MOST_FILES`: names, sizes and hashes are told, by which it is known again.

    Raises:
        OSError: a file cannot be read.
    """
    last = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first()
    detail: dict[str, Any] = {"entries": last or 0, "files": [_told(path) for path in files]}  # which takes its time
    outcome = "failed" if done == "failed" else "done"
    obj = Thing("backup", label, label)
    with transaction.atomic():
        return record(action=ACTIONS[done], actor=ACTOR, obj=obj, outcome=outcome, detail=detail)


def _told(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"name": path.name, "bytes": file.tell(), "sha256": digest}
