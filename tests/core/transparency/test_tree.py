"""The tree agrees with Certificate Transparency's own vectors, and proofs hold for what is so and for nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstudy_core.transparency.tree import (
    EMPTY_ROOT,
    Edge,
    consistency_spans,
    fold,
    includes,
    inclusion_spans,
    is_consistent,
    leaf_hash,
    node_hash,
    root_of,
    subtrees,
)

LARGEST = 300

# The leaves, roots and proofs of Certificate Transparency's reference implementation.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = [
    (0, 1, ""),
    (0, 2, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
    (1, 2, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    (2, 3, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    (
        1,
        5,
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d "
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
    (
        0,
        8,
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7 "
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (
        5,
        8,
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b "
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 "
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
]
CT_CONSISTENCY = [
    (1, 1, ""),
    (
        1,
        8,
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7 "
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (
        6,
        8,
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a "
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 "
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (
        2,
        5,
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
]
# Roots over leaves that are their own number in two bytes, the lower first (the reference's compact ranges).
COMPACT_ROOTS = {
    10: "VjWMPSYNtCuCNlF/RLnQy6HcwSk6CIipfxm+hettA+4=",
    15: "j4SulYmocFuxdeyp12xXCIgK6PekBcxzAIj4zbQzNEI=",
    16: "c+4Uc6BCMOZf/v3NZK1kqTUJe+bBoFtOhP+P3SayKRE=",
    100: "dUh9hYH88p0CMoHkdr1wC2szbhcLAXOejWpINIooKUY=",
    255: "SmdsuKUqiod3RX2jyF2M6JnbdE4QuTwwipfAowI4/i0=",
}


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """The root as RFC 9162 defines it, slowly."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(by_definition(leaves[:half]), by_definition(leaves[half:]))


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(b"leaf %d" % number) for number in range(count)]


LEAVES = hashes(LARGEST)
ROOTS = [by_definition(LEAVES[:size]) for size in range(LARGEST + 1)]


def proof_of(spans: Sequence[tuple[int, int]], leaves: Sequence[bytes]) -> list[bytes]:
    return [by_definition(leaves[start:end]) for start, end in spans]


def test_leaves_and_nodes_are_hashed_apart() -> None:
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert EMPTY_ROOT.hex() == CT_ROOTS[0]


def test_roots_are_those_of_certificate_transparency() -> None:
    leaves = [leaf_hash(leaf) for leaf in CT_LEAVES]
    assert [root_of(leaves[:size]).hex() for size in range(9)] == CT_ROOTS
    for size, expected in COMPACT_ROOTS.items():
        numbered = (leaf_hash(number.to_bytes(2, "little")) for number in range(size))
        assert base64.b64encode(root_of(numbered)).decode() == expected


