"""What people call the strategies."""

from __future__ import annotations

from federation.strategies.catalogue import STRATEGIES


def strategy_title(name: str) -> str:
    """The title of a strategy; what has none (a script's own ServerApp) keeps the run's word for it."""
    known = STRATEGIES.get(name)
    return known.title if known else name
