"""Migrations that fill columns, over rows that stand there already."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from federation.degrees.models import DegreeComparison, DegreeEntry
from federation.runs.models import Participation, Round, Run
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


@pytest.mark.django_db(transaction=True)
def test_comparisons_of_before_have_the_seeds_of_their_runs() -> None:
    """Each seed once, in the order of the runs; none of a script without one, and a yes or no is no seed."""
    scene = scenes.build(sites=2)
    run, plan = scene.run, {"config": {}, "strategy": "fedavg", "rounds": 1}
    common = {"study": run.study, "version": run.version, "kinds": ["federated"], "created_by": run.created_by}
    configs = ([{"seed": 7}, {"seed": 8}, {"seed": 7}], [{"other": 1}, {}], [{"seed": True}], [])
    made = []
    for number, wanted in enumerate(configs):
        comparison = DegreeComparison.objects.create(label=f"Of before {number}", plan=plan, **common)
        for position, config in enumerate(wanted):
            of_it = Run.objects.get(pk=run.pk)
            of_it.pk, of_it.config, of_it._state.adding = uuid4(), config, True
            of_it.save()
            DegreeEntry.objects.create(comparison=comparison, kind="federated", run=of_it, position=position)
        made.append(comparison)
    migrate_over("degrees", "0001_initial")
    seeds = [list(item.entries.order_by("position").values_list("seed", flat=True)) for item in made]
    assert seeds == [[7, 8, 7], [None, None], [None], []]
    assert [DegreeComparison.objects.get(pk=item.pk).seeds for item in made] == [[7, 8], [], [], []]
