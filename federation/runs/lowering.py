"""What a site gives up by a lower level, no run asks it for any more: also not those that are under way."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from audit.services import record
from federation.runs import states
from federation.runs.models import Participant, Run
from federation.runs.pooled import levels_where_pooled
from federation.runs.roles import PHASES_OF, TESTS
from federation.runs.signals import run_changed
from fedstudy_core.levels import given_up
from studies.enrolment.models import Enrolment


@transaction.atomic
def follow_level(*, enrolment: Enrolment, by: Any) -> None:
    """Hold the site's runs that are planned or under way to its level; what is over is held to it when resumed."""
    open_runs = Run.objects.filter(participants__enrolment=enrolment).exclude(state__in=states.FINAL)
    for run in Run.objects.select_for_update(of=("self",)).filter(pk__in=open_runs.values("pk")):
        lower_participants(run, by=by)


def lower_participants(run: Run, *, by: Any) -> None:
    """Bring the levels of a run's sites, whose row is locked, down to the present ones; they never rise.

    A site whose rows are in the table of the run's pool node only tests, as at the level of its consent.
    """
    participants = list(run.participants.select_related("enrolment__site", "enrolment__dataset__pooled_table"))
    testing = [item.enrolment_id for item in participants if item.role == TESTS]
    pooled = levels_where_pooled([item.enrolment for item in participants], testing)
    for participant in participants:
        level = pooled.get(participant.enrolment_id, participant.enrolment.level)
        lost = given_up(participant.level, level)
        if lost:
            _lower(run, participant, level, PHASES_OF[participant.role].intersection(lost), by)


def _lower(run: Run, participant: Participant, level: str, lost: frozenset[str], by: Any) -> None:
    before, participant.level = participant.level, level
    participant.save(update_fields=["level"])
    if not lost:
        return
    run.tests_apart = True
    run.save(update_fields=["tests_apart"])
    site = participant.enrolment.site
    detail = {"site": site.name, "old": before, "new": participant.level, "gives_up": sorted(lost)}
    record(action="runs:site:lowered", actor=by, obj=run, study=run.study_id, site=site.pk, detail=detail)
    run_changed.send(sender=Run, run_id=run.pk)
