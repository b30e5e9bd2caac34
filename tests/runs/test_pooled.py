"""A pool node in runs: one site among the others, and absent from the moment at which somebody took rows back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from federation.runs import engine
from federation.runs.lowering import lower_participants
from federation.runs.models import Participant, Participation, Run
from federation.runs.obstacles import obstacles
from federation.runs.pooled import runs_with
from federation.runs.roles import TESTS, TRAINS
from federation.runs.services import Plan, plan_run
from portal.web.forms.run_sites import part_fields
from studies.pooling.consents import end_consent
from studies.pooling.models import PoolConsent, PooledTable, PoolNode
from tests.factories.pools import on_file
from tests.runs.scene import Scene, drive, settle
from tests.runs.simulation import Site

pytestmark = pytest.mark.django_db
POOL = 1


def pool_table(scene: Scene) -> tuple[PooledTable, PoolConsent]:
    """The second site is the pool node; the rows in its table are those that another site pooled."""
    member, centre = (scene.run.participants.get(position=place) for place in (0, POOL))
    run, dataset = scene.run, member.approval.dataset
    site = centre.enrolment.site
    PoolNode.objects.create(
        study=run.study, site=site, node_id=str(centre.node_id), node_name="pool", named_by=run.created_by
    )
    consent = on_file(run.study, member.enrolment.site, member.node, dataset, run.created_by)
    table = PooledTable.objects.create(
        dataset=centre.approval.dataset,
        pool_node=PoolNode.objects.get(),
        good_until=timezone.now() + timedelta(days=1),
    )
    table.consents.add(consent)
    return table, consent


def take_back(table: PooledTable) -> None:
    PooledTable.objects.filter(pk=table.pk).update(stale_since=timezone.now())


def drive_to_round(scene: Scene, number: int) -> None:
    while not scene.reload().round_set.filter(number=number - 1, state="committed").exists():
        engine.drive(scene.run.pk, budget_s=0.0)


def test_the_pool_node_is_one_site_of_a_run(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    table, consent = pool_table(scene)
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("done", "")
    (seen,) = runs_with(consent)
    assert (seen.pk, seen.made) == (run.pk, 2)
    assert table.is_good


def test_from_the_next_round_on_rows_that_were_taken_back_are_not_used(rehearse) -> None:
    scene, link = rehearse(rounds=2, quorum=2)
    table, _ = pool_table(scene)
    drive_to_round(scene, 2)
    take_back(table)
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("done", "")
    assert settle(run, "train", 2)["Site 1"] == ("missing", "E_POOL_REVOKED")
    assert (2, "train") not in link.sites["101"].asked


def test_a_run_on_the_pool_alone_ends_when_rows_are_taken_back(rehearse) -> None:
    scene, _ = rehearse(rounds=3, quorum=1, parts=[("F3", TESTS), ("F2", TRAINS)])
    table, _ = pool_table(scene)
    drive_to_round(scene, 2)
    take_back(table)
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_POOL_REVOKED")
    assert "Site 1 missing (E_POOL_REVOKED)" in run.reason


def test_work_that_waits_at_the_pool_node_is_not_waited_for(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    table, _ = pool_table(scene)

    def silent(site: Site, order: object, content: object) -> None:
        take_back(table)

    drive_to_round(scene, 1)
    link.sites["101"].behave = silent
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_POOL_REVOKED")


def test_a_table_whose_consent_expired_is_not_used(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=2)
    table, _ = pool_table(scene)
    PooledTable.objects.filter(pk=table.pk).update(good_until=timezone.now() - timedelta(seconds=1))
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1).get("Site 1") == ("missing", "E_POOL_REVOKED")


def test_a_run_that_went_on_with_another_table_has_still_seen_the_rows_of_before(rehearse) -> None:
    scene, _ = rehearse(rounds=2, quorum=2)
    _, consent = pool_table(scene)
    drive_to_round(scene, 2)
    centre = Participant.objects.get(run=scene.run, position=POOL)
    approval, dataset = centre.approval, centre.approval.dataset
    dataset.pk, dataset.name, dataset.fingerprint, dataset._state.adding = uuid4(), "anew", "e" * 64, True
    dataset.save()
    approval.pk, approval.statement_id, approval.dataset, approval._state.adding = uuid4(), "e" * 64, dataset, True
    approval.save()
    Participant.objects.filter(pk=centre.pk).update(approval=approval)  # as when a run is started again
    run = drive(scene)
    assert settle(run, "train", 2)["Site 1"] == ("done", "")
    assert [item.pk for item in runs_with(consent)] == [run.pk]


def test_a_site_whose_rows_are_in_the_pool_of_a_run_only_tests_there(rehearse) -> None:
    """It consented and sent, and did not change its level (yet): its rows count once all the same."""
    scene, _ = rehearse(rounds=1, quorum=3)
    pool_table(scene)
    run, member = scene.run, scene.run.participants.get(position=0)
    plan = Plan(label="With the pool", rounds=1)
    made = plan_run(study=run.study, version=run.version, plan=plan, by=run.created_by)
    parts = {item.position: (item.level, item.role) for item in made.participants.all()}
    assert parts == {0: ("F3", "tests"), 1: ("F2", "trains"), 2: ("F2", "trains")}
    assert made.quorum == 2
    alone = plan_run(
        study=run.study, version=run.version, by=run.created_by,
        plan=replace(plan, sites=[str(member.enrolment_id)]),
    )  # fmt: skip
    assert alone.participants.get().role == "trains", "the pool is not in this one"


def test_the_form_of_a_run_offers_no_training_beside_the_pool_node(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    pool_table(scene)
    enrolments = [item.enrolment for item in scene.run.participants.select_related("enrolment__site")]
    offered = [dict(field.choices)["full"] for field in part_fields(enrolments, {}, led_by_script=False).values()]
    assert [str(words).split(",")[0] for words in offered] == [
        "tests the model beside the pool node", "trains and tests", "trains and tests",
    ]  # fmt: skip


def test_a_run_that_was_planned_before_rows_came_to_the_pool_counts_none_twice(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    assert "E_LEVEL" not in [item.code for item in obstacles(scene.run)]
    pool_table(scene)
    found = {item.site: item.code for item in obstacles(scene.run)}
    assert found["Site 0"] == "E_LEVEL"
    with transaction.atomic():
        lower_participants(scene.reload(), by="somebody")
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 0"] == ("missing", "E_LEVEL")
    assert settle(run, "evaluate", 1)["Site 0"] == ("done", "")
    assert (1, "train") not in link.sites["100"].asked


def test_no_new_run_starts_on_rows_that_were_taken_back(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    table, _ = pool_table(scene)
    centre = Participant.objects.get(run=scene.run, position=POOL)
    centre.enrolment.dataset = centre.approval.dataset
    centre.enrolment.save()
    assert "E_POOL_REVOKED" not in [item.code for item in obstacles(scene.run)]
    take_back(table)
    found = {item.site: item.code for item in obstacles(Run.objects.get(pk=scene.run.pk))}
    assert found["Site 1"] == "E_POOL_REVOKED"


def test_a_run_that_goes_on_from_a_model_has_seen_its_rows_too(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    _, consent = pool_table(scene)
    run = drive(scene)
    child = Run.objects.get(pk=run.pk)
    child.pk, child.parent, child.parent_round = None, run, 1
    child.save()
    assert {item.pk for item in runs_with(consent)} == {run.pk, child.pk}


@pytest.mark.parametrize("state", ["queued", "waiting"])
def test_runs_that_wait_to_use_rows_are_stopped_when_these_are_taken_back(rehearse, state: str) -> None:
    scene, _ = rehearse()
    _, consent = pool_table(scene)
    if state == "queued":
        for moved in ("paused", "queued"):
            Run.objects.filter(pk=scene.run.pk).update(state=moved)
    with transaction.atomic():
        end_consent(consent, "revoked", "", "system:test")
    run = scene.reload()
    assert (run.state, run.reason_code) == ("stopped", "E_POOL_REVOKED")


def test_runs_that_wait_for_other_rows_go_on(rehearse) -> None:
    scene, _ = rehearse()
    _, consent = pool_table(scene)
    PooledTable.objects.get().consents.clear()
    with transaction.atomic():
        end_consent(consent, "revoked", "", "system:test")
    assert scene.reload().state == "waiting"


def test_only_models_since_the_pool_node_answered_have_seen_its_rows(rehearse) -> None:
    """The pool node was away in the preparation and in round 1, and what was forked from round 1 goes without them."""
    scene, _ = rehearse(rounds=2, quorum=3)
    _, consent = pool_table(scene)
    run = drive(scene)
    assert [(item.pk, item.made) for item in runs_with(consent)] == [(run.pk, 3)]
    Participation.objects.filter(round__run=run, round__number__lt=2, participant__position=POOL).delete()
    for number in (1, 2):
        child = Run.objects.get(pk=run.pk)
        child.pk, child.label, child.parent, child.parent_round = None, f"from {number}", run, number
        child.save()
    (again,) = runs_with(consent).filter(pk=run.pk)
    assert (again.made, again.latest_model) == (1, run.models.get(round_number=2).sha256)
    assert set(runs_with(consent).exclude(pk=run.pk).values_list("label", flat=True)) == {"from 2"}


def test_a_pool_node_that_only_tests_holds_nobody_to_testing(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    pool_table(scene)
    run, centre = scene.run, scene.run.participants.get(position=POOL)
    plan = Plan(label="The pool looks on", rounds=1, validators=[str(centre.enrolment_id)])
    made = plan_run(study=run.study, version=run.version, plan=plan, by=run.created_by)
    parts = {item.position: (item.level, item.role) for item in made.participants.all()}
    assert parts == {0: ("F2", "trains"), POOL: ("F2", "tests"), 2: ("F2", "trains")}
    assert "E_LEVEL" not in [item.code for item in obstacles(made)]
    with transaction.atomic():
        lower_participants(made, by="somebody")
    assert made.participants.get(position=0).level == "F2"
