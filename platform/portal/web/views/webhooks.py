"""Webhooks of a study: registering them, what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.permissions import Permission, check
from fedstudy_core.errors import NotFound
from portal.web.forms.webhooks import WebhookForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, refusals_said, render_form, render_page, save
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.webhooks import delivery_row, webhook_row
from portal.web.views.studies import find_study, study_frame
from studies.lifecycle.states import EDITABLE
from webhooks import selectors, services
from webhooks.models import Webhook

VERBS: dict[str, tuple[str, Callable[..., object]]] = {
    "enable": (
        gettext_noop("{host} is told again from now on."),
        lambda webhook, by: services.switch_webhook(webhook=webhook, on=True, by=by),
    ),
    "disable": (
        gettext_noop("{host} is told nothing any more."),
        lambda webhook, by: services.switch_webhook(webhook=webhook, on=False, by=by),
    ),
    "test": (
        gettext_noop("{host} gets a test message. Reload in a moment to see what became of it."),
        services.send_test,
    ),
    "remove": (gettext_noop("{host} is removed."), services.remove_webhook),
}


@page("GET", "POST")
def study_webhooks(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The study's webhooks, and registering another; its secret is shown once."""
    study = find_study(request, study_id)
    check(request.user, Permission.WEBHOOKS_MANAGE, study)
    form, secret = WebhookForm(request.POST or None), None
    if request.method == "POST":
        made = save(form, lambda data: services.register_webhook(study=study, **data, by=request.user))
        if made:
            form, secret = WebhookForm(), made[1]
    context = {
        **study_frame(request, study, "study-webhooks"),
        "form": form,
        "secret": secret,
        "rows": [webhook_row(item) for item in selectors.visible_to(request.user).filter(study=study)],
        "is_over": study.state not in EDITABLE,
    }
    return render_page(request, "webhooks/list.html", context, status=201 if secret else 400 if form.errors else 200)


@page()
def webhook(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """One webhook and what was sent."""
    return _shown(request, _found(request, webhook_id))


@page("GET", "POST")
def edit(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Change where news goes, or which."""
    found = _found(request, webhook_id)
    form = WebhookForm(request.POST or None, initial={"url": found.url, "kinds": found.kinds})
    if request.method == "POST":
        changed = save(form, lambda data: services.change_webhook(webhook=found, **data, by=request.user))
        if changed:
            messages.success(request, _("Saved."))
            return redirect("web:webhook", found.pk)
    return render_form(
        request,
        form,
        heading=_("Change the webhook"),
        lead="",
        action=_("Save"),
        crumbs=_crumbs(found, itself=True),
    )


@page("POST")
def rotate(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Give it a new secret, which is shown once."""
    found = _found(request, webhook_id)
    secret = ""
    with refusals_said(request):
        found, secret = services.renew_secret(webhook=found, by=request.user)
    return _shown(request, found, secret) if secret else redirect("web:webhook", found.pk)


@page("POST")
def change(request: PageRequest, webhook_id: UUID, verb: str) -> HttpResponse:
    """Switch it on or off, send a test message, or remove it."""
    found = _found(request, webhook_id)
    if verb not in VERBS:
        raise Http404
    words, service = VERBS[verb]
    is_gone = verb == "remove" and found.study.state in EDITABLE
    back = reverse("web:study-webhooks", args=[found.study_id]) if is_gone else reverse("web:webhook", args=[found.pk])
    return act(request, back, _(words).format(host=found.host), lambda: service(webhook=found, by=request.user))


@page("POST")
def repeat(request: PageRequest, delivery_id: UUID) -> HttpResponse:
    """Send a message again."""
    found = selectors.deliveries_visible_to(request.user).filter(pk=delivery_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such message, or it is not yours to see.")
    back = reverse("web:webhook", args=[found.webhook_id])
    done = _("It is sent again. Reload in a moment to see what became of it.")
    return act(request, back, done, lambda: services.send_again(delivery=found, by=request.user))


def _found(request: PageRequest, webhook_id: UUID) -> Webhook:
    found = selectors.visible_to(request.user).filter(pk=webhook_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such webhook, or it is not yours to see.")
    return found


def _crumbs(webhook: Webhook, *, itself: bool = False) -> list[tuple[str, str]]:
    way = [*crumbs_in_study(webhook.study), (_("Webhooks"), reverse("web:study-webhooks", args=[webhook.study_id]))]
    return [*way, (webhook.host, reverse("web:webhook", args=[webhook.pk]))] if itself else way


def _shown(request: PageRequest, webhook: Webhook, secret: str = "") -> HttpResponse:
    rows = selectors.deliveries_visible_to(request.user).filter(webhook=webhook)
    found = page_of(request, rows, "-created_at", "id")
    context = {
        "webhook": webhook_row(webhook),
        "secret": secret,
        "rows": [delivery_row(item) for item in found],
        "page": found,
        "is_over": webhook.study.state not in EDITABLE,
        "crumbs": _crumbs(webhook),
    }
    return render_page(request, "webhooks/webhook.html", context)
