"""Strategies that leave a part of the model at each site: to be tried where the shared one is worse than its own."""

from __future__ import annotations

from collections.abc import Sequence

from federation.degrees.models import DegreeComparison
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import Description
from fedstudy_core.errors import FieldProblem, Invalid


def personal_strategies(comparison: DegreeComparison) -> list[Description]:
    """Those that suit the comparison's script and are not in it yet."""
    tried = {comparison.plan["strategy"], *comparison.personalised}
    return [item for item in STRATEGIES.values() if is_personal(item.name) and _suits(item, comparison, tried)]


def check_personal(comparison: DegreeComparison, wanted: Sequence[str]) -> None:
    """Raises Invalid (E_INVALID) for a strategy that leaves nothing at the sites, or does not suit the script."""
    known = {item.name for item in personal_strategies(comparison)} | {*comparison.personalised}
    unknown = sorted({*wanted} - known)
    if unknown:
        words = f"“{unknown[0]}” is no strategy that leaves a part of this script's model at the sites."
        raise Invalid("E_INVALID", words, errors=[FieldProblem("personalised", "E_INVALID", words)])


def is_personal(strategy: str) -> bool:
    """Whether a strategy of the platform leaves a part of the model at each site."""
    item = STRATEGIES.get(strategy)
    return item is not None and item.needs is not None and item.needs.declared == "local_layers"


def _suits(item: Description, comparison: DegreeComparison, tried: set[str]) -> bool:
    return item.name not in tried and not item.unsupported_by(comparison.version.declaration)
