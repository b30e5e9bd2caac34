"""Attempts: a Flower run is one attempt of ours. Announce it, claim its task, and end it when the run is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import connection, transaction
from django.utils import timezone

from federation.runs import journal, states
from federation.runs.flower import AttemptLost, Claim, SuperLink, SuperLinkError
from federation.runs.lease import Lease
from federation.runs.models import Attempt, Run
from federation.runs.storage import forget_updates

log = structlog.get_logger(__name__)

CLAIM_LOCK = 0x464544  # advisory lock: announcing and claiming is one worker at a time


def live_attempt(lease: Lease, run: Run, link: SuperLink) -> Attempt:
    """The run's attempt that can be driven, announced and claimed if there is none.

    Raises:
        SuperLinkError: the SuperLink is away, or did not accept the bundle (E_BUNDLE).
    """
    attempt = Attempt.objects.filter(run=run, state__in=["announced", "driving"]).first()
    if attempt is not None and attempt.state == "driving":
        return attempt
    with _one_at_a_time():
        if attempt is None:
            attempt = _announce(lease, run, link)
        _claim_pending(link)
    attempt.refresh_from_db()
    if attempt.state != "driving":
        raise AttemptLost("E_ATTEMPT_LOST", "The SuperLink has no task for this attempt.")
    return attempt


def claim_of(attempt: Attempt) -> Claim:
    return Claim(attempt.flower_run_id, attempt.flower_task_id, attempt.flower_node_id, attempt.token)


def _announce(lease: Lease, run: Run, link: SuperLink) -> Attempt:
    with link.control() as control:
        flower_run_id = control.start_run(bytes(run.version.bundle), run.config)
    return journal.begin_attempt(lease, flower_run_id)


def _claim_pending(link: SuperLink) -> None:
    """Claim every pending task: the SuperLink hands out the oldest, not the one that is wanted."""
    while (claim := link.claim_next()) is not None:
        known = Attempt.objects.filter(flower_run_id=claim.flower_run_id, state="announced").update(
            state="driving",
            token=claim.token,
            flower_task_id=claim.task_id,
            flower_node_id=claim.node_id,
        )
        if not known:
            log.warning("unknown_flower_run", flower_run=claim.flower_run_id)
            with link.control() as control:
                control.stop_run(claim.flower_run_id)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [CLAIM_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [CLAIM_LOCK])


def retire(attempt: Attempt, link: SuperLink) -> None:
    """End the Flower run of a run that is over, so that the sites stop work on it and the SuperLink forgets it."""
    try:
        with link.control() as control:
            if not control.forget_run(attempt.flower_run_id).startswith("finished"):
                control.stop_run(attempt.flower_run_id)
                control.forget_run(attempt.flower_run_id)
    except AttemptLost:
        log.info("flower_run_already_gone", flower_run=attempt.flower_run_id)
    except SuperLinkError as error:
        log.warning("attempt_not_retired", flower_run=attempt.flower_run_id, code=error.code)
        return
    if Run.objects.filter(pk=attempt.run_id, state__in=states.FINAL).exists():
        forget_updates(attempt.run)
    with transaction.atomic():
        ended = Attempt.objects.select_for_update().get(pk=attempt.pk)
        if ended.state in ("announced", "driving"):
            states.ATTEMPT.move(ended, "ended")
            ended.ended_at, ended.token = timezone.now(), ""
            ended.save(update_fields=["state", "ended_at", "token"])
