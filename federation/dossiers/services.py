"""Making a run's dossier for somebody; the log notes it, and what it notes is part of the dossier's proof."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from accounts.models import User
from accounts.permissions import Permission, can, check
from audit import export, proofs
from audit.export import File
from audit.models import Event, Leaf
from audit.services import record
from audit.waiting import check_at_work, until_signed
from federation.dossiers.crate import crate_of
from federation.dossiers.facts import Facts, facts_of
from federation.dossiers.items import Item, items_of
from federation.dossiers.sealing import contents_digest, sealed
from federation.releases.services import take_model
from federation.runs import selectors as runs
from federation.runs.documents import Documents
from federation.runs.models import Run
from fedstudy_core.errors import Conflict
from fedstudy_core.keys import generate, public_text
from nodes.registry.witnesses import best_of_sites, quorum


def make_dossier(*, run: Run, by: User) -> Iterator[File]:
    """The names and contents of a run's dossier, with the part of the study's log that the person may read.

    The model is in it where it was released and the person may have it. The log has the entry of the dossier when
    this returns, and signs it while the files are read: until then there are pieces without content.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE for a run that has not ended; E_LOG_BEHIND while the log signs nothing, also while the files
            are read.
        Refusal: E_ARTIFACT, E_ARTIFACT_MISSING, when the released model is not there any more.
    """
    check(by, Permission.RESULTS_VIEW, run.study)
    check(by, Permission.SCRIPT_READ, run.study)
    if not run.is_final:
        raise Conflict("E_STATE", f"This run is {run.state}; dossiers are of runs that have ended.")
    proofs.latest_checkpoint()  # before anything is noted: it may be too early for a dossier
    check_at_work()
    key = generate()
    with transaction.atomic():
        items = _items(run, by)
        event = _note(run, items, public_text(key.public_key()), by)
    return sealed(items, until_signed(event), _log(run, by), event, key)


def dossier_name(run: Run) -> str:
    """What a run's dossier is called as one file."""
    return f"dossier-{slugify(run.label)[:60] or 'run'}-{str(run.pk)[:8]}.zip"


def _items(run: Run, by: User) -> list[Item]:
    facts = facts_of(run, by=by)
    items = items_of(facts, _released_model(facts, by))
    return [*items, crate_of(facts, items)]


def _released_model(facts: Facts, by: User) -> bytes | None:
    """The newest model, where it was released and the person may have it; the log notes that they took it."""
    release = facts.run.releases.filter(state="released", model__sha256=facts.model["sha256"]).first()
    if release is None or not can(by, Permission.MODEL_DOWNLOAD, facts.run.study):
        return None
    return take_model(release=release, by=by)[1]


def _log(run: Run, by: User) -> Iterator[File]:
    """The study's part of the log, as far as a quorum of witnesses has it; further where it lacks the run's own end."""
    best = best_of_sites()
    found = quorum(best)
    ends = Event.objects.filter(object_type="run", object_id=str(run.pk), action__startswith="runs:run:")
    last = Leaf.objects.filter(event__in=ends.values("pk")).aggregate(last=Max("position"))["last"]
    needed = found.needed if last is None or found.size > last else 0
    rows = runs.events_for(by).filter(study=str(run.study_id))
    yield from export.files(rows, best, needed, keeping=Documents())


def _note(run: Run, items: list[Item], key: str, by: User) -> Event:
    detail = {"contents": contents_digest(items), "files": len(items), "key": key}
    return record(action="runs:dossier:exported", actor=by, obj=run, study=run.study_id, detail=detail)
