"""Runs: the live page and its buttons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from federation.degrees.kinds import BESIDE_A_RUN
from federation.dossiers.services import dossier_name, make_dossier
from federation.runs import queue, results, selectors, services
from federation.runs.models import PRIORITIES, Participant, Round, Run
from federation.runs.obstacles import obstacles
from federation.runs.phases import OWN_SERVER
from federation.runs.states import RUN
from portal.downloads import file_response, zip_stream
from portal.web.downloads import csv_file, json_file
from portal.web.formats import value_text
from portal.web.marks import mark_of
from portal.web.pages import PageRequest, act, page, render_page
from portal.web.presenters.charts import metric_name
from portal.web.presenters.degrees import kind_name
from portal.web.presenters.exports import result_records, round_records, run_record, subgroup_records
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.run_sites import present_sites
from portal.web.presenters.runs import RunPage, present_run
from portal.web.presenters.strategies import strategy_title

NOT_MARKED = ("draft", "waiting")  # what they wait for is not the run's, and its mark says nothing of it


@page()
def run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The run page; for htmx only its live part, or nothing (204) while nothing changed."""
    found = selectors.run_for(request.user, run_id)
    if request.htmx and request.GET.get("mark") == mark_of(found) and found.state not in NOT_MARKED:
        return HttpResponse(status=204)
    check(request.user, Permission.RESULTS_VIEW, found.study)
    participants = selectors.participants_of(found)
    rounds = selectors.rounds_shown(found, participants)
    context = {**_live_context(request, found, rounds), **_head_context(request, found, participants, rounds)}
    if request.htmx:
        return render(request, "runs/_live.html", {**context, "is_part": True})
    return render_page(request, "runs/run.html", {**context, **_frame_context(found, participants)})


def _live_context(request: PageRequest, found: Run, rounds: list[Round]) -> dict[str, Any]:
    """The part that changes while the run works."""
    all_rounds = request.GET.get("rounds") == "all"
    mark = mark_of(found, rounds)
    results.note_view(run=found, by=request.user)
    summary = selectors.run_summary(found, rounds)
    shown: RunPage = present_run(found, summary, rounds, mark=mark, all_rounds=all_rounds)
    query = f"?mark={mark}" + ("&rounds=all" if all_rounds else "")
    missing = obstacles(found) if found.state == "draft" else []
    return {"run": found, "page": shown, "live_href": request.path + query, "obstacles": missing}


def _head_context(
    request: PageRequest, found: Run, participants: Sequence[Participant], rounds: Iterable[Round]
) -> dict[str, Any]:
    """The head of the page: it changes with what may be done to the run."""
    return {
        "strategy": strategy_title(found.strategy),
        "sites_count": len(participants),
        "may_download": can(request.user, Permission.MODEL_DOWNLOAD, found.study),
        "degrees": [(kind, kind_name(kind)) for kind in BESIDE_A_RUN],
        **_buttons(request, found, has_model=any(item.state == "committed" for item in rounds)),
    }


def _frame_context(found: Run, participants: Sequence[Participant]) -> dict[str, Any]:
    """The part of the run page that stays."""
    configuration = {**found.config, **found.strategy_parameters}
    return {
        "sites": present_sites(participants),
        "training_count": sum(item.trains for item in participants),
        "configuration": [(name, value_text(value)) for name, value in sorted(configuration.items())],
        "priorities": PRIORITIES,
        "metric": metric_name(found.metric),
        "forks": list(found.forks.order_by("created_at")),
        "crumbs": crumbs_in_study(found.study),
    }


