"""Score counts of subgroups on their way out: those that would tell of too few patients stay at the site."""

from collections.abc import Mapping, Sequence

from fedstudy_core.errors import Refusal
from fedstudy_core.metrics import NEGATIVES, POSITIVES, Metric
from fedstudy_core.subgroups import Cell, Subgroup, all_names, names_of, tellable


def withheld(metrics: Mapping[str, Metric], subgroups: Sequence[Subgroup], min_rows: int) -> frozenset[str]:
    """Return the names of the counts that may not leave. The histograms among the metrics have been checked.

    Raises:
        Refusal: E_METRICS_FORM for counts without those of the other class or of all rows, or for more than all rows.
    """
    if not any(name in metrics for name in all_names(subgroups)):
        return frozenset()
    whole = _cell(metrics, (POSITIVES, NEGATIVES))
    if whole is None:
        raise Refusal("E_METRICS_FORM", "Subgroups are counted, and not all rows.")
    return frozenset(name for item in subgroups for name in _hidden(metrics, item, whole, min_rows))


def _hidden(metrics: Mapping[str, Metric], subgroup: Subgroup, whole: Cell, min_rows: int) -> frozenset[str]:
    names = {value.name: names_of(subgroup.name, value.name) for value in subgroup.values}
    cells = {value: _cell(metrics, pair) or Cell(0, 0) for value, pair in names.items()}
    positives, negatives = (sum(getattr(cell, side) for cell in cells.values()) for side in ("positives", "negatives"))
    if positives > whole.positives or negatives > whole.negatives:
        raise Refusal("E_METRICS_FORM", f"The subgroups by {subgroup.name!r} have more rows than there are.")
    kept = tellable(cells, whole, min_rows)
    return frozenset(name for value, pair in names.items() if value not in kept for name in pair)


def _cell(metrics: Mapping[str, Metric], names: tuple[str, str]) -> Cell | None:
    """The rows of both classes; None where neither is counted."""
    found = [value for name in names if isinstance(value := metrics.get(name), list)]
    if len(found) == 1:
        raise Refusal("E_METRICS_FORM", f"Of “{names[0]}” and “{names[1]}” there is only one.")
    return Cell(int(sum(found[0])), int(sum(found[1]))) if found else None
