"""What the engine writes when a script's own ServerApp leads: exchanges, and what the app leaves at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from audit.services import record
from federation.runs import states
from federation.runs.accounts import accounted
from federation.runs.journal import Artifact
from federation.runs.lease import Lease
from federation.runs.models import Model, Round, Run, RunFile
from federation.runs.telling import ENGINE

RESULT = "result"


@dataclass(frozen=True)
class KeptFile:
    """A file that lies in the store already."""

    name: str
    form: str
    sha256: str
    size: int


@transaction.atomic
def open_exchange(lease: Lease, run: Run, number: int, asked_sha256: str) -> Round:
    """Begin a round for what the app asks; the digest tells later whether a restarted app asks the same."""
    lease.hold()
    return Round.objects.create(run=run, number=number, asked_sha256=asked_sha256)


@transaction.atomic
def commit_exchange(lease: Lease, round_: Round, metrics: Mapping[str, object]) -> None:
    """The exchange happened: who was asked and answered, their bytes, and its audit event, in one transaction."""
    lease.hold()
    totals = round_.participations.aggregate(sent=Sum("bytes_sent"), received=Sum("bytes_received"))
    states.ROUND.move(round_, "committed")
    round_.committed_at = timezone.now()
    round_.metrics = {round_.phase: dict(metrics)}
    round_.bytes_sent, round_.bytes_received = totals["sent"] or 0, totals["received"] or 0
    round_.duration_ms = round((round_.committed_at - round_.started_at).total_seconds() * 1000)
    round_.save()
    settled = round_.participations.values_list(
        "participant__enrolment__site__name", "state", "code", "content_sha256", "receipt"
    )
    detail = {
        "round": round_.number,
        "message_type": round_.phase,
        "asked": round_.asked_sha256,
        "sites": [
            {"site": site, "state": state, "code": code, "answer": sha} | accounted(bytes(receipt), "")
            for site, state, code, sha, receipt in settled
        ],
        "bytes_sent": round_.bytes_sent,
        "bytes_received": round_.bytes_received,
        "duration_ms": round_.duration_ms,
    }
    record(action="runs:round:committed", actor=ENGINE, obj=round_.run, study=round_.run.study_id, detail=detail)


@transaction.atomic
def keep_leavings(
    lease: Lease,
    run: Run,
    number: int,
    *,
    metrics: Mapping[str, object],
    artifact: Artifact | None,
    files: Sequence[KeptFile],
) -> None:
    """Write down what the app left, as a last round that asked nobody: its model, its metrics, its files."""
    lease.hold()
    model = None
    if artifact is not None:
        schema = {name: [list(shape), dtype] for name, (shape, dtype) in artifact.schema.items()}
        model = Model.objects.create(
            run=run, round_number=number, sha256=artifact.sha256, size=artifact.size, schema=schema
        )
    Round.objects.create(
        run=run, number=number, state="committed", phase=RESULT, metrics=dict(metrics), model_out=model,
        committed_at=timezone.now(), duration_ms=0,
    )  # fmt: skip
    for file in files:
        _keep(run, file)
    left = [{"name": file.name, "form": file.form, "sha256": file.sha256, "size": file.size} for file in files]
    detail = {"round": number, "model": artifact.sha256 if artifact else "", "files": left}
    record(action="runs:result:left", actor=ENGINE, obj=run, study=run.study_id, detail=detail)


@transaction.atomic
def keep_log(run: Run, file: KeptFile) -> None:
    """Keep what the app printed, once the run is over."""
    _keep(run, file)


def _keep(run: Run, file: KeptFile) -> None:
    RunFile.objects.update_or_create(
        run=run, name=file.name, defaults={"form": file.form, "sha256": file.sha256, "size": file.size}
    )
