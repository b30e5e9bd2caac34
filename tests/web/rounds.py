"""Runs at work with committed rounds, written straight into the database."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from federation.runs.models import Model, Participant, Participation, Round, Run
from fedstudy_core.metrics import combine, with_pooled_auc
from tests.api.world import World

HISTOGRAMS = {"score-positives": "histogram", "score-negatives": "histogram"}
EVALUATION = {
    "auc": 0.75,
    "accuracy": 0.7,
    "num-examples": 40,
    "score-positives": [0, 1, 3],
    "score-negatives": [3, 1, 0],
}


VALUES = [{"name": "female", "label": "Female"}, {"name": "male", "label": "Male"}]
SUBGROUPS = [{"name": "sex", "label": "Sex", "values": VALUES}]


def declare_subgroups(run: Run) -> Run:
    """The run's script counts scores apart by sex; its site told of the men's in every round so far."""
    version = run.version
    type(version).objects.filter(pk=version.pk).update(declaration={**version.declaration, "subgroups": SUBGROUPS})
    male = {"score-positives.sex.male": [2, 8], "score-negatives.sex.male": [6, 2]}
    for round_ in run.round_set.all():
        round_.metrics = {**round_.metrics, "evaluate": {**round_.metrics["evaluate"], **male}}
        round_.save()
        for row in round_.participations.filter(phase="evaluate"):
            row.metrics = {**row.metrics, **male}
            row.save()
    return Run.objects.get(pk=run.pk)


def set_to_work(world: World) -> Run:
    """The world's run at work; its script's headline is the AUC."""
    version = world.version
    type(version).objects.filter(pk=version.pk).update(declaration={**version.declaration, "headline": "auc"})
    run = world.run
    run.queued_at = run.admitted_at = run.started_at = timezone.now()
    for state in ("queued", "waiting", "running"):
        run.state = state
        run.save()
    return Run.objects.get(pk=run.pk)


def commit_round(run: Run, number: int, **changes: Any) -> Round:
    """A committed round in which the only site answered, or did what the changes say."""
    now = timezone.now()
    model = Model.objects.create(run=run, round_number=number, sha256=f"{number:064x}", size=10, schema={})
    metrics = {"evaluate": with_pooled_auc(combine([EVALUATION], HISTOGRAMS)), "train": {"train-loss": 1 / number}}
    round_ = Round.objects.create(
        run=run, number=number, state="committed", phase="evaluate", model_out=model, metrics=metrics,
        bytes_sent=2048, bytes_received=1024, committed_at=now, duration_ms=900,
    )  # fmt: skip
    participant = Participant.objects.get(run=run)
    for phase, values in (("train", {"train-loss": 1 / number}), ("evaluate", EVALUATION)):
        row: dict[str, Any] = {"state": "done", "examples": 80, "metrics": values, **changes}
        Participation.objects.create(
            round=round_, participant=participant, approval=participant.approval, phase=phase, asked_at=now,
            answered_at=now, **row,
        )  # fmt: skip
    return round_
