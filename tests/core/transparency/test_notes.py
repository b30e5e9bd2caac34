"""Notes, checkpoints and cosignatures are those of other implementations to the byte; altered ones are refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import canonical
from fedstudy_core.errors import Refusal
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.checkpoints import Checkpoint, proof_text
from fedstudy_core.transparency.leaves import BoundText, Leaf, names_text
from fedstudy_core.transparency.notes import LOG, WITNESS, Note, NoteKey, Signature, cosign, sign
from fedstudy_core.transparency.tree import EMPTY_ROOT, leaf_hash

# The example of the reference implementation of signed notes (golang.org/x/mod/sumdb/note).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_NOTE = (
    PETER_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of C2SP's tlog-cosignature.
SIGNED = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
BY_WITNESS = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
COSIGNED = f"""example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa {SIGNED}
— witness.example.com/w1 {BY_WITNESS}
"""
ORIGIN = "portal.example/audit"
KEY, WITNESS_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
LOG_KEY = NoteKey.of(ORIGIN, LOG, KEY.public_key())
SEEN_BY = NoteKey.of("node.example/1", WITNESS, WITNESS_KEY.public_key())
CHECKPOINT = Checkpoint(ORIGIN, 7, leaf_hash(b"root"))


def test_the_reference_note_is_read_verified_and_signed_alike() -> None:
    key, note = NoteKey.parse(PETER), Note.parse(PETER_NOTE.encode())
    assert (key.name, key.kind, key.key_id.hex(), str(key)) == ("PeterNeumann", LOG, "c74f20a3", PETER)
    assert (note.text, str(note)) == (PETER_TEXT, PETER_NOTE)
    assert list(note.signed_by([key])) == [key]
    secret = Ed25519PrivateKey.from_private_bytes(base64.b64decode(PETER_SECRET)[1:])
    assert Note(PETER_TEXT, (sign(PETER_TEXT, "PeterNeumann", secret),)) == note


def test_the_example_of_a_cosigned_checkpoint_is_read() -> None:
    note = Note.parse(COSIGNED.encode())
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == note.text
    assert (note.signatures[1].name, note.signatures[1].time) == ("witness.example.com/w1", 1679315147)
    assert str(note) == COSIGNED


def test_a_witness_signs_the_time_too() -> None:
    note = CHECKPOINT.signed(KEY)
    cosigned = note.with_signatures(cosign(note.text, SEEN_BY.name, WITNESS_KEY, at=1_800_000_000))
    read = Note.parse(str(cosigned).encode())
    assert {key.name: found.time for key, found in read.signed_by([SEEN_BY]).items()} == {
        "node.example/1": 1_800_000_000
    }
    assert set(read.signed_by([SEEN_BY, LOG_KEY])) == {SEEN_BY, LOG_KEY}
    made = read.signatures[1].made
    later = (1_800_000_001).to_bytes(8, "big") + made[8:]
    spoilt = Note(note.text, (Signature(SEEN_BY.name, SEEN_BY.key_id, later),))
    with pytest.raises(Refusal, match="E_NOTE_SIGNATURE"):
        spoilt.signed_by([SEEN_BY])


@given(st.data())
def test_no_altered_checkpoint_is_taken(data: st.DataObject) -> None:
    whole = str(CHECKPOINT.signed(KEY)).encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    altered = data.draw(
        st.one_of(
            st.integers(1, 255).map(lambda bit: whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]),
            st.just(whole[:place]),
            st.binary(min_size=1, max_size=4).map(lambda more: whole[:place] + more + whole[place:]),
        )
    )
    with pytest.raises(Refusal):
        assert checkpoints.read(altered, LOG_KEY)[0] != CHECKPOINT


def test_a_checkpoint_of_another_log_or_key_is_not_taken() -> None:
    other = Checkpoint("other.example/audit", 7, CHECKPOINT.root)
    with pytest.raises(Refusal, match="E_NOTE_SIGNATURE"):
        checkpoints.read(str(other.signed(KEY)).encode(), LOG_KEY)
    passed_off = Note(other.text, (sign(other.text, ORIGIN, KEY),))
    with pytest.raises(Refusal, match="another log"):
        checkpoints.read(str(passed_off).encode(), LOG_KEY)
    with pytest.raises(Refusal, match="not signed by"):
        checkpoints.read(str(CHECKPOINT.signed(WITNESS_KEY)).encode(), LOG_KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\n\n",
        "a\n\nb\n",
        "a\n\n— a\n",
        "a\n\n— a =\n",
        "a\n\n— a b+c\n",
        "a\n\n— a AAAA\n",
        "a\n\n— a+b AAAAAAAA\n",
        "\ud800",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="E_NOTE"):
        Note.parse(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("size", ["", "-1", "01", "1 ", "x", "٣", "9" * 17])
def test_a_size_is_written_in_one_way(size: str) -> None:
    root = base64.b64encode(EMPTY_ROOT).decode()
    with pytest.raises(Refusal, match="E_NOTE"):
        Checkpoint.parse(f"{ORIGIN}\n{size}\n{root}\n")
    assert Checkpoint.parse(f"{ORIGIN}\n0\n{root}\nmore\n").root == EMPTY_ROOT


def test_no_part_of_a_key_is_a_key() -> None:
    for end in range(len(PETER)):
        with pytest.raises(Refusal, match="E_NOTE_KEY"):
            NoteKey.parse(PETER[:end])
    for place in range(len(PETER)):
        with pytest.raises(Refusal, match="E_NOTE_KEY"):
            NoteKey.parse(PETER[:place] + chr(ord(PETER[place]) + 1) + PETER[place + 1 :])


def test_a_proof_stands_for_itself() -> None:
    text = proof_text(3, [EMPTY_ROOT], str(CHECKPOINT.signed(KEY)))
    lines = text.split("\n")
    assert lines[:4] == ["c2sp.org/tlog-proof@v1", "index 3", base64.b64encode(EMPTY_ROOT).decode(), ""]
    assert checkpoints.read("\n".join(lines[4:]).encode(), LOG_KEY)[0] == CHECKPOINT


def leaf(**changes: object) -> Leaf:
    values: dict[str, object] = {
        "event": "6b0b3a3e-6f7f-4f1c-9d0f-0d8f0a5b0c11",
        "at": datetime(2026, 5, 1, 12, 0, 0, 250, tzinfo=UTC),
        "actor": "user:7",
        "action": "runs:round:committed",
        "object_type": "run",
        "object_id": "12",
        "study": "s",
        "site": "",
        "outcome": "done",
        "names": BoundText(b"n" * 16, names_text("Ada Demo", "first run")),
        "detail": BoundText(b"d" * 16, '{"round":1}'),
    }
    return Leaf(**{**values, **changes})  # type: ignore[arg-type]


def test_a_leaf_is_canonical_and_names_nobody() -> None:
    body = leaf().body()
    value = canonical.loads(body)
    assert (value["v"], value["at"], value["object"]) == (1, "2026-05-01T12:00:00.000250Z", {"type": "run", "id": "12"})
    assert b"Ada" not in body
    assert b"round" not in body.replace(b"runs:round:committed", b"")


@pytest.mark.parametrize("name", ["event", "actor", "action", "object_type", "object_id", "study", "site", "outcome"])
def test_every_fact_of_an_event_is_in_its_leaf(name: str) -> None:
    assert leaf(**{name: "other"}).body() != leaf().body()


def test_texts_and_salts_are_bound_to_the_leaf() -> None:
    for name in ("names", "detail"):
        assert leaf(**{name: BoundText(b"n" * 16, "{}")}).body() != leaf().body()
        assert leaf(**{name: BoundText(b"o" * 16, "{}")}).body() != leaf(**{name: BoundText(b"n" * 16, "{}")}).body()


def test_whatever_an_event_holds_it_has_a_leaf() -> None:
    assert b"a\xef\xbf\xbdb" in leaf(object_id="a\u202eb").body()
    assert names_text("a\x00", "b")
