"""A study's pooled rows: its pool node, who pools what, and a site's consent with its end."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from federation.runs.pooled import runs_with
from fedstudy_core.errors import NotFound
from nodes.registry.models import Node
from portal.pools import nodes_to_name
from portal.web.forms.pooling import PoolNodeForm
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.facts import in_words
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.pooling import object_of, proof_of, site_row, terms_of
from portal.web.views.studies import find_study, study_frame
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import studies_with
from studies.lifecycle.states import EDITABLE
from studies.pooling import selectors, services, states
from studies.pooling.consents import revoke_consent
from studies.pooling.models import PoolConsent

RUNS = 50


@page()
def study_pool(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The study's pool node, and what each site pools."""
    study = find_study(request, study_id)
    readable = set(selectors.consents_visible_to(request.user).filter(study=study).values_list("pk", flat=True))
    rows = selectors.pooled_rows(study)
    may_name = study.state in EDITABLE and can(request.user, Permission.STUDY_INVITE, study)
    context = {
        **study_frame(request, study, "study-pool"),
        "pool": selectors.pool_node_of(study),
        "rows": [
            site_row(item, rows.get(item.site_id), is_readable=item.pk in readable)
            for item in selectors.standing_consents(study)
        ],
        "may_name": may_name,
    }
    return render_page(request, "pooling/pool.html", context)


@page("GET", "POST")
def name_node(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Name the node that holds the pooled rows."""
    study = find_study(request, study_id)
    check(request.user, Permission.STUDY_INVITE, study)
    nodes = {str(node.pk): node for node in nodes_to_name(study)}
    form = PoolNodeForm(request.POST or None, nodes=list(nodes.values()))
    named = None
    if request.method == "POST":
        named = save(form, lambda data: _name(request, study, nodes[data["node"]]))
    if named:
        messages.success(request, _("{node} holds the pooled rows from now on.").format(node=named))
        return redirect("web:study-pool", study.pk)
    return render_form(
        request,
        form,
        heading=_("Name a pool node"),
        lead=_("It makes a key for each site, opens what sites encrypt for it, and takes part in runs as one site."),
        action=_("Name it"),
        crumbs=[*crumbs_in_study(study), (_("Pooled rows"), reverse("web:study-pool", args=[study.pk]))],
    )


def _name(request: PageRequest, study: Study, node: Node) -> object:
    return services.name_pool_node(study=study, site=node.site, node=node, node_name=node.name, by=request.user)


@page("POST")
def end_node(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Name no pool node any more."""
    study = find_study(request, study_id)
    check(request.user, Permission.STUDY_INVITE, study)
    pool = selectors.pool_node_of(study)
    if pool is None:
        raise NotFound("E_NO_POOL")
    reason = request.POST.get("reason", "")
    back, done = reverse("web:study-pool", args=[study.pk]), _("No node holds pooled rows of this study any more.")
    return act(request, back, done, lambda: services.end_pool_node(pool=pool, reason=reason, by=request.user))


def _find(request: PageRequest, consent_id: UUID) -> PoolConsent:
    """The consent, if this person may read it; NotFound otherwise."""
    found = selectors.consents_visible_to(request.user).filter(pk=consent_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such consent, or it is not yours to see.")
    return found


@page()
def consent(request: PageRequest, consent_id: UUID) -> HttpResponse:
    """What a site consented to, what was sent, which models have seen it, and how it ends."""
    found = _find(request, consent_id)
    runs = runs_with(found).filter(study__in=studies_with(request.user, Permission.RESULTS_VIEW))
    speaks = can(request.user, Permission.APPROVAL_REVOKE, found.site)
    context = {
        "consent": found,
        "study": found.study,
        "terms": terms_of(found),
        "sent": object_of(found),
        "runs": runs[:RUNS],
        "proof": proof_of(found),
        "reason": in_words("reason", found.reason),
        "may_revoke": speaks and found.state in states.REVOCABLE,
        "may_delete": speaks and found.state != "deleted" and found.delete_asked_at is None,
        "may_run": found.study.state == "active" and can(request.user, Permission.RUN_START, found.study),
        "crumbs": [
            *crumbs_in_study(found.study),
            (_("Pooled rows"), reverse("web:study-pool", args=[found.study_id])),
        ],
    }
    return render_page(request, "pooling/consent.html", context)


@page("POST")
def revoke(request: PageRequest, consent_id: UUID) -> HttpResponse:
    """End a consent for its site."""
    return _end(request, consent_id, _("The consent is revoked: nothing uses these rows any more."), delete=False)


@page("POST")
def delete_rows(request: PageRequest, consent_id: UUID) -> HttpResponse:
    """End a consent for its site, and have its rows deleted."""
    done = _("The rows are deleted here, and the pool node is told to destroy its key.")
    return _end(request, consent_id, done, delete=True)


def _end(request: PageRequest, consent_id: UUID, done: str, *, delete: bool) -> HttpResponse:
    found, reason = _find(request, consent_id), request.POST.get("reason", "")
    back = reverse("web:pool-consent", args=[found.pk])
    return act(
        request, back, done, lambda: revoke_consent(consent=found, reason=reason, delete=delete, by=request.user)
    )
