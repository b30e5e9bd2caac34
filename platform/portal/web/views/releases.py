"""Model cards, and releases: asking for one, and what the sites' data stewards answer."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Site
from accounts.permissions import Permission, can, check
from federation.releases import selectors, services
from federation.releases.card import card_of, model_of
from federation.releases.markdown import as_markdown
from federation.releases.models import Release
from federation.runs import results
from federation.runs import selectors as run_selectors
from federation.runs.models import Run
from fedstudy_core.errors import NotFound
from portal.downloads import file_response
from portal.web.downloads import json_file
from portal.web.forms.releases import CardForm, ReleaseForm
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.releases import facts_of, models_to_release, parts_of, result_rows, subgroup_rows
from portal.web.presenters.signatures import under


@page()
def card(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The model card; as JSON or Markdown where `form` asks for it, and then the log notes who took it."""
    found = run_selectors.run_for(request.user, run_id)
    check(request.user, Permission.RESULTS_VIEW, found.study)
    shown = card_of(found).as_json()
    form = request.GET.get("form", "")
    if form in FILES:
        results.note_export(run=found, file=f"model-card.{form}", by=request.user)
        return FILES[form](shown)
    releases = selectors.releases_for(request.user).filter(run=found)
    may_ask = can(request.user, Permission.RELEASE_REQUEST, found.study)
    context = {
        "run": found,
        "card": shown,
        "facts": facts_of(shown),
        "results": result_rows(shown),
        "subgroups": subgroup_rows(shown),
        "parts": parts_of(shown),
        "releases": [(item, under(item)) for item in releases],
        "may_change": may_ask,
        "may_ask": may_ask and found.is_final,
        "crumbs": _crumbs(found),
    }
    return render_page(request, "releases/card.html", context)


FILES = {
    "json": lambda shown: json_file("model-card.json", shown),
    "md": lambda shown: file_response("model-card.md", as_markdown(shown), "text/markdown; charset=utf-8"),
}


def _crumbs(found: Run) -> list[tuple[str, str]]:
    return [*crumbs_in_study(found.study), (found.label, reverse("web:run", args=[found.pk]))]


def _crumbs_of_card(found: Run) -> list[tuple[str, str]]:
    return [*_crumbs(found), (_("Model card"), reverse("web:run-card", args=[found.pk]))]


@page("GET", "POST")
def words(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Write the card's own words."""
    found = _find_to_ask(request, run_id)
    kept = selectors.words_of(found)
    initial = {"intended_use": kept.intended_use, "caveats": kept.caveats}
    form = CardForm(request.POST or None, initial=initial)
    made = None
    if request.method == "POST":
        made = save(form, lambda data: services.save_card(run=found, **data, by=request.user))
    if made:
        messages.success(request, _("The model card is kept."))
        return redirect("web:run-card", found.pk)
    return render_form(
        request,
        form,
        heading=_("Words of the model card"),
        lead=_("All else on the card comes from the run itself."),
        action=_("Keep them"),
        crumbs=_crumbs_of_card(found),
    )


@page("GET", "POST")
def ask(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Ask that the model may leave the platform."""
    found = _find_to_ask(request, run_id)
    model_of(found)  # without a model there is nothing to ask for
    form = ReleaseForm(request.POST or None, models=models_to_release(found))
    made = None
    if request.method == "POST":
        made = save(form, lambda data: services.request_release(run=found, **data, by=request.user))
    if made:
        messages.success(request, _("The data stewards of the sites in the model are told."))
        return redirect("web:release", made.pk)
    return render_form(
        request,
        form,
        heading=_("Ask for a release"),
        lead=_("Data stewards of two sites in the model co-sign before it may leave the platform."),
        action=_("Ask for it"),
        crumbs=_crumbs_of_card(found),
    )


def _find_to_ask(request: PageRequest, run_id: UUID) -> Run:
    found = run_selectors.run_for(request.user, run_id)
    check(request.user, Permission.RELEASE_REQUEST, found.study)
    return found


@page()
def release(request: PageRequest, release_id: UUID) -> HttpResponse:
    """One release: who asks, for whom, the card it was asked with, and the sites' answers."""
    found = selectors.release_for(request.user, release_id)
    study = found.run.study
    context = {
        "release": found,
        "signatures": under(found),
        "parts": parts_of(found.card),
        "facts": facts_of(found.card),
        "results": result_rows(found.card),
        "subgroups": subgroup_rows(found.card),
        "card": found.card,
        "sites": selectors.sites_to_sign_for(found, request.user),
        "may_withdraw": found.state == "requested" and can(request.user, Permission.RELEASE_REQUEST, study),
        "may_take": found.state == "released" and can(request.user, Permission.MODEL_DOWNLOAD, study),
        "crumbs": _crumbs_of_card(found.run),
    }
    return render_page(request, "releases/release.html", context)


@page()
def model(request: PageRequest, release_id: UUID) -> HttpResponse:
    """The released model as a file (safetensors); the log notes who took it."""
    found = selectors.release_for(request.user, release_id)
    made, content = services.take_model(release=found, by=request.user)
    return file_response(f"{made.sha256[:12]}.safetensors", content)


@page("POST")
def answer(request: PageRequest, release_id: UUID, verb: str) -> HttpResponse:
    """Co-sign or refuse for a site, or take the request back."""
    found = selectors.release_for(request.user, release_id)
    back = reverse("web:release", args=[found.pk])
    if verb == "withdraw":
        done = _("The request is taken back.")
        return act(request, back, done, lambda: services.withdraw_release(release=found, by=request.user))
    site = _site(found, request.POST.get("site", ""))
    if verb == "cosign":
        done = _("{site_name} consents to the release.").format(site_name=site.name)
        return act(request, back, done, lambda: services.cosign_release(release=found, site=site, by=request.user))
    if verb != "refuse":
        raise Http404
    reason = request.POST.get("reason", "")
    done = _("The release is refused by {site_name}.").format(site_name=site.name)
    return act(
        request,
        back,
        done,
        lambda: services.refuse_release(release=found, site=site, reason=reason, by=request.user),
    )


def _site(found: Release, asked: str) -> Site:
    chosen = next((site for site in selectors.sites_in(found.model) if str(site.pk) == asked), None)
    if chosen is None:
        raise NotFound("E_NOT_FOUND", "No such site is in the model.")
    return chosen
