"""What an auditor takes away with proofs verifies without the portal, whatever part of the log they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit import export
from audit.models import Event
from fedstudy_verify.verifying import Trust, verify
from tests.audit.logs import SIGNER, sequence, write_events

pytestmark = pytest.mark.django_db


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
        sequence()
    last = Event.objects.latest("pk").pk
    shown = [pk for pk in Event.objects.values_list("pk", flat=True) if pk % every == 0 and pk < last - 30]
    found = verify(
        written(export.files(Event.objects.filter(pk__in=shown)), tmp_path / "export"), Trust(str(SIGNER.key))
    )
    assert (found.ok, found.problems) == (True, [])
    assert (found.events, found.events + found.hidden, found.size) == (len(shown), 593, 593)
    assert found.checkpoints == 4


def test_events_without_a_signed_place_are_not_in_it(tmp_path: Path) -> None:
    write_events(5)
    sequencer = sequence()
    write_events(5)
    sequencer.place_batch()
    found = verify(written(export.files(Event.objects.all()), tmp_path / "export"))
    assert (found.ok, found.events, found.size) == (True, 5, 5)
