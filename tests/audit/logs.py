"""A log to test: events, a signer, and what must hold of whatever the sequencer left."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from accounts.models import Site
from audit import stored_tree, waiting
from audit.models import Checkpoint, Event, Leaf, Queued, Tile
from audit.sequencer import LogSigner, Sequencer
from audit.services import record
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.tree import Edge, leaf_hash, root_of

SIGNER = LogSigner("portal.test/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))


def write_events(count: int, **detail: object) -> None:
    """Add events, all in one transaction."""
    site = Site(name="Demo Hospital")
    with transaction.atomic():
        for number in range(count):
            record(action="demo:thing:done", actor="system:tests", obj=site, detail={"number": number, **detail})


def sequence(signer: LogSigner = SIGNER) -> Sequencer:
    """Give all events their place, and sign."""
    sequencer = Sequencer.begin(signer)
    while sequencer.place_batch():
        pass
    sequencer.sign_checkpoint()
    return sequencer


def sequence_while_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the log finds it at work."""
    looked = waiting._is_signed

    def after_its_work(event: Event) -> bool:
        sequence()
        return looked(event)

    monkeypatch.setattr(waiting, "_is_signed", after_its_work)
    monkeypatch.setattr(waiting, "PATIENCE_S", 3_600.0)  # what a test wrote before may have waited for a while


def assert_whole() -> None:
    """Every event has one place, there is no gap, and what is stored is what is signed."""
    leaves = list(Leaf.objects.order_by("position"))
    assert [leaf.position for leaf in leaves] == list(range(len(leaves)))
    assert sorted(leaf.event for leaf in leaves) == sorted(Event.objects.values_list("pk", flat=True))
    assert not Queued.objects.exists()
    hashes = [leaf_hash(leaf.body.encode()) for leaf in leaves]
    assert [bytes(leaf.hash) for leaf in leaves] == hashes
    for tile in Tile.objects.filter(level=0):
        assert bytes(tile.hashes) == b"".join(hashes[tile.place * 256 : (tile.place + 1) * 256])
    assert Tile.objects.filter(level=0).count() == len(leaves) // 256
    grown = Edge()
    for signed in Checkpoint.objects.order_by("size"):
        for hash_ in hashes[grown.size : signed.size]:
            grown.append(hash_)
        checkpoint, _ = checkpoints.read(signed.note.encode(), SIGNER.key)
        assert (checkpoint.size, checkpoint.root) == (signed.size, bytes(signed.root))
        assert grown.size == signed.size
        assert checkpoint.root == grown.root() == stored_tree.root(signed.size)
    if grown.size:
        assert grown.root() == root_of(hashes[: grown.size])
