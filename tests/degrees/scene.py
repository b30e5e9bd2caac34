"""Runs of a comparison as they would be measured, without a database."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any, cast

from federation.degrees.measuring import Measured, Measurements
from federation.degrees.models import DegreeComparison
from federation.degrees.reckoning import Degrees, reckon
from federation.runs.comparing import Effort

Tests = dict[str, dict[str, Any]]
SITES = {name: SimpleNamespace(pk=uuid.uuid4(), site=SimpleNamespace(name=name)) for name in ("A", "B")}
COMPARISON = cast(
    DegreeComparison,
    SimpleNamespace(
        id=uuid.uuid4(),
        label="Degrees_1",
        seeds=[42],
        study_id=uuid.uuid4(),
        version_id=uuid.uuid4(),
        version=SimpleNamespace(declaration={"headline": "auc", "local_layers": ["bias"]}),
        personalised=[],
        plan={"strategy": "fedavg", "rounds": 3, "config": {"seed": 42}},
    ),
)


def told(auc: float, rows: int, **more: Any) -> dict[str, Any]:
    """What a site says of a test."""
    return {"auc": auc, "num-examples": rows, **more}


def run_of(kind: str, tests: Tests, *, site: str = "", trained: dict[str, int] | None = None, pooled: int = 0,
           exposed: dict[str, int] | None = None, state: str = "completed", seed: int = 42,
           strategy: str = "fedavg") -> Measured:  # fmt: skip
    """A run of a kind in which these sites tested, of 2 s and 30 bytes."""
    enrolment = SITES[site].pk if site else None
    entry = SimpleNamespace(kind=kind, enrolment=SITES.get(site), enrolment_id=enrolment, table_id=None, seed=seed)
    label, config = f"{kind} {site}".strip(), {"bootstrap": 200, "seed": seed}
    run = SimpleNamespace(
        state=state, pk=uuid.uuid4(), label=label, config=config, ends_after=None, rounds=3, strategy=strategy
    )
    return Measured(
        entry=cast(Any, entry),
        run=cast(Any, run),
        trains=frozenset(SITES[name].pk for name in trained or {}),
        tests={SITES[name].pk: metrics for name, metrics in tests.items()},
        trained={SITES[name].pk: rows for name, rows in (trained or {}).items()},
        exposed=exposed or {},
        pooled=pooled,
        effort=Effort(rounds=1, median_round_ms=1, duration_ms=2000, bytes_sent=10, bytes_received=20),
    )


def reckoned(*runs: Measured, metric: str = "") -> Degrees:
    """The tables of these runs."""
    return reckon(COMPARISON, Measurements(cast(Any, tuple(SITES.values())), runs), metric)
