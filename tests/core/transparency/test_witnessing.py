"""What a witness lets pass, by any way in which a log can be cut and written anew; and successions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency import successions
from fedstudy_core.transparency.notes import Note, sign
from fedstudy_core.transparency.witnessing import Held, follow, witnessed
from tests.core.transparency.logs import KEY, ORIGIN, OTHER, PRIVATE, leaves, note, proof, signed, succession


def code(held: Held | None, offered: str, hashes: list[bytes]) -> str:
    try:
        follow(KEY, held, offered, hashes)
    except Refusal as refusal:
        return refusal.code
    return ""


@given(old=st.integers(1, 80), new=st.integers(1, 80), cut=st.integers(0, 80))
def test_only_what_goes_on_is_followed(old: int, new: int, cut: int) -> None:
    held = Held(KEY, note(leaves(old)))
    changed = leaves(new, other_from=cut)
    expected = "E_LOG_ROLLBACK" if new < old else "E_LOG_FORK" if cut < old else ""
    assert code(held, note(changed), proof(old, changed)) == expected
    honest = leaves(max(old, new))
    assert code(held, note(honest), proof(old, honest)) == ""
    if new > old:
        assert code(held, note(honest), proof(old, honest)[:-1]) == "E_LOG_FORK"


def test_a_first_look_takes_what_the_pinned_key_signed() -> None:
    hashes = leaves(5)
    assert code(None, note(hashes), []) == ""
    assert code(None, note(hashes, key=OTHER), []) == "E_NOTE_SIGNATURE"
    assert code(None, note(hashes, origin="portal.test/audit/2"), []) == "E_LOG_ORIGIN"
    assert code(None, "no note", []) == "E_NOTE"
    assert code(None, note(hashes).replace("\n5\n", "\n6\n"), []) == "E_NOTE_SIGNATURE"


@given(st.lists(st.integers(1, 1000), max_size=9), st.integers(2, 6))
def test_the_witnessed_size_is_the_largest_that_a_quorum_reached(sizes: list[int], quorum: int) -> None:
    found = witnessed(sizes, quorum)
    assert found == max((size for size in sizes if sum(other >= size for other in sizes) >= quorum), default=0)


@pytest.mark.parametrize("by_old", [True, False])
def test_a_succession_says_who_signed_it(by_old: bool) -> None:
    assert successions.read(signed(succession(), by_old=by_old).encode()) == (succession(), by_old)


def test_a_succession_that_was_altered_is_none() -> None:
    whole = signed(succession(), by_old=True)
    for altered in (whole.replace("\n7\n", "\n8\n"), whole.replace("\n7\n", "\n07\n"), whole.replace("v1", "v2")):
        with pytest.raises(Refusal, match="E_NOTE"):
            successions.read(altered.encode())
    only_old = Note(succession().text, (sign(succession().text, ORIGIN, PRIVATE),))
    with pytest.raises(Refusal, match="E_NOTE_SIGNATURE"):
        successions.read(str(only_old).encode())
