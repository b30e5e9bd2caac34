"""Migrations that fill columns, over rows that stand there already."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from federation.runs.models import Participation, Round
from studies.dictionary.models import DictionaryDraft, DictionaryVersion
from tests.runs import scene as scenes


def migrate_over(app: str, before: str) -> None:
    """Go back to before a migration, and forward over what stands in the database."""
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate([(app, before)])
    finally:
        MigrationExecutor(connection).migrate(leaves)


@pytest.mark.django_db(transaction=True)
def test_what_was_asked_stands_on_the_runs_approval() -> None:
    """`approval` of a participation; also of one whose participant has none, and of states that are final."""
    run = scenes.build(sites=2).run
    asked, unapproved = run.participants.order_by("position")
    unapproved.approval = None
    unapproved.save()
    round_ = Round.objects.create(run=run, number=1)
    done, now = {"state": "done", "answered_at": timezone.now() + timedelta(seconds=1)}, timezone.now()
    rows = [
        Participation.objects.create(round=round_, participant=participant, phase=phase, asked_at=now, **more)
        for participant in (asked, unapproved)
        for phase, more in (("train", done), ("evaluate", {}))
    ]
    migrate_over("runs", "0006_roles")
    found = dict(Participation.objects.values_list("pk", "approval"))
    assert [found[row.pk] for row in rows] == [asked.approval_id] * 2 + [None] * 2
    assert asked.approval_id is not None


@pytest.mark.django_db
def test_a_draft_was_begun_from_the_newest_version_of_its_last_change() -> None:
    run = scenes.build(sites=1).run
    first, pi = DictionaryVersion.objects.get(study=run.study), run.created_by
    changed = first.created_at + timedelta(days=1)
    later = {"number": 2, "variables": [], "sha256": "e" * 64, "created_by": pi}
    DictionaryVersion.objects.create(study=run.study, created_at=changed + timedelta(days=1), **later)
    DictionaryDraft.objects.create(study=run.study, variables=[], revision=1, base=9, changed_at=changed, changed_by=pi)
    # by its function alone: to go back so far would take everything down that came after
    import_module("studies.dictionary.migrations.0004_draft_base").base_of_standing_drafts(apps, None)
    assert DictionaryDraft.objects.get().base == 1