def _buttons(request: PageRequest, found: Run, *, has_model: bool) -> dict[str, bool]:
    """What the person may do to the run as it stands; it has a model once a round is committed."""
    may_start = can(request.user, Permission.RUN_START, found.study)
    may_stop = can(request.user, Permission.RUN_STOP, found.study)
    return {
        "may_start": may_start and found.state == "draft",
        "may_pause": may_stop and RUN.allows(found.state, "paused"),
        "is_at_work": found.state in ("running", "pausing"),
        "may_resume": may_start and found.state in ("pausing", "paused", "failed", "stopped"),
        "may_stop": may_stop and RUN.allows(found.state, "stopped"),
        "may_prioritise": may_start and found.state in ("draft", "queued", "paused"),
        "may_schedule": may_start,
        "may_compare_degrees": may_start and found.state == "completed" and found.strategy != OWN_SERVER,
        "may_fork": may_start and has_model,
    }


@page()
def model(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The newest model, or the best (`?round=best`), as a file (safetensors); the log notes who took it."""
    found = selectors.run_for(request.user, run_id)
    number = results.best_round(found) if request.GET.get("round") == "best" else None
    made, content = results.fetch_model(run=found, round_number=number, by=request.user)
    return file_response(f"{made.sha256[:12]}.safetensors", content)


@page()
def export(request: PageRequest, run_id: UUID, name: str) -> HttpResponse:
    """Results, subgroups or rounds as CSV, or the whole run as JSON; the log notes who took it."""
    if name not in ("results.csv", "subgroups.csv", "rounds.csv", "run.json"):
        raise Http404
    found = selectors.run_for(request.user, run_id)
    results.note_export(run=found, file=name, by=request.user)
    rounds = list(selectors.rounds_of(found))
    summary = selectors.run_summary(found, rounds)
    if name == "run.json":
        return json_file(name, run_record(found, summary, rounds))
    rows = {"results.csv": partial(result_records, summary), "subgroups.csv": partial(subgroup_records, summary)}
    return csv_file(name, rows[name]() if name in rows else round_records(rounds))


@page()
def dossier(request: PageRequest, run_id: UUID) -> HttpResponseBase:
    """The run's dossier as a zip file, once it has ended; the log notes who took it."""
    found = selectors.run_for(request.user, run_id)
    return zip_stream(request, dossier_name(found), make_dossier(run=found, by=request.user))


@page("POST")
def start(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Queue the run: it begins when its turn has come and its sites are there."""
    found = selectors.run_for(request.user, run_id)
    back = reverse("web:run", args=[found.pk])
    done = _("“{found_label}” starts when its turn has come and its sites are there.").format(found_label=found.label)
    return act(request, back, done, lambda: services.start_run(run=found, by=request.user))


@page("POST")
def pause(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Pause the run after the round at work, or at once."""
    found = selectors.run_for(request.user, run_id)
    at_once = bool(request.POST.get("at_once"))
    back = reverse("web:run", args=[found.pk])
    words = _("“{label}” pauses.") if at_once else _("“{label}” pauses after the round at work.")
    done = words.format(label=found.label)
    return act(request, back, done, lambda: services.pause_run(run=found, by=request.user, at_once=at_once))


@page("POST")
def resume(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Let the run go on after its last committed round."""
    found = selectors.run_for(request.user, run_id)
    back = reverse("web:run", args=[found.pk])
    done = _("“{found_label}” goes on when its turn has come.").format(found_label=found.label)
    return act(request, back, done, lambda: services.resume_run(run=found, by=request.user))


@page("POST")
def prioritise(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Give the run another priority."""
    found = selectors.run_for(request.user, run_id)
    priority = request.POST.get("priority", "")
    back = reverse("web:run", args=[found.pk])
    word = _(priority) if priority in PRIORITIES else ""
    done = _("“{found_label}” has {priority} priority.").format(found_label=found.label, priority=word)
    return act(request, back, done, lambda: queue.set_priority(run=found, priority=priority, by=request.user))


@page("POST")
def stop(request: PageRequest, run_id: UUID) -> HttpResponse:
    """End the run, also before it begins."""
    found = selectors.run_for(request.user, run_id)
    reason = request.POST.get("reason", "").strip()[:200]
    back = reverse("web:run", args=[found.pk])
    done = _("“{found_label}” is stopped.").format(found_label=found.label)
    return act(request, back, done, lambda: services.stop_run(run=found, by=request.user, reason=reason))
