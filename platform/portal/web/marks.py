"""A short mark of a run's progress: as long as it is the same, its page has nothing new to show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from federation.runs.models import Participation, Round, Run
from federation.runs.queue import place_of


@dataclass(frozen=True)
class Progress:
    """How many rounds a run opened and committed, how many answers were asked for and came, and when the last did."""

    opened: int
    committed: int
    asked: int
    answered: int
    latest: datetime | None


def mark_of(run: Run, rounds: Sequence[Round] | None = None) -> str:
    """Changes with every answer, round and change of state.

    Args:
        rounds: all of the run's rounds with their participations, where they are at hand; two queries count them
            otherwise, whatever the run's length.
    """
    progress = _looked_up(run) if rounds is None else _counted(rounds)
    seen = (run.state, run.priority, run.best_round, place_of(run), progress)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _looked_up(run: Run) -> Progress:
    answers = Participation.objects.filter(round__run=run).aggregate(
        asked=Count("pk"), answered=Count("answered_at"), latest=Max("answered_at")
    )
    return Progress(**run.round_set.aggregate(opened=Count("pk"), committed=Count("committed_at")), **answers)


def _counted(rounds: Sequence[Round]) -> Progress:
    answers = [row.answered_at for item in rounds for row in item.participations.all()]
    known = [moment for moment in answers if moment is not None]
    committed = sum(item.committed_at is not None for item in rounds)
    return Progress(len(rounds), committed, len(answers), len(known), max(known, default=None))
