"""Two rounds of a run side by side."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse

from accounts.permissions import Permission, check
from federation.runs import selectors
from federation.runs.results import note_view
from portal.web.formats import value_text
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.rounds import present_beside
from portal.web.presenters.strategies import strategy_title


@page()
def comparison(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The committed rounds `first` and `second` beside each other; the last two where none is named."""
    found = selectors.run_for(request.user, run_id)
    check(request.user, Permission.RESULTS_VIEW, found.study)
    note_view(run=found, by=request.user)
    committed = selectors.rounds_of(found).filter(state="committed")
    numbers = list(committed.values_list("number", flat=True))
    chosen = _chosen(request, numbers)
    configuration = {**found.config, **found.strategy_parameters}
    context = {
        "run": found,
        "strategy": strategy_title(found.strategy),
        "numbers": numbers,
        "first": chosen[0] if chosen else None,
        "second": chosen[-1] if chosen else None,
        "beside": present_beside(list(committed.filter(number__in=chosen))) if len(chosen) > 1 else None,
        "configuration": [(name, value_text(value)) for name, value in sorted(configuration.items())],
        "crumbs": [*crumbs_in_study(found.study), (found.label, reverse("web:run", args=[found.pk]))],
    }
    return render_page(request, "runs/rounds.html", context)


def _chosen(request: PageRequest, numbers: Sequence[int]) -> Sequence[int]:
    asked = {request.GET.get("first"), request.GET.get("second")} - {None}
    return [number for number in numbers if f"{number}" in asked] if asked else numbers[-2:]
