"""What people take away of a run: its models, the files of its ServerApp, its tables. The log notes who did."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from accounts.models import User
from accounts.permissions import Permission, check
from audit.readings import note_daily
from audit.services import record
from federation.runs.models import Model, Run, RunFile
from federation.runs.storage import file_store, model_store
from fedstudy_core.errors import NotFound


def find_model(*, run: Run, round_number: int | None = None, by: User) -> Model:
    """What is known of the parameters after a committed round, the last one by default.

    Raises:
        Forbidden: E_FORBIDDEN.
        NotFound: E_NOT_FOUND when that round is not committed.
    """
    check(by, Permission.MODEL_DOWNLOAD, run.study)
    models = run.models.all() if round_number is None else run.models.filter(round_number=round_number)
    model = models.order_by("round_number").last()
    if model is None:
        raise NotFound("E_NOT_FOUND", "No round of that number has been committed.")
    return model


@transaction.atomic
def fetch_model(*, run: Run, round_number: int | None = None, by: User) -> tuple[Model, bytes]:
    """The parameters after a committed round (`find_model`); the log notes who fetched them.

    Raises:
        Refusal: E_ARTIFACT, E_ARTIFACT_MISSING.
    """
    model = find_model(run=run, round_number=round_number, by=by)
    content = model_store().get(model.sha256)
    detail = {"round": model.round_number, "sha256": model.sha256}
    record(action="runs:model:downloaded", actor=by, obj=run, study=run.study_id, detail=detail)
    return model, content


def best_round(run: Run) -> int:
    """The number of the best round so far. Raises NotFound (E_NOT_FOUND) where there is none."""
    if run.best_round is None:
        raise NotFound("E_NOT_FOUND", "No best round is known: the run watches no metric, or none was reported yet.")
    return run.best_round


@transaction.atomic
def fetch_file(*, run: Run, sha256: str, by: User) -> tuple[RunFile, bytes]:
    """A file that the script's own ServerApp left; the log notes who fetched it.

    Raises:
        Forbidden: E_FORBIDDEN.
        NotFound: E_NOT_FOUND.
        Refusal: E_ARTIFACT, E_ARTIFACT_MISSING.
    """
    check(by, Permission.MODEL_DOWNLOAD, run.study)
    found = run.files.filter(sha256=sha256).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "The run has no such file.")
    detail = {"name": found.name, "sha256": sha256}
    record(action="runs:file:downloaded", actor=by, obj=run, study=run.study_id, detail=detail)
    return found, file_store().get(sha256)


def note_view(*, run: Run, by: User) -> None:
    """Note that somebody sees the results of a run that began; once for each person, run and day."""
    if run.started_at is not None:
        note_daily(action="runs:results:viewed", by=by, obj=run, study=run.study_id)


@transaction.atomic
def note_export(*, run: Run, file: str, by: User) -> None:
    """Note in the log that somebody took a run's results away as a file. Raises Forbidden (E_FORBIDDEN)."""
    check(by, Permission.RESULTS_VIEW, run.study)
    record(action="runs:results:exported", actor=by, obj=run, study=run.study_id, detail={"file": file})


@transaction.atomic
def note_exports(*, runs: Iterable[Run], file: str, by: User) -> None:
    """Note a file with the results of several runs at each of them, or at none. Raises: as `note_export`."""
    for run in runs:
        note_export(run=run, file=file, by=by)
