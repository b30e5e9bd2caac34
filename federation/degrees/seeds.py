"""The seeds of a comparison: one training is one draw, and what a degree brings is told by the mean of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedstudy_core.errors import FieldProblem, Invalid
from studies.scripts.models import ScriptVersion

SEED, MOST_SEEDS = "seed", 10  # the parameter by which a script takes one


def own_seed(version: ScriptVersion, config: Mapping[str, Any] | None) -> int | None:
    """The seed of a plan: as it says, or the script's default; None of a script without a parameter of that name."""
    declared = next((item for item in version.parameters if item["name"] == SEED and item["type"] == "int"), None)
    return None if declared is None else (config or {}).get(SEED, declared["default"])


def checked_seeds(wanted: Sequence[int], version: ScriptVersion) -> list[int]:
    """The seeds as they are wanted. Whether the script takes them is looked at when runs are planned.

    Raises:
        Invalid: E_INVALID for too many, for one that is named twice, or a script without the parameter `seed`.
    """
    words = ""
    if own_seed(version, None) is None:
        words = "This script has no whole number “seed” among its parameters: it is trained once in each way."
    elif not 1 <= len(wanted) <= MOST_SEEDS or len(set(wanted)) < len(wanted):
        words = f"1 to {MOST_SEEDS} whole numbers, each of them once."
    if words:
        raise Invalid("E_INVALID", words, errors=[FieldProblem("seeds", "E_INVALID", words)])
    return list(wanted)
