"""A log that goes on under another origin says where the old one ended: as far as anybody is known to have seen it."""

from __future__ import annotations

from uuid import UUID

import pytest

from audit.models import Checkpoint, Cosignature, Event, LogKey, WitnessRefusal
from audit.presenters import detail_of, sentence
from audit.proofs import latest_checkpoint, succession
from audit.succeeding import succeed
from fedstudy_core.errors import Invalid, Refusal
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
