"""Backups are made and restored by the operator's own tools; a command tells the log of it."""

from __future__ import annotations

from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import backups
from audit.models import Event
from audit.presenters import context_of, detail_of, sentence
from tests.audit.logs import sequence, write_events

pytestmark = pytest.mark.django_db
read = backups._told


def while_the_log_goes_on(path: Path) -> dict[str, Any]:
    """Files are read, which takes long."""
    write_events(2)
    sequence()
    return read(path)


def test_a_backup_is_told_with_what_it_consists_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_events(3)
    sequence()
    dump = tmp_path / "fedstudy.dump"
    dump.write_bytes(b"rows" * 1_000)
    said = StringIO()
    monkeypatch.setattr(backups, "_told", while_the_log_goes_on)
    call_command("note_backup", "made", "nightly-2030-01-31", str(dump), stdout=said)
    event = Event.objects.latest("pk")
    assert said.getvalue() == f"The log has it as event {event.event_id}.\n"
    assert (event.action, event.actor, event.outcome) == ("portal:backup:made", "system:backup", "done")
    file = {"name": "fedstudy.dump", "bytes": 4_000, "sha256": sha256(dump.read_bytes()).hexdigest()}
    assert detail_of(event) == {"entries": 3, "files": [file]}
    assert (
        sentence(event) == "The backup “nightly-2030-01-31” was made (signed entries of the log when it was told: 3)."
    )
    assert context_of(event)["auth"]["method"] == "system"


@pytest.mark.parametrize(
    ("done", "outcome", "said"),
    [
        ("failed", "failed", "The backup “nightly” could not be made."),
        ("tried", "done", "The backup “nightly” was restored elsewhere, to see that it can be."),
        ("restored", "done", "The backup “nightly” was restored (signed entries from which the log goes on: 0)."),
    ],
)
def test_what_else_becomes_of_a_backup(done: str, outcome: str, said: str) -> None:
    call_command("note_backup", done, "nightly", stdout=StringIO())
    event = Event.objects.get()
    assert (event.action, event.outcome, sentence(event)) == (f"portal:backup:{done}", outcome, said)


@pytest.mark.parametrize(
    "words", [("made", " "), ("made", "x" * 61), ("made", "nightly", "nowhere.dump"), ("lost", "x")]
)
def test_what_cannot_be_told_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("note_backup", *words)
    assert not Event.objects.exists()