@pytest.mark.parametrize(("index", "size", "expected"), CT_INCLUSION)
def test_inclusion_proofs_are_those_of_certificate_transparency(index: int, size: int, expected: str) -> None:
    leaves = [leaf_hash(leaf) for leaf in CT_LEAVES]
    proof = proof_of(inclusion_spans(index, size), leaves)
    assert [hash_.hex() for hash_ in proof] == expected.split()
    assert includes(leaves[index], index, size, proof, bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(("old", "size", "expected"), CT_CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(old: int, size: int, expected: str) -> None:
    leaves = [leaf_hash(leaf) for leaf in CT_LEAVES]
    proof = proof_of(consistency_spans(old, size), leaves)
    assert [hash_.hex() for hash_ in proof] == expected.split()
    assert is_consistent(old, bytes.fromhex(CT_ROOTS[old]), size, bytes.fromhex(CT_ROOTS[size]), proof)


def test_every_size_to_300_has_its_root_and_its_subtrees() -> None:
    edge = Edge()
    for size in range(LARGEST + 1):
        assert (edge.size, edge.root()) == (size, ROOTS[size])
        whole = Edge()
        for level, place in subtrees(0, size):
            whole.append_subtree(level, by_definition(LEAVES[place << level : (place + 1) << level]))
        assert (whole.size, whole.hashes) == (size, edge.hashes)
        if size < LARGEST:
            edge.append(LEAVES[size])


def spans_root(memo: dict[tuple[int, int], bytes], start: int, end: int) -> bytes:
    if (start, end) not in memo:
        parts = [(place << level, (place + 1) << level) for level, place in subtrees(start, end)]
        memo[start, end] = (
            fold([spans_root(memo, *part) for part in parts]) if len(parts) > 1 else by_definition(LEAVES[start:end])
        )
    return memo[start, end]


def test_every_leaf_of_every_size_to_300_is_proven() -> None:
    memo: dict[tuple[int, int], bytes] = {}
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = [spans_root(memo, *span) for span in inclusion_spans(index, size)]
            assert includes(LEAVES[index], index, size, proof, ROOTS[size])
            assert not includes(LEAVES[index], index ^ 1, size, proof, ROOTS[size])


def test_every_two_sizes_to_300_are_proven_consistent() -> None:
    memo: dict[tuple[int, int], bytes] = {}
    for size in range(1, LARGEST + 1):
        for old in range(1, size + 1):
            proof = [spans_root(memo, *span) for span in consistency_spans(old, size)]
            assert is_consistent(old, ROOTS[old], size, ROOTS[size], proof)
            assert not is_consistent(old, ROOTS[old], size, ROOTS[size - 1], proof)


SIZES = st.integers(2, LARGEST)


@settings(max_examples=300)
@given(SIZES, st.data())
def test_a_spoilt_inclusion_proof_does_not_hold(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, root, proof = LEAVES[index], ROOTS[size], proof_of(inclusion_spans(index, size), LEAVES)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 8]) + proof[place][1:]
    spoilt = [
        [*proof[:place], flipped, *proof[place + 1 :]],
        proof[:-1],
        [*proof, root],
        [root, *proof],
        [*proof, b""],
        [proof[place][:31], *proof],
        [],
    ]
    assert not any(includes(leaf, index, size, wrong, root) for wrong in spoilt)
    assert not includes(leaf_hash(b"other"), index, size, proof, root)
    assert not any(includes(leaf, wrong, size, proof, root) for wrong in (index - 1, index + 1, index ^ 2, size, -1))
    assert not includes(leaf, index, 0, proof, root)


@settings(max_examples=300)
@given(SIZES, st.data())
def test_a_spoilt_consistency_proof_does_not_hold(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    proof = proof_of(consistency_spans(old, size), LEAVES)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = proof[place][:31] + bytes([proof[place][31] ^ 1])
    spoilt = [[*proof[:place], flipped, *proof[place + 1 :]], proof[:-1], [*proof, ROOTS[size]], [*proof, b""], []]
    assert not any(is_consistent(old, ROOTS[old], size, ROOTS[size], wrong) for wrong in spoilt)
    assert not is_consistent(old, leaf_hash(b"fork"), size, ROOTS[size], proof)
    assert not is_consistent(old, ROOTS[old], size, leaf_hash(b"fork"), proof)
    assert not is_consistent(size, ROOTS[size], old, ROOTS[old], proof)


def test_a_fork_has_no_consistency_proof() -> None:
    forked = [*LEAVES[:40], leaf_hash(b"other"), *LEAVES[41:]]
    proof = proof_of(consistency_spans(100, 200), forked)
    assert not is_consistent(100, ROOTS[100], 200, by_definition(forked[:200]), proof)


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert is_consistent(0, EMPTY_ROOT, 7, ROOTS[7], [])
    assert not is_consistent(0, ROOTS[1], 7, ROOTS[7], [])
    assert not is_consistent(0, EMPTY_ROOT, 7, ROOTS[7], [ROOTS[7]])
    assert is_consistent(7, ROOTS[7], 7, ROOTS[7], [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_spans(index, size)
    with pytest.raises(ValueError, match="compared"):
        consistency_spans(size + 1, size)


def test_a_subtree_stands_only_where_it_fits() -> None:
    with pytest.raises(ValueError, match="begins at 1"):
        Edge(1, [LEAVES[0]]).append_subtree(1, LEAVES[1])
