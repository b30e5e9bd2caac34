"""Counts leave a hospital only as bands."""

from itertools import pairwise

_EDGES = (1, 10, 50, 100, 500, 1000, 5000, 10_000, 50_000, 100_000)


def band(count: int) -> str:
    """Return the band that a count lies in: "0", "1-9", "10-49", ... "100000+"."""
    if count < 1:
        return "0"
    for lower, upper in pairwise(_EDGES):
        if count < upper:
            return f"{lower}-{upper - 1}"
    return f"{_EDGES[-1]}+"
