"""Bootstrap replicates on their way out: which form they have, and of how few rows they stay at the site."""

import math
from collections.abc import Mapping

from fedstudy_core.errors import Refusal
from fedstudy_core.metrics import MOST_IDENTITY, MOST_REPLICATES, SITES_OWN, WEIGHT

LEAST_TESTED = 10  # rows behind replicates that leave
DECIMALS = 4

Value = int | float | list[int] | list[float]


def check_replicates(name: str, value: object, phase: str) -> None:
    """Hold replicates to what they are: 1 to 200 finite fractions, of a test.

    Raises:
        Refusal: E_METRICS_FORM, E_METRICS_TYPE, E_METRICS_NOT_FINITE.
    """
    if phase != "evaluate" or not isinstance(value, list) or not 1 <= len(value) <= MOST_REPLICATES:
        raise Refusal("E_METRICS_FORM", f"“{name}” are not 1 to {MOST_REPLICATES} replicates of a test.")
    if not all(isinstance(number, float) for number in value):
        raise Refusal("E_METRICS_TYPE", f"“{name}” does not hold fractions only.")
    if not all(map(math.isfinite, value)):
        raise Refusal("E_METRICS_NOT_FINITE", f"“{name}” is not finite.")


def check_identity(name: str, value: object, phase: str) -> None:
    """Hold the number that says whose replicates they are to 48 bits. Raises Refusal (E_METRICS_FORM)."""
    if phase != "evaluate" or type(value) is not int or not 0 <= value < MOST_IDENTITY:
        raise Refusal("E_METRICS_FORM", f"“{name}” is no number that names a test's rows.")


def leaving(metrics: Mapping[str, Value], kinds: Mapping[str, str], min_rows: int) -> dict[str, Value]:
    """The metrics with their replicates to four decimals, or without them where few rows were tested."""
    tested = metrics.get(WEIGHT)
    few = not isinstance(tested, int | float) or tested < max(min_rows, LEAST_TESTED)
    kept = {name: value for name, value in metrics.items() if not (few and kinds.get(name) in SITES_OWN)}
    return {name: _rounded(value) if kinds.get(name) == "replicates" else value for name, value in kept.items()}


def _rounded(value: Value) -> Value:
    return [round(float(number), DECIMALS) for number in value] if isinstance(value, list) else value
