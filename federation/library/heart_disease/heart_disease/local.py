"""The layers that stay at this site when the strategy says so, kept between rounds in the context's state.

They are kept by the round that made them, and the ones before as well: a round that is asked for again begins where it
began the first time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flwr.app import Array, ArrayRecord, ConfigRecord, Context

from .task import Arrays

LOCAL_LAYERS = "local-layers"
_KEPT = "local."


def split(arrays: Arrays, config: ConfigRecord) -> tuple[Arrays, Arrays]:
    """The arrays that are shared and the ones that stay, by the patterns in the message's configuration."""
    patterns = config.get(LOCAL_LAYERS, [])
    staying = {
        name: array
        for name, array in arrays.items()
        if isinstance(patterns, list) and any(_matches(name, str(pattern)) for pattern in patterns)
    }
    return {name: array for name, array in arrays.items() if name not in staying}, staying


def recall(context: Context, number: int) -> Arrays:
    """What the site kept in the last round up to that number; nothing before its first."""
    rounds = [kept for kept in _rounds(context.state) if kept <= number]
    if not rounds:
        return {}
    record = context.state.array_records[f"{_KEPT}{max(rounds)}"]
    return {name: array.numpy() for name, array in record.items()}


def keep(context: Context, number: int, arrays: Arrays) -> None:
    """Keep the layers after that round, and no more than one round before it."""
    before = [kept for kept in _rounds(context.state) if kept < number]
    for kept in _rounds(context.state):
        if kept != max(before, default=-1):
            del context.state[f"{_KEPT}{kept}"]
    if arrays:
        context.state[f"{_KEPT}{number}"] = ArrayRecord({name: Array(array) for name, array in arrays.items()})


def _matches(name: str, pattern: str) -> bool:
    """Whether the name fits the pattern, in which * stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _rounds(state: Mapping[str, object]) -> list[int]:
    return [int(name.removeprefix(_KEPT)) for name in state if name.startswith(_KEPT)]
