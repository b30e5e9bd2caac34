"""Read access to comparisons of degrees, restricted to what a person may see."""

from __future__ import annotations

import hashlib
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from accounts.permissions import Permission
from federation.degrees.models import DegreeComparison
from federation.degrees.outline import Lacking, outline_of, shape_of
from federation.degrees.reckoning import Degrees
from federation.runs.models import Run
from fedstudy_core.errors import NotFound
from studies.lifecycle import selectors as studies


def comparisons_for(user: User) -> QuerySet[DegreeComparison]:
    """The comparisons of the studies whose results the person sees."""
    visible = studies.studies_with(user, Permission.RESULTS_VIEW)
    found = DegreeComparison.objects.filter(study__in=visible)
    return found.select_related("study", "version__script", "created_by").defer("version__bundle")


def comparison_for(user: User, comparison_id: UUID) -> DegreeComparison:
    """Raises NotFound when there is no such comparison for this user."""
    found = comparisons_for(user).filter(pk=comparison_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such comparison, or it is not yours to see.")
    return found


def kinds_beside(run: Run, kind: str) -> list[str]:
    """A way of training, and that of a run which is to be repeated by it."""
    own = shape_of(run)
    return [kind] if own is None else [own.kind, kind]


def mark_of(comparison: DegreeComparison) -> str:
    """Changes with the state of each of its runs, and with their number: as long as it is the same, so is the page."""
    states = comparison.entries.order_by("position").values_list("position", "run__state")
    return hashlib.sha256(repr(list(states)).encode()).hexdigest()[:16]


def lacking_in(found: Degrees) -> list[Lacking]:
    """The wanted ways of training that the study does not allow now, but for those that have a run of each seed."""
    seeds: set[int | None] = {*found.comparison.seeds} or {None}
    there = {(item.entry.kind, item.entry.seed) for item in found.runs}
    wanted = [item for item in outline_of(found.comparison.study).lacking if item.kind in found.comparison.kinds]
    return [item for item in wanted if not {(item.kind, seed) for seed in seeds} <= there]
