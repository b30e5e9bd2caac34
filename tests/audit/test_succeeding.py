"""A log that goes on under another origin says where the old one ended: as far as anybody is known to have seen it."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit.management.commands import restart_log
from audit.management.commands.sequence_log import read_key, signer_now
from audit.models import Checkpoint, Cosignature, Event, LogKey, WitnessRefusal
from audit.presenters import context_of, detail_of, sentence
from audit.proofs import latest_checkpoint, succession
from audit.succeeding import succeed
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.keys import to_pem
from fedstudy_core.transparency.checkpoints import Checkpoint as Signed
from fedstudy_core.transparency.successions import Succession, read
from tests.audit.logs import SIGNER, sequence, write_events
from tests.audit.witnesses import cosignature_of

pytestmark = pytest.mark.django_db
NEW = "portal.test/audit/2"
ONE, TWO = UUID(int=1), UUID(int=2)


def seen(size: int, origin: str = SIGNER.origin) -> str:
    """A checkpoint that the log signed and lost."""
    return str(Signed(origin, size, bytes([size]) * 32).signed(SIGNER.private))


def grow(count: int) -> Checkpoint:
    write_events(count)
    sequence()
    return latest_checkpoint()


def refuse(node: UUID, note: str) -> None:
    WitnessRefusal.objects.create(node=node, code="E_LOG_ROLLBACK", seen=note, offered="another")


def cosign(node: UUID, checkpoint: Checkpoint, origin: str = SIGNER.origin) -> None:
    body = cosignature_of(node, checkpoint)
    facts = {"key": body["key"], "line": body["cosignature"], "made_at": checkpoint.at}
    Cosignature.objects.create(node=node, origin=origin, size=checkpoint.size, **facts)


def end(note: str = "") -> Succession:
    return succeed(origin=NEW, key=SIGNER.private, seen=note)


def test_where_nobody_refuses_the_last_checkpoint_is_the_end() -> None:
    last = grow(5)
    cosign(ONE, last)
    with pytest.raises(Invalid, match="E_INVALID"):
        succeed(origin=SIGNER.origin, key=SIGNER.private)
    told = end()
    assert (told.size, told.root) == (5, bytes(last.root))
    assert read(succession().encode()) == (told, True)
    assert LogKey.objects.values_list("key", flat=True).first() == str(told.new)
    event = Event.objects.get(action="audit:log:succeeded")  # written with it, and placed by the next sequencer
    assert sentence(event) == f"The log of {SIGNER.origin} ended at 5 events and goes on as {NEW}."
    assert (event.actor, detail_of(event)["root"]) == ("system:restart_log", told.root.hex())


@pytest.fixture
def leading() -> Iterator[None]:
    """Whoever leads does so until its session with the database ends, which here goes on."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")


@pytest.mark.usefixtures("leading")
def test_the_command_lets_the_log_go_on(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells what the operator has to do next, and leaves nothing where something is not right."""
    key, kept = tmp_path / "log-key.pem", tmp_path / "seen"
    key.write_bytes(to_pem(SIGNER.private, None))
    settings.FEDSTUDY_LOG_KEY = key
    kept.write_text(seen(9))
    cosign(ONE, grow(5))
    for origin, *words in ([SIGNER.origin], ["two words"], [NEW, "--seen", "nowhere"], [NEW, "--seen", str(key)]):
        with pytest.raises(CommandError):
            call_command("restart_log", origin, *words)
    assert not Event.objects.filter(action="audit:log:succeeded").exists()
    with monkeypatch.context() as patch, pytest.raises(CommandError, match="Stop the sequencer first"):
        patch.setattr(restart_log, "lead", lambda: False)
        call_command("restart_log", NEW)
    said = StringIO()
    call_command("restart_log", NEW, "--seen", str(kept), stdout=said)
    event = Event.objects.get(action="audit:log:succeeded")
    told, holds = read(succession().encode())
    assert holds
    assert (told.old, told.size, told.new.name) == (SIGNER.key, 9, NEW)
    assert detail_of(event) == {
        "old": SIGNER.origin, "size": 9, "root": told.root.hex(), "new": NEW, "key": str(told.new),
    }  # fmt: skip
    assert context_of(event)["auth"]["method"] == "system"
    assert said.getvalue().startswith(f"The log of {SIGNER.origin} ended at 9 events, root {told.root.hex()}.\n")
    assert "fedstudy-node witness accept" in said.getvalue()
    sequence(signer_now(read_key()))
    assert latest_checkpoint().note.startswith(f"{NEW}\n6\n")


def test_the_largest_that_is_refused_to_be_left_is_the_end() -> None:
    grow(60)
    refuse(ONE, seen(40))
    refuse(TWO, seen(50))
    refuse(TWO, seen(200, "portal.other/audit"))
    refuse(TWO, "")
    told = end()
    assert (told.old, told.size, told.root) == (SIGNER.key, 50, bytes([50]) * 32)


def test_what_was_refused_before_and_is_cosigned_since_is_not() -> None:
    grow(10)
    refuse(ONE, seen(4))
    cosign(ONE, grow(10))
    assert end().size == 20


def test_what_was_refused_after_a_cosignature_is() -> None:
    cosign(ONE, grow(10))
    refuse(ONE, seen(30))
    cosign(TWO, grow(10))
    assert end().size == 30


def test_it_does_not_end_before_what_witnesses_cosigned() -> None:
    """One node alone refuses, and saw less than others: whoever looks at these finds out what they saw."""
    grow(10)
    refuse(ONE, seen(4))
    cosign(TWO, grow(10))
    for note in ("", seen(19)):
        with pytest.raises(Refusal, match="E_LOG_BEHIND"):
            end(note)
    assert not succession()
    assert end(seen(20)).size == 20


def test_what_was_cosigned_of_another_log_does_not_count() -> None:
    grow(10)
    refuse(ONE, seen(4))
    cosign(TWO, grow(10), origin="portal.test/audit/0")
    assert end().size == 4
