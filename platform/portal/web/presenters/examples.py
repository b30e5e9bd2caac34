"""Made-up values for the style guide: every component in every state, without a database."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from portal.web.presenters.charts import POOLED, RocCurve, chart, roc_curve, series_number, sparks
from portal.web.presenters.icons import ICONS
from portal.web.presenters.levels import LEVELS
from portal.web.presenters.runs import ResultRow, Results, RoundRow, RunPage, Trouble
from portal.web.presenters.status import STATUSES

SITES = ("Cleveland Clinic", "Hungarian Institute of Cardiology", "University Hospital Zurich", "VA Long Beach")
FINAL_AUC = (0.872, 0.881, 0.933, 0.761)
HASH = "9f2c64f1a0d3be7755c1e86d0a4b2f93c7de10ab56f3d2b8e4a97c0d1f6e8a3b"
NOW = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)
ROUNDS = 14


def examples() -> dict[str, Any]:
    """The style guide's context."""
    return {
        "statuses": [(kind, list(states)) for kind, states in STATUSES.items()],
        "icons": list(ICONS),
        "levels": LEVELS,
        "tones": ["ok", "wait", "bad", "info", "idle"],
        "hash": HASH,
        "moment": NOW,
        "page": example_run(),
        "live_href": "",
        "colours": ["canvas", "surface", "sunken", "ink", "muted", "line", "brand", "brand-soft", "focus"],
        "words": ["amber", "river", "copper", "lantern", "orchid", "summit"],
        "approve": f"fedstudy-node approve {HASH[:12]} --dataset heart --days 90",
    }


def _curve(final: float, number: int, seed: int) -> float:
    return final - 0.22 * math.exp(-number / 4) + 0.006 * math.sin(3 * number + seed)


def _lines(finals: tuple[float, ...], sign: int = 1) -> dict[str, dict[int, float]]:
    return {
        site: {number: final - (1 - sign) / 2 + sign * (_curve(final, number, seed) - final) for number in _numbers()}
        for seed, (site, final) in enumerate(zip(SITES, finals, strict=True))
    }


def _numbers() -> range:
    return range(1, ROUNDS + 1)


def _mean(lines: dict[str, dict[int, float]]) -> dict[int, float]:
    return {number: sum(line[number] for line in lines.values()) / len(lines) for number in _numbers()}


def example_run() -> RunPage:
    """A run at work in its fifteenth round of twenty, with one site awaited."""
    auc, accuracy = _lines(FINAL_AUC), _lines((0.79, 0.80, 0.75, 0.68))
    loss = {site: {n: 0.35 + 0.5 * math.exp(-n / 5) + 0.02 * s for n in _numbers()} for s, site in enumerate(SITES)}
    return RunPage(
        state="running",
        is_live=False,
        committed=ROUNDS,
        total=20,
        median_round_ms=840,
        awaited=({"site": SITES[2], "phase": "train", "since": NOW, "until": NOW + dt.timedelta(minutes=2)},),
        charts=(
            chart("auc", "evaluate", _mean(auc), auc),
            chart("accuracy", "evaluate", _mean(accuracy), accuracy),
            chart("train-loss", "train", _mean(loss), loss),
        ),
        headline="AUC",
        headline_is_mean=True,
        sparks=sparks(auc),
        rounds=tuple(_round(number) for number in range(ROUNDS + 1, -1, -1)),
        hidden_rounds=0,
        results=_results(),
        curves=(_roc(POOLED, 0, 0.897), *(_roc(s, series_number(i), FINAL_AUC[i]) for i, s in enumerate(SITES))),
        bytes_sent=1_204_224,
        bytes_received=1_310_720,
        troubles=2,
    )


def _round(number: int) -> RoundRow:
    is_open = number > ROUNDS
    troubles: tuple[Trouble, ...] = ()
    if number == 9:
        troubles = (
            Trouble(SITES[3], "Training", "missing", "E_DEADLINE", "No answer came before the deadline."),
            Trouble(SITES[1], "Training", "refused", "E_EXPIRED", "The approval's validity has ended."),
        )
    return RoundRow(
        number=number,
        title=f"Round {number}" if number else "Preparation",
        key=str(number),
        is_best=number == 11,
        state="open" if is_open else "committed",
        asked=4,
        done=3 if is_open else 4 - len(troubles),
        troubles=troubles,
        headline=None if is_open or not number else _curve(0.86, number, 0),
        bytes_sent=20_480,
        bytes_received=21_950,
        duration_ms=None if is_open else 780 + 13 * number,
        committed_at=None if is_open else NOW + dt.timedelta(seconds=number),
        model="" if is_open else HASH,
    )


def _results() -> Results:
    tested, trained = (104, 89, 16, 45), (199, 172, 30, 85)
    accuracy = (0.798, 0.809, 0.75, 0.689)
    rows = tuple(
        ResultRow(site, series_number(i), ROUNDS, trained[i], tested[i], (FINAL_AUC[i], 0.897, accuracy[i]))
        for i, site in enumerate(SITES)
    )
    pooled = ResultRow(POOLED, 0, ROUNDS, sum(trained), sum(tested), (0.862, 0.897, 0.777))
    return Results(("AUC", "AUC, one ranking over all rows", "Accuracy"), rows, pooled)


def _roc(name: str, series: int, auc: float) -> RocCurve:
    rates = [position / 30 for position in range(31)]
    power = (1 - auc) / auc
    return roc_curve(name, series, auc, rates, [rate**power for rate in rates])
