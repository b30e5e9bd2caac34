"""The best round by a chosen metric, and the end of a run that gains no more.

Both look at the evaluated rounds as they stand, whenever an evaluation is written; so it does not matter whether a
round's evaluation is known before the round is committed or one round later.

Ending on a plateau: L. Prechelt, Early Stopping - But When?, in Neural Networks: Tricks of the Trade, 1998 (the third
class of criteria: no gain in so many evaluations one after the other).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models.fields.json import KeyTransform

from audit.services import record
from federation.runs.models import Run
from federation.runs.phases import EVALUATE
from fedstudy_core import metrics as measures
from fedstudy_core.counts import counted
from fedstudy_core.errors import FieldProblem, Invalid

ENGINE = "system:engine"
LONGEST_NAME = 100
LOWER_IS_BETTER = frozenset({"loss", "error", "mse", "mae", "rmse", "brier", "perplexity", "deviance", "time"})


def better_when(metric: str) -> str:
    """The direction that a metric's name suggests: "lower" for losses and errors, "higher" for the rest."""
    words = metric.lower().replace("-", " ").replace("_", " ").split()
    return "lower" if LOWER_IS_BETTER.intersection(words) else "higher"


class Wish(Protocol):
    """What a plan says of it (`federation.runs.services.Plan`)."""

    @property
    def rounds(self) -> int: ...
    @property
    def metric(self) -> str | None: ...
    @property
    def better(self) -> str | None: ...
    @property
    def patience(self) -> int: ...
    @property
    def min_delta(self) -> float: ...


def fields_of(wish: Wish, declaration: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan says of best round and early end, checked, as the run's fields.

    Raises:
        Invalid: E_METRIC, E_INVALID with a problem for each field that does not fit.
    """
    metric = declaration.get("headline", "") if wish.metric is None else wish.metric
    better = (wish.better or better_when(metric)) if metric else ""
    problems = list(_problems(wish, metric, better, declaration.get("metrics", {})))
    if problems:
        raise Invalid(problems[0].code, problems[0].detail, errors=problems)
    return {"metric": metric, "better": better, "patience": wish.patience, "min_delta": wish.min_delta}


def _problems(wish: Wish, metric: str, better: str, kinds: Mapping[str, str]) -> Iterator[FieldProblem]:
    if len(metric) > LONGEST_NAME or measures.is_raw(metric) or kinds.get(metric) in measures.LISTS:
        yield FieldProblem("metric", "E_METRIC", "The name of one number that the script reports when it tests.")
    if better not in ("", "higher", "lower"):
        yield FieldProblem("better", "E_INVALID", "“higher” or “lower”.")
    if wish.patience and not metric:
        yield FieldProblem("patience", "E_METRIC", "Ending early needs a metric to watch.")
    elif not 0 <= wish.patience < max(wish.rounds, 1):
        yield FieldProblem("patience", "E_INVALID", "From 0, and fewer than the run's rounds.")
    if not 0 <= wish.min_delta < float("inf"):
        yield FieldProblem("min_delta", "E_INVALID", "A number from 0.")


@dataclass(frozen=True)
class Rule:
    """What counts as gain.

    Attributes:
        better: "higher" or "lower".
        patience: evaluated rounds without gain after which it is a plateau; 0 for never.
        min_delta: a gain has to be larger than this, in the metric's own unit.
    """

    better: str
    patience: int = 0
    min_delta: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The best round so far (the first of equals; None where nothing was evaluated), and whether it is a plateau."""

    best: int | None
    is_plateau: bool


def judge(values: Sequence[tuple[int, float]], rule: Rule) -> Verdict:
    """Judge a metric's values, each with its round's number, in the order of rounds."""
    sign = 1.0 if rule.better == "higher" else -1.0
    best, reached, mark, idle = None, float("-inf"), float("-inf"), 0
    for number, value in values:
        if sign * value > reached:
            best, reached = number, sign * value
        if sign * value > mark + rule.min_delta:
            mark, idle = sign * value, 0
        else:
            idle += 1
    return Verdict(best, bool(rule.patience) and idle >= rule.patience)


def evaluated(run: Run) -> list[tuple[int, float]]:
    """The watched metric of all sites together, by round."""
    kept = KeyTransform(run.metric, KeyTransform(EVALUATE, "metrics"))
    rows = run.standing_rounds.filter(number__gt=0).annotate(watched=kept).values_list("number", "watched")
    return [(number, float(value)) for number, value in rows.order_by("number") if isinstance(value, int | float)]


def note_evaluation(run: Run) -> None:
    """Note the best round and whether the run ends here; called in the transaction that wrote an evaluation.

    A plateau ends the run after the round that is under way or was last: what the sites have worked for is kept.
    """
    if not run.metric:
        return
    verdict = judge(evaluated(run), Rule(run.better, run.patience, run.min_delta))
    if verdict.best != run.best_round:
        run.best_round = verdict.best
        Run.objects.filter(pk=run.pk).update(best_round=verdict.best)
    if verdict.is_plateau and run.ends_after is None:
        run.ends_after = run.standing_rounds.order_by("number").values_list("number", flat=True).last()
        Run.objects.filter(pk=run.pk).update(ends_after=run.ends_after)
        detail = {"metric": run.metric, "best": run.best_round, "patience": run.patience, "round": run.ends_after}
        record(action="runs:run:plateau", actor=ENGINE, obj=run, study=run.study_id, detail=detail)


def epitaph(run: Run) -> str:
    """Why a run is complete before its last planned round; empty where it is not."""
    if run.ends_after is None or run.ends_after >= run.rounds:
        return ""
    ended = f"No gain in {run.metric} for {counted(run.patience, 'round')}, so it ended after round {run.ends_after}."
    return f"{ended} The best is round {run.best_round}."
