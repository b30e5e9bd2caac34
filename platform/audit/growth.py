"""The right edge of the tree as the sequencer holds it: what adding leaves needs, and when a tile is full."""

from __future__ import annotations

from dataclasses import dataclass, field

from audit import stored_tree
from audit.stored_tree import HEIGHT, WIDTH
from fedstudy_core.transparency.tree import Edge, root_of, subtrees


@dataclass(frozen=True)
class FullTile:
    """256 hashes side by side."""

    level: int
    place: int
    hashes: bytes
    root: bytes


@dataclass
class Growth:
    """The edge, and the hashes of each level's last tile, which is not full yet."""

    edge: Edge = field(default_factory=Edge)
    open: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def stored(cls) -> Growth:
        """As the database has it."""
        size = stored_tree.size()
        places = subtrees(0, size)
        known = stored_tree.nodes(places)
        levels = range((size.bit_length() + HEIGHT - 1) // HEIGHT)
        counts = [size >> (HEIGHT * level) for level in levels]
        return cls(
            Edge(size, [known[place] for place in places]),
            [_last_of(level, count) for level, count in zip(levels, counts, strict=True)],
        )

    def append(self, hash_: bytes) -> list[FullTile]:
        """Add a leaf; returns the tiles that are full with it."""
        self.edge.append(hash_)
        full: list[FullTile] = []
        level = 0
        while True:
            if len(self.open) == level:
                self.open.append([])
            self.open[level].append(hash_)
            if len(self.open[level]) < WIDTH:
                return full
            hashes, self.open[level] = self.open[level], []
            hash_ = root_of(hashes)
            place = (self.edge.size >> (HEIGHT * (level + 1))) - 1
            full.append(FullTile(level, place, b"".join(hashes), hash_))
            level += 1


def _last_of(level: int, count: int) -> list[bytes]:
    """The hashes after the last full tile of a level that has `count` hashes."""
    first = count - count % WIDTH
    places = [(level * HEIGHT, number) for number in range(first, count)]
    known = stored_tree.nodes(places)
    return [known[place] for place in places]
