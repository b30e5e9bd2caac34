"""Random alterations of a file of rows."""

from __future__ import annotations

import random
from collections.abc import Sequence


def altered(rows: list[bytes], chance: random.Random) -> tuple[str, list[bytes], int]:
    """One random alteration: what it is, the rows after it, and the first row (from 0) that is not as it was."""
    at = chance.randrange(len(rows))
    match chance.choice(["edit", "delete", "insert", "reorder", "truncate"]):
        case "edit":
            row = bytearray(rows[at])
            place = chance.randrange(len(row) - 1)
            row[place] = (row[place] + chance.randrange(1, 256)) % 256
            return "edit", [*rows[:at], bytes(row), *rows[at + 1 :]], at
        case "delete":
            return "delete", rows[:at] + rows[at + 1 :], at
        case "insert":
            at = chance.randrange(len(rows) + 1)
            return "insert", [*rows[:at], chance.choice(rows), *rows[at:]], at
        case "reorder":
            first, second = sorted(chance.sample(range(len(rows)), 2))
            rows = [*rows]
            rows[first], rows[second] = rows[second], rows[first]
            return "reorder", rows, first
        case _:
            whole = b"".join(rows)
            end = chance.randrange(len(whole))
            return "truncate", [whole[:end]], whole[:end].count(b"\n")


def first_of(kind: str, left: Sequence[bytes], first: int, rows: Sequence[bytes]) -> int:
    """The first row that differs: one put before itself is the same file as one put after itself."""
    return first + 1 if kind == "insert" and left[first] == rows[min(first, len(rows) - 1)] else first
