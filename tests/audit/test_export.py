"""What an auditor takes away with proofs verifies without the portal, whatever part of the log they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models import QuerySet

from audit import export
from audit.envelopes import Named
from audit.models import Cosignature, Event
from audit.proofs import latest_checkpoint
from fedstudy_verify.verifying import Trust, verify
from tests.audit.logs import SIGNER, sequence, write_events
from tests.audit.witnesses import cosignature_of

pytestmark = pytest.mark.django_db


class NothingKept:
    """Where no events name documents."""

    def keys_for(self, rows: QuerySet[Event]) -> Sequence[int]:
        return []

    def find(self, named: Sequence[Named]) -> Mapping[str, bytes]:
        return {}


def written(files: Any, folder: Path) -> Path:
    folder.mkdir()
    for name, pieces in files:
        (folder / name).write_bytes(b"".join(pieces))
    return folder


@pytest.mark.parametrize("every", [1, 2, 7, 1000])
def test_any_part_of_the_log_verifies(every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 50)
    for more in (3, 250, 40, 300):
        write_events(more, reason='“quoted”: "ü" \\ \n')
        old = {"actor": "system:tests", "actor_label": "tests", "action": "demo:thing:done", "object_type": "site"}
        Event.objects.create(object_id="1", salt=bytes(32), **old)  # of before there was a context
        sequence()
    last = Event.objects.latest("pk").pk
    shown = [pk for pk in Event.objects.values_list("pk", flat=True) if pk % every == 0 and pk < last - 30]
    found = verify(
        written(export.files(Event.objects.filter(pk__in=shown), keeping=NothingKept()), tmp_path / "export"),
        Trust(str(SIGNER.key)),
    )
    assert (found.ok, found.problems) == (True, [])
    assert (found.events, found.events + found.hidden, found.size) == (len(shown), 597, 597)
    assert found.checkpoints == 4


def test_events_without_a_signed_place_are_not_in_it(tmp_path: Path) -> None:
    write_events(5)
    sequencer = sequence()
    write_events(5)
    sequencer.place_batch()
    found = verify(written(export.files(Event.objects.all(), keeping=NothingKept()), tmp_path / "export"))
    assert (found.ok, found.events, found.size) == (True, 5, 5)


def test_an_export_ends_where_the_quorum_does(tmp_path: Path) -> None:
    nodes, cosigned = [UUID(int=number) for number in (1, 2, 3)], []
    for node in nodes:
        write_events(30)
        sequence()
        checkpoint = latest_checkpoint()
        body = cosignature_of(node, checkpoint)
        facts = {"origin": "portal.test/audit", "made_at": checkpoint.at, "line": body["cosignature"]}
        cosigned.append(Cosignature.objects.create(node=node, key=body["key"], size=checkpoint.size, **facts))
    write_events(10)
    sequence()
    keys = [item.key for item in cosigned]

    def exported(name: str, quorum: int) -> Path:
        return written(export.files(Event.objects.all(), cosigned, quorum, keeping=NothingKept()), tmp_path / name)

    found = verify(exported("two", 2), Trust(str(SIGNER.key), keys, 2))
    assert (found.ok, found.problems) == (True, [])
    assert (found.events, found.last, found.witnessed, found.quorum, found.size) == (60, 59, 60, 2, 100)
    found = verify(tmp_path / "two", Trust(str(SIGNER.key), keys, 3))
    assert found.problems == ["Event 59 is shown, and a quorum of witnesses has the first 30 only."]
    found = verify(exported("four", 4))
    assert (found.ok, found.events, found.quorum) == (True, 100, 0)
    assert not verify(tmp_path / "four", Trust(str(SIGNER.key), keys, 4)).ok
