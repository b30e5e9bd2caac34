"""The sequencer gives every event one place, signs what is there, and refuses to go on from what was altered."""

from __future__ import annotations

import json
import random

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from audit import stored_tree
from audit.growth import Growth
from audit.models import Checkpoint, Event, Leaf, LogKey, Queued, Tile
from audit.sequencer import LOCK, Sequencer, lead
from fedstudy_core import keys
from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.leaves import BoundText, names_text
from fedstudy_core.transparency.tree import (
    EMPTY_ROOT,
    consistency_spans,
    fold,
    includes,
    inclusion_spans,
    is_consistent,
    leaf_hash,
    root_of,
)
from tests.audit.logs import SIGNER, assert_whole, sequence, write_events

pytestmark = pytest.mark.django_db


def test_events_get_places_in_their_order_and_are_signed() -> None:
    write_events(5)
    sequence()
    assert_whole()
    assert list(Leaf.objects.order_by("position").values_list("event", flat=True)) == list(
        Event.objects.order_by("pk").values_list("pk", flat=True)
    )
    assert Checkpoint.objects.get().size == Event.objects.count()
    assert LogKey.objects.get().key == str(SIGNER.key)


def test_a_leaf_tells_the_event_and_is_bound_to_its_texts() -> None:
    write_events(1, reason="because")
    sequence()
    event, leaf = Event.objects.get(), Leaf.objects.get()
    body = json.loads(leaf.body)
    assert (body["event"], body["actor"], body["action"]) == (str(event.event_id), event.actor, event.action)
    assert body["at"] == event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert "because" not in leaf.body
    assert event.actor_label not in body.values()
    salt = bytes(event.salt)
    assert (len(salt), body["v"]) == (48, 2)
    assert body["detail"] == BoundText(salt[16:32], event.detail).commitment
    assert body["context"] == BoundText(salt[32:], event.context).commitment
    assert body["names"] == BoundText(salt[:16], names_text(event.actor_label, event.object_label)).commitment


def test_an_event_of_before_there_was_a_context_has_the_leaf_that_it_always_had() -> None:
    """Its salt has two parts, its leaf the first form, byte by byte; and it stands beside newer ones in one tree."""
    write_events(1)
    told = {"actor": "system:tests", "actor_label": "tests", "action": "demo:thing:done", "object_type": "site"}
    old = Event.objects.create(object_id="1", salt=bytes(range(32)), **told)
    sequence()
    body = json.loads(Leaf.objects.get(event=old.pk).body)
    assert sorted(body) == [
        "action", "actor", "at", "detail", "event", "names", "object", "outcome", "site", "study", "v",
    ]  # fmt: skip
    assert (body["v"], body["detail"]) == (1, BoundText(bytes(range(16, 32)), "{}").commitment)
    assert body["names"] == BoundText(bytes(range(16)), names_text("tests", "")).commitment
    assert_whole()


def test_a_checkpoint_is_signed_when_the_log_has_grown_and_not_again() -> None:
    write_events(3)
    sequencer = sequence()
    assert not sequencer.sign_checkpoint()
    write_events(2)
    assert sequencer.place_batch() == 2
    assert sequencer.sign_checkpoint()
    assert list(Checkpoint.objects.values_list("size", flat=True)) == [5, 3]
    assert_whole()


def test_a_sequencer_goes_on_from_any_size() -> None:
    """The edge that is read back is the one that was held, also around full tiles."""
    held = Sequencer.begin(SIGNER)
    for more in (1, 254, 1, 1, 255, 300, 12):
        write_events(more)
        held.place_batch()
        assert Growth.stored() == held.growth
    held.sign_checkpoint()
    assert_whole()


