"""A short mark of a run's progress: as long as it is the same, its page has nothing new to show."""

from __future__ import annotations

import hashlib

from django.db.models import Count, Max

from federation.runs.models import Participation, Run
from federation.runs.queue import place_of


def mark_of(run: Run) -> str:
    """Changes with every answer, round and change of state; two queries, whatever the run's length."""
    answers = Participation.objects.filter(round__run=run).aggregate(
        asked=Count("pk"), answered=Count("answered_at"), latest=Max("answered_at")
    )
    rounds = run.round_set.aggregate(opened=Count("pk"), committed=Count("committed_at"))
    place = place_of(run)
    seen = (run.state, run.priority, run.best_round, place, *answers.values(), *rounds.values())
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
