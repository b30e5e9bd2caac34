"""One event with its proof, and a study's timeline in sentences."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from audit import proofs
from audit.models import Checkpoint, Event
from audit.presenters import context_of, sentence
from audit.readings import note_log_read, note_proof
from federation.runs import selectors as runs
from fedstudy_core.errors import Conflict, NotFound
from nodes.registry.witnesses import Quorum, best_of_sites, quorum
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.circumstances import circumstances_of
from portal.web.presenters.events import event_rows
from portal.web.presenters.facts import in_words
from portal.web.presenters.proofs import ShownProof, hashes_of, shown_proof
from portal.web.views.studies import find_study, speaks_in, study_frame


@page()
def event(request: PageRequest, event_id: UUID) -> HttpResponse:
    """One event that the person may read: who did what, the hashes that it names, and that it is in the log."""
    found = runs.events_for(request.user).filter(event_id=event_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND")
    note_proof(by=request.user)
    best = best_of_sites()
    reached = quorum(best)
    proof = _proof_of(found, reached)
    shown: ShownProof | None = None if proof is None else shown_proof(found, proof, proofs.log_key(), best)
    context = {
        "row": event_rows([found])[0],
        "event": found,
        "sentence": sentence(found, in_words),
        "hashes": hashes_of(found),
        "circumstances": circumstances_of(context_of(found)),
        "proof": shown,
        "is_witnessed": shown is not None and shown.position < reached.size,
        "quorum": reached,
        "crumbs": [(_("Log"), reverse("web:events"))],
    }
    return render_page(request, "events/event.html", context)


def _proof_of(found: Event, reached: Quorum) -> proofs.Proof | None:
    """The event's proof, against a witnessed checkpoint where there is one; None until the log has its place."""
    try:
        return proofs.proof_of(found, Checkpoint.objects.filter(size=reached.size).first())
    except Conflict:
        return None


@page()
def timeline(request: PageRequest, study_id: UUID) -> HttpResponse:
    """What happened in a study, in sentences, from the newest."""
    study = find_study(request, study_id)
    if not can(request.user, Permission.AUDIT_VIEW, study) and not speaks_in(request, study):
        check(request.user, Permission.AUDIT_VIEW, study)
    note_log_read(by=request.user, study=study)
    found = page_of(request, runs.events_for(request.user).filter(study=str(study.pk)), "-id")
    told = [(item, sentence(item, in_words)) for item in found]
    frame = study_frame(request, study, "study-events")
    return render_page(request, "events/timeline.html", {**frame, "told": told, "page": found})