def test_tiles_of_the_second_level_are_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """With tiles of four hashes instead of 256 there are levels enough."""
    for module in ("audit.growth", "audit.stored_tree"):
        monkeypatch.setattr(f"{module}.HEIGHT", 2)
        monkeypatch.setattr(f"{module}.WIDTH", 4)
    sequencer = Sequencer.begin(SIGNER)
    for more in (1, 2, 3, 10, 47, 1, 8, 5):
        write_events(more)
        sequencer.place_batch()
        assert Growth.stored() == sequencer.growth
    hashes = [bytes(hash_) for hash_ in Leaf.objects.order_by("position").values_list("hash", flat=True)]
    assert set(Tile.objects.values_list("level", flat=True)) == {0, 1, 2}
    for size in range(1, len(hashes) + 1):
        assert stored_tree.root(size) == root_of(hashes[:size])
        for old in (1, size // 2 + 1, size):
            proof = stored_tree.consistency_proof(old, size)
            assert is_consistent(old, root_of(hashes[:old]), size, root_of(hashes[:size]), proof)


def test_proofs_from_the_database_are_those_of_the_tree() -> None:
    write_events(700)
    sequence()
    leaves = [bytes(hash_) for hash_ in Leaf.objects.order_by("position").values_list("hash", flat=True)]
    chance = random.Random(6)
    for _ in range(40):
        size = chance.randint(1, 700)
        index, old = chance.randrange(size), chance.randint(1, size)
        proof = stored_tree.inclusion_proof(index, size)
        assert proof == [root_of(leaves[start:end]) for start, end in inclusion_spans(index, size)]
        assert includes(leaves[index], index, size, proof, root_of(leaves[:size]))
        proof = stored_tree.consistency_proof(old, size)
        assert proof == [root_of(leaves[start:end]) for start, end in consistency_spans(old, size)]


def test_a_proof_takes_few_questions() -> None:
    write_events(600)
    sequence()
    with connection.execute_wrapper(_counter := Counter()):
        stored_tree.inclusion_proof(17, 600)
    assert _counter.count <= 3


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        self.count += 1
        return execute(sql, params, many, context)


def test_events_that_neither_tree_nor_queue_knows_are_found() -> None:
    """Such as those of before there was a tree, or whose queue entry somebody took away."""
    write_events(4)
    Queued.objects.all().delete()
    sequence()
    assert_whole()
    assert Leaf.objects.count() == 4


def test_the_empty_log_has_a_root_and_no_checkpoint() -> None:
    sequence()
    assert fold([]) == EMPTY_ROOT
    assert not Checkpoint.objects.exists()


@pytest.mark.parametrize("model", [Leaf, Tile, Checkpoint, LogKey, Event])
@pytest.mark.parametrize("change", ["update", "delete"])
def test_nothing_of_the_log_is_changed_or_removed(model: type, change: str) -> None:
    write_events(300)
    sequence()
    name = model._meta.pk.attname  # type: ignore[attr-defined]
    rows = model.objects.all()  # type: ignore[attr-defined]
    with pytest.raises(DatabaseError, match="Cannot update or delete rows"), transaction.atomic():
        if change == "update":
            rows.update(**{name: F(name)})
        else:
            rows.delete()


@pytest.mark.parametrize("what", ["leaf", "fewer"])
def test_nothing_is_signed_after_what_was_altered(what: str) -> None:
    """Somebody with all rights in the database changed or removed rows; the last signature does not fit any more."""
    write_events(3)
    sequence()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_leaf DISABLE TRIGGER USER")
        if what == "leaf":
            cursor.execute("UPDATE audit_leaf SET hash = %s WHERE position = 1", [leaf_hash(b"other")])
        else:
            cursor.execute("DELETE FROM audit_leaf WHERE position = 2")
    with pytest.raises(Refusal, match="E_LOG_ALTERED"):
        Sequencer.begin(SIGNER)


def test_words_of_new_events_do_not_wait_for_a_writer_to_file_them() -> None:
    write_events(3)
    sequence().file_words()
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('audit_event_words')")
        assert cursor.fetchone() == (0,), "pages of the list that were left"


def test_one_of_two_leads() -> None:
    assert lead()
    with psycopg.connect(**_here(), autocommit=True) as other:
        (got,) = other.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (None,)
        assert got is False
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        (got,) = other.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (None,)
        assert got is True
        with pytest.raises(CommandError, match="at work already"):
            call_command("sequence_log", "--once")


def _here() -> dict[str, str]:
    database = connection.settings_dict
    return {"host": database["HOST"], "user": database["USER"], "dbname": database["NAME"]}


@pytest.fixture(autouse=True)
def _key(tmp_path_factory: pytest.TempPathFactory, settings: object) -> None:
    file = tmp_path_factory.mktemp("log") / "key.pem"
    file.write_bytes(keys.to_pem(SIGNER.private, None))
    settings.FEDSTUDY_LOG_KEY = file  # type: ignore[attr-defined]


def test_without_its_key_it_says_how_to_make_one() -> None:
    settings.FEDSTUDY_LOG_KEY = None
    with pytest.raises(CommandError, match="openssl genpkey"):
        call_command("sequence_log", "--once")
