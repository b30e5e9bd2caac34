"""Runs and their rounds: planned, completed and failed ones, and schedules that are suspended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from federation.runs.models import Model, Participant, Participation, Round, Run, Schedule
from federation.runs.phases import EVALUATE, TRAIN
from portal.seeding.copying import Chance, Names, Row, copy, count_on
from portal.seeding.scripts import SeededScript, SeededVersion
from portal.seeding.shape import Shape

ROUND_TAKES = timedelta(seconds=30)
FAILED, FAILURE = 11, "E_QUORUM"  # every 11th run failed, and why
MODEL = {"weights": [[13], "float32"]}
WITH_RUNS = ("active", "closed", "archived")


@dataclass(frozen=True)
class SeededRun:
    """A run over: `rounds` were committed."""

    id: UUID
    number: int
    script: SeededScript
    version: SeededVersion
    rounds: int
    began: datetime

    @property
    def label(self) -> str:
        return f"Run {self.number:05} (synthetic)"

    @property
    def ended(self) -> datetime:
        return self.began + (self.rounds + 1) * ROUND_TAKES

    @property
    def has_failed(self) -> bool:
        return self.number % FAILED == 0


def make_runs(shape: Shape, scripts: list[SeededScript], until: datetime) -> list[SeededRun]:
    """The rounds in runs of equal length, handed out to the studies in turn; few runs evenly among all studies."""
    chance = Chance("runs")
    studied = [script for script in scripts if script.study.state in WITH_RUNS]
    runs = []
    for number in range(1, shape.runs + 1):
        place = (number - 1) * len(studied) // shape.runs if shape.runs < len(studied) else number - 1
        script = studied[place % len(studied)]
        rounds = min(shape.rounds_per_run, shape.rounds - (number - 1) * shape.rounds_per_run)
        began = script.versions[-1].at + chance.uniform(0.05, 0.95) * (until - script.versions[-1].at)
        runs.append(SeededRun(chance.id(), number, script, script.versions[-1], rounds, began))
    return runs


def write_runs(runs: list[SeededRun]) -> None:
    """The runs with the sites that they asked."""
    names: Names = (
        "id", "study_id", "version_id", "label", "state", "reason_code", "rounds", "created_by_id", "created_at",
        "queued_at", "admitted_at", "started_at", "ended_at", "best_round",
    )  # fmt: skip
    copy(
        Run, names, map(_run, runs), strategy="fedavg", strategy_parameters={}, config={"num-server-rounds": 50},
        quorum=1, deadline_s=60, wait_s=60, metric="loss", better="lower",
    )  # fmt: skip
    names = ("id", "run_id", "enrolment_id", "node_id", "approval_id", "position")
    copy(Participant, names, _participants(runs))


def _run(run: SeededRun) -> Row:
    study, state = run.script.study, "failed" if run.has_failed else "completed"
    reason = FAILURE if run.has_failed else ""
    times = (run.began, run.began, run.began, run.began, run.ended)
    return (run.id, study.id, run.version.id, run.label, state, reason, run.rounds, study.pi.id, *times, run.rounds)


def _participants(runs: list[SeededRun]) -> Iterator[Row]:
    number = 0
    for run in runs:
        for position, part in enumerate(run.script.study.ready):
            number += 1
            yield number, run.id, part.enrolment, part.site.node, run.version.approvals[part.enrolment], position


def write_rounds(runs: list[SeededRun]) -> None:
    """Every round with its model and what each site answered; the preparation (round 0) is left out."""
    chance = Chance("rounds")
    models = ((number, run.id, index, chance.sha256(), at) for number, run, index, at in _rounds(runs))
    copy(Model, ("id", "run_id", "round_number", "sha256", "created_at"), models, size=240, schema=MODEL)
    names: Names = (
        "id",
        "run_id",
        "number",
        "model_in_id",
        "model_out_id",
        "metrics",
        "started_at",
        "committed_at",
    )
    copy(
        Round, names, _committed(runs, chance), state="committed", bytes_sent=960, bytes_received=960, duration_ms=9_000
    )
    names = ("round_id", "participant_id", "phase", "metrics", "asked_at", "answered_at", "message_id")
    copy(
        Participation, names, _answers(runs, chance), state="done", examples=250, bytes_sent=240, bytes_received=240,
        content_sha256="c" * 64, receipt=b"{}",
    )  # fmt: skip
    count_on(Participant, Model, Round)


def _rounds(runs: list[SeededRun]) -> Iterator[tuple[int, SeededRun, int, datetime]]:
    """Number of the row, run, number in the run, and begin of every round."""
    number = 0
    for run in runs:
        for index in range(1, run.rounds + 1):
            number += 1
            yield number, run, index, run.began + index * ROUND_TAKES


def _committed(runs: list[SeededRun], chance: Chance) -> Iterator[Row]:
    for number, run, index, at in _rounds(runs):
        metrics = Jsonb({EVALUATE: _metrics(chance, index), TRAIN: {"loss": 1 / index}})
        before = number - 1 if index > 1 else None
        yield number, run.id, index, before, number, metrics, at, at + timedelta(seconds=9)


def _answers(runs: list[SeededRun], chance: Chance) -> Iterator[Row]:
    first = {}
    participants = 0
    for run in runs:
        first[run.id] = participants + 1
        participants += len(run.script.study.ready)
    for number, run, index, at in _rounds(runs):
        for position in range(len(run.script.study.ready)):
            asked = first[run.id] + position
            done = at + timedelta(seconds=chance.uniform(1, 8))
            told = (Jsonb({"loss": 1 / index}), Jsonb(_metrics(chance, index)))
            yield number, asked, TRAIN, told[0], at, done, f"t-{number}-{position}"
            yield number, asked, EVALUATE, told[1], at, done, f"e-{number}-{position}"


def _metrics(chance: Chance, index: int) -> dict[str, float]:
    return {"loss": round(1 / index + chance.uniform(0, 0.05), 6), "accuracy": round(1 - 0.5 / index, 6)}


def write_plans(shape: Shape, runs: list[SeededRun]) -> None:
    """A planned run in each study that had one, and its schedules, all suspended."""
    chance = Chance("plans")
    newest = {run.script.study.id: run for run in runs}.values()
    rows: Iterator[Row] = (
        (chance.id(), run.script.study.id, run.version.id, run.script.study.pi.id, run.ended) for run in newest
    )
    copy(
        Run, ("id", "study_id", "version_id", "created_by_id", "created_at"), rows, label="Planned (synthetic)",
        strategy="fedavg", rounds=10, quorum=100, deadline_s=60, wait_s=60,
    )  # fmt: skip
    rows = (
        (chance.id(), run.id, run.script.study.pi.id, run.ended + timedelta(seconds=number))
        for run in newest
        for number in range(shape.schedules)
    )
    copy(
        Schedule, ("id", "template_id", "created_by_id", "created_at"), rows, label="Every Monday (synthetic)",
        state="suspended", kind="weekly", weekdays=[0], time=time(2, 0),
    )  # fmt: skip
