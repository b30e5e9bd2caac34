"""The data dictionary of a study: the newest version, the draft that people write, files that come and go."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from fedstudy_core import dictionary_csv
from fedstudy_core.errors import NotFound
from portal.downloads import file_response
from portal.web.forms.dictionaries import DictionaryForm, TakenForm, VariableForm, filled_from
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.dictionaries import draft_page, page_with, reading_page, variable_rows
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.views.studies import find_study, study_frame
from studies.dictionary import drafts
from studies.dictionary.selectors import current_dictionary, draft_of
from studies.dictionary.services import publish_dictionary
from studies.lifecycle.models import Study


def find_for_change(request: PageRequest, study_id: UUID) -> Study:
    """The study, for those who write its dictionary."""
    found = find_study(request, study_id)
    check(request.user, Permission.DICTIONARY_PUBLISH, found)
    return found


@page()
def dictionary(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The newest data dictionary."""
    found = find_study(request, study_id)
    newest = current_dictionary(found)
    may_edit = can(request.user, Permission.DICTIONARY_PUBLISH, found)
    context = {
        **study_frame(request, found, "study-dictionary"),
        "dictionary": newest,
        "variables": variable_rows(newest.variables) if newest else [],
        "may_edit": may_edit,
        "draft": draft_of(found) if may_edit else None,
    }
    return render_page(request, "dictionaries/dictionary.html", context)


@page()
def file(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The newest data dictionary as a table."""
    newest = current_dictionary(find_study(request, study_id))
    if newest is None:
        raise NotFound("E_NOT_FOUND", "This study has no data dictionary yet.")
    table = dictionary_csv.write(newest.parsed)
    return file_response(f"dictionary-v{newest.number}.csv", table, "text/csv; charset=utf-8")


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Read a dictionary from a file, and show what it holds before anything is saved."""
    found = find_for_change(request, study_id)
    form = DictionaryForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        context = {**reading_page(form.cleaned_data["file"]), "study": found, "draft": draft_of(found)}
        return render_page(request, "dictionaries/reading.html", {**context, "crumbs": _crumbs(found)})
    return render_form(
        request,
        form,
        heading=_("Data dictionary from a file"),
        lead=_("Nothing is saved before you have seen what comes along."),
        action=_("Read the file"),
        crumbs=_crumbs(found),
        template="dictionaries/new.html",
        columns=dictionary_csv.COLUMNS,
    )


def _crumbs(found: Study) -> list[tuple[str, str]]:
    return [*crumbs_in_study(found), (_("Data dictionary"), reverse("web:study-dictionary", args=[found.pk]))]


@page()
def draft(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The editor: the draft's variables, and a form for one of them."""
    found = find_for_change(request, study_id)
    variables, _ = drafts.variables_to_edit(found)
    name = request.GET.get("variable", "")
    chosen = next((item for item in variables if item["name"] == name), None)
    form = VariableForm(initial=filled_from(chosen, variables) if chosen else {"position": len(variables) + 1})
    return _render_draft(request, found, form, name if chosen else "")


def _render_draft(request: PageRequest, found: Study, form: VariableForm, name: str) -> HttpResponse:
    variables, standing = drafts.variables_to_edit(found)
    newest = current_dictionary(found)
    shown = draft_page(variables, newest.variables if newest else [], request.GET.get("page", ""), name)
    context = {
        "study": found,
        "form": form,
        "shown": shown,
        "draft": standing,
        "newest": newest,
        "is_overtaken": standing is not None and standing.base != (newest.number if newest else 0),
        "crumbs": _crumbs(found),
    }
    return render_page(request, "dictionaries/draft.html", context, status=400 if form.errors else 200)


@page("POST")
def change(request: PageRequest, study_id: UUID, verb: str) -> HttpResponse:
    """Change the draft: save, move or remove a variable, take a file's variables; discard it, publish it."""
    found = find_for_change(request, study_id)
    if verb == "save":
        return _save_variable(request, found)
    if verb not in CHANGES:
        raise Http404
    return CHANGES[verb](request, found)


def _save_variable(request: PageRequest, found: Study) -> HttpResponse:
    form, name = VariableForm(request.POST), request.POST.get("variable", "")
    made = save(
        form,
        lambda data: drafts.save_variable(
            study=found, variable=form.variable, name=name, position=data["position"], by=request.user
        ),
    )
    if made is None:
        return _render_draft(request, found, form, name)
    messages.success(request, _("“{variable}” is kept in the draft.").format(variable=form.variable["name"]))
    return redirect(_to_draft(found, page_with(form.cleaned_data["position"])))


def _to_draft(found: Study, number: str | int) -> str:
    """A page of the editor."""
    return f"{reverse('web:dictionary-draft', args=[found.pk])}?page={number}"


def _back(request: PageRequest, found: Study) -> str:
    number = request.GET.get("page", "")
    return _to_draft(found, number if number.isdecimal() else 1)


def _move(request: PageRequest, found: Study) -> HttpResponse:
    up, name = "up" in request.POST, request.POST.get("up") or request.POST.get("down", "")
    return act(
        request,
        _back(request, found),
        (_("“{name}” is moved up.") if up else _("“{name}” is moved down.")).format(name=name),
        lambda: drafts.move_variable(study=found, name=name, up=up, by=request.user),
    )


def _remove(request: PageRequest, found: Study) -> HttpResponse:
    name = request.POST.get("remove", "")
    return act(
        request,
        _back(request, found),
        _("“{name}” is removed from the draft.").format(name=name),
        lambda: drafts.remove_variable(study=found, name=name, by=request.user),
    )


def _take(request: PageRequest, found: Study) -> HttpResponse:
    """Put the variables of a file that was read in the draft's place, or publish them."""
    form = TakenForm(request.POST)
    variables = form.cleaned_data["variables"] if form.is_valid() else None
    if "publish" in request.POST:
        return act(
            request,
            reverse("web:study-dictionary", args=[found.pk]),
            _("The data dictionary is published."),
            lambda: publish_dictionary(study=found, variables=variables, by=request.user),
        )
    return act(
        request,
        _to_draft(found, 1),
        _("The file's variables are the draft now."),
        lambda: drafts.save_draft(study=found, variables=variables, by=request.user),
    )


def _discard(request: PageRequest, found: Study) -> HttpResponse:
    back = reverse("web:study-dictionary", args=[found.pk])
    return act(request, back, _("The draft is discarded."), lambda: drafts.discard_draft(study=found, by=request.user))


def _publish(request: PageRequest, found: Study) -> HttpResponse:
    back = reverse("web:study-dictionary", args=[found.pk])
    done = _("The draft is published: it is the study's newest data dictionary.")
    seen = request.POST.get("revision", "")
    revision = int(seen) if seen.isdecimal() and len(seen) < 9 else 0
    return act(request, back, done, lambda: drafts.publish_draft(study=found, revision=revision, by=request.user))


CHANGES = {"move": _move, "remove": _remove, "take": _take, "discard": _discard, "publish": _publish}
