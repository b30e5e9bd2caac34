"""Hashes of the stored tree: of any part of it, of roots, and of proofs, with a few questions to the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from audit.models import Leaf, Tile
from fedstudy_core.transparency.tree import (
    HASH_BYTES,
    Place,
    Span,
    consistency_spans,
    fold,
    inclusion_spans,
    root_of,
    subtrees,
)

HEIGHT = 8  # levels of the tree in a tile
WIDTH = 1 << HEIGHT


def size() -> int:
    """How many events have their place."""
    last = Leaf.objects.order_by("-position").values_list("position", flat=True).first()
    return 0 if last is None else last + 1


def inclusion_proof(position: int, tree: int) -> list[bytes]:
    """The proof that the leaf at a position is in the tree of that size. Raises ValueError for none such."""
    return hashes_over(inclusion_spans(position, tree))


def consistency_proof(old: int, tree: int) -> list[bytes]:
    """The proof that the tree of that size begins with an old one. Raises ValueError for sizes that do not fit."""
    return hashes_over(consistency_spans(old, tree))


def root(tree: int) -> bytes:
    """The root of the tree of that size."""
    return hashes_over([(0, tree)])[0]


def hashes_over(spans: Sequence[Span]) -> list[bytes]:
    """The hash over each of these runs of leaves."""
    places = [subtrees(*span) for span in spans]
    known = nodes({place for group in places for place in group})
    return [fold([known[place] for place in group]) for group in places]


def nodes(places: Iterable[Place]) -> dict[Place, bytes]:
    """The hashes of complete subtrees, by level and place."""
    wanted = {place: _row_of(place) for place in places}
    full = _tiles({(level, first // WIDTH) for level, first, _ in wanted.values()})
    rest = [row for row in wanted.values() if (row[0], row[1] // WIDTH) not in full]
    loose = _leaf_hashes(rest) | _tile_roots(rest)
    return {place: root_of(_cut(row, full, loose)) for place, row in wanted.items()}


Row = tuple[int, int, int]  # level of a tile, first hash of that level, number of hashes


def _row_of(place: Place) -> Row:
    level, where = place
    height = level % HEIGHT
    return level // HEIGHT, where << height, 1 << height


def _cut(row: Row, full: dict[Place, bytes], loose: dict[Place, bytes]) -> list[bytes]:
    level, first, count = row
    if tile := full.get((level, first // WIDTH)):
        start = first % WIDTH * HASH_BYTES
        return [tile[at : at + HASH_BYTES] for at in range(start, start + count * HASH_BYTES, HASH_BYTES)]
    return [loose[level, number] for number in range(first, first + count)]


def _tiles(places: set[Place]) -> dict[Place, bytes]:
    found = _of_levels(places).values_list("level", "place", "hashes") if places else []
    return {(level, place): bytes(hashes) for level, place, hashes in found}


def _leaf_hashes(rows: Sequence[Row]) -> dict[Place, bytes]:
    wanted = [number for level, first, count in rows if level == 0 for number in range(first, first + count)]
    found = Leaf.objects.filter(position__in=wanted).values_list("position", "hash") if wanted else []
    return {(0, position): bytes(hash_) for position, hash_ in found}


def _tile_roots(rows: Sequence[Row]) -> dict[Place, bytes]:
    """Hashes of a level of tiles that has no full tile yet: they are the roots of the tiles below."""
    wanted = {(level - 1, number) for level, first, count in rows if level for number in range(first, first + count)}
    found = _of_levels(wanted).values_list("level", "place", "root") if wanted else []
    return {(level + 1, place): bytes(root) for level, place, root in found}


def _of_levels(places: set[Place]) -> QuerySet[Tile]:
    """The full tiles among these, in one question however many levels they are of."""
    levels = sorted({level for level, _ in places})
    groups = [Q(level=level, place__in=[place for at, place in places if at == level]) for level in levels]
    return Tile.objects.filter(reduce(or_, groups))
