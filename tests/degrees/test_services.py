"""Planning comparisons: which runs, with whom, and what stands between a study and the other degrees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from federation.degrees.models import DegreeComparison, DegreeEntry
from federation.degrees.outline import outline_of
from federation.degrees.selectors import kinds_beside, mark_of
from federation.degrees.services import Wish, compare_run, create_comparison, extend_comparison, start_comparison
from federation.runs.models import Participant, Run
from federation.runs.roles import TESTS, TRAINS
from federation.runs.services import Plan
from fedstudy_core.errors import Invalid, NotFound
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from tests.runs import scene as scenes
from tests.runs.scene import Scene
from tests.runs.test_pooled import pool_table

pytestmark = pytest.mark.django_db


@dataclass
class Stage:
    """Three sites that are ready: “Site 0” to “Site 2”."""

    scene: Scene
    study: Study
    pi: User

    def compare(self, **wishes: Any) -> DegreeComparison:
        plan = wishes.pop("plan", Plan(rounds=2))
        label = wishes.pop("label", "")
        return create_comparison(
            study=self.study, version=self.scene.run.version, plan=plan, wish=Wish(**wishes), label=label, by=self.pi
        )

    def level(self, position: int, level: str) -> None:
        Enrolment.objects.filter(study=self.study, site__name=f"Site {position}").update(level=level)


@pytest.fixture
def stage() -> Stage:
    scene = scenes.build()
    for state in ("recruiting", "active"):
        Study.objects.filter(pk=scene.run.study_id).update(state=state)
    study = Study.objects.get(pk=scene.run.study_id)
    grant_role(user=study.created_by, role=Role.PI, obj=study, by=study.created_by)
    return Stage(scene, study, User.objects.get(pk=study.created_by_id))


def shape_of(entry: DegreeEntry) -> tuple[str, str, list[str], list[str]]:
    """Kind, site, who trains and who tests."""
    rows = list(entry.run.participants.select_related("enrolment__site"))
    trains = [row.enrolment.site.name[-1] for row in rows if row.role == TRAINS]
    return (
        entry.kind,
        entry.enrolment.site.name[-1] if entry.enrolment else "",
        sorted(trains),
        sorted(row.enrolment.site.name[-1] for row in rows),
    )


def shapes(comparison: DegreeComparison) -> list[tuple[str, str, list[str], list[str]]]:
    return [shape_of(entry) for entry in comparison.entries.all()]


def test_each_alone_without_each_and_all_together_are_planned_and_everybody_tests(stage: Stage) -> None:
    everybody = ["0", "1", "2"]
    comparison = stage.compare(label="Degrees")
    assert shapes(comparison) == [
        ("alone", "0", ["0"], everybody),
        ("alone", "1", ["1"], everybody),
        ("alone", "2", ["2"], everybody),
        ("left-out", "0", ["1", "2"], everybody),
        ("left-out", "1", ["0", "2"], everybody),
        ("left-out", "2", ["0", "1"], everybody),
        ("federated", "", everybody, everybody),
    ]
    runs = [entry.run for entry in comparison.entries.all()]
    assert {(run.rounds, run.strategy, run.state) for run in runs} == {(2, "fedavg", "draft")}
    assert len({str(run.config) for run in runs}) == 1
    assert runs[0].label == "Degrees · Site 0 alone"
    event = Event.objects.get(action="degrees:comparison:created")
    assert (event.object_label, event.study) == ("Degrees", str(stage.study.pk))
    assert [(item.kind, item.reason) for item in outline_of(stage.study).lacking] == [
        ("hybrid", "no_pool"), ("central", "no_pool"),
    ]  # fmt: skip


def test_only_what_is_wanted_is_planned_and_of_two_sites_none_is_left_out(stage: Stage) -> None:
    stage.level(2, "F0")
    assert [shape[:3] for shape in shapes(stage.compare(kinds=["left-out", "federated"]))] == [
        ("federated", "", ["0", "1"])
    ]
    with pytest.raises(Invalid, match="E_INVALID"):
        stage.compare(kinds=["fully"])


def test_a_run_takes_its_place_where_all_sites_tested_it(stage: Stage) -> None:
    Run.objects.filter(pk=stage.scene.run.pk).update(state="running", config={})
    Run.objects.filter(pk=stage.scene.run.pk).update(state="completed", ended_at=timezone.now())
    run = Run.objects.get(pk=stage.scene.run.pk)
    comparison = compare_run(run=run, by=stage.pi)
    (entry,) = comparison.entries.filter(kind="federated")
    assert entry.run == run
    assert Run.objects.filter(degree_entries__comparison=comparison).exclude(pk=run.pk).count() == 6


def test_what_needs_more_sites_is_left_out_and_one_site_averages_itself(stage: Stage) -> None:
    comparison = stage.compare(plan=Plan(strategy="median", rounds=1))
    strategies = {entry.kind: entry.run.strategy for entry in comparison.entries.all()}
    assert strategies["alone"] == "fedavg"
    assert strategies["federated"] == "median"
    assert "left-out" not in strategies


def test_sites_whose_rows_are_pooled_train_at_the_pool_node_alone(stage: Stage) -> None:
    """Site 1 is the pool node, and holds rows of Site 0."""
    table, _ = pool_table(stage.scene)
    comparison = stage.compare()
    assert ("hybrid", "", ["1", "2"], ["0", "1", "2"]) in shapes(comparison)
    assert comparison.entries.get(kind="hybrid").table == table
    assert ("federated", "", ["0", "2"], ["0", "2"]) in shapes(comparison), "both are at F2, and train at home"
    assert [(item.kind, item.reason, item.sites) for item in outline_of(stage.study).lacking] == [
        ("central", "still_local", ("Site 2",))
    ]


def test_a_comparison_grows_as_levels_change(stage: Stage) -> None:
    """F2 everywhere, then rows of one site are pooled: only the hybrid run is added, and nothing twice."""
    comparison = stage.compare(kinds=["alone", "federated", "hybrid", "central"])
    before = comparison.entries.count()
    assert extend_comparison(comparison=comparison, by=stage.pi) == []
    Enrolment.objects.filter(study=stage.study, site__name="Site 1").update(state="accepted")
    pool_table(stage.scene)
    stage.level(0, "F4")
    Enrolment.objects.filter(study=stage.study, site__name="Site 1").update(state="ready")
    (added,) = extend_comparison(comparison=comparison, by=stage.pi)
    assert shape_of(comparison.entries.get(run=added))[:3] == ("hybrid", "", ["1", "2"])
    assert comparison.entries.count() == before + 1
    assert Event.objects.filter(action="degrees:comparison:extended").count() == 1
    assert [item.reason for item in outline_of(stage.study).lacking] == ["pooled_away", "still_local"]


def test_what_cannot_start_is_told_and_the_rest_goes_on(stage: Stage) -> None:
    comparison = stage.compare(kinds=["alone", "federated"])
    hindered = start_comparison(comparison=comparison, by=stage.pi)
    assert {(item.run.label, item.code) for item in hindered} == {
        ("demo v1 · Site 0 alone", "E_NOT_APPROVED"), ("demo v1 · Site 1 alone", "E_NOT_APPROVED"),
        ("demo v1 · Site 2 alone", "E_NOT_APPROVED"), ("demo v1 · federated", "E_NOT_APPROVED"),
    }  # fmt: skip
    assert Event.objects.filter(action="runs:run:hindered").count() == 4
    assert set(comparison.entries.values_list("run__state", flat=True)) == {"draft"}


def test_only_who_may_start_runs_compares(stage: Stage) -> None:
    stranger = User.objects.create(email="stranger@demo.example", name="Demo Stranger")
    with pytest.raises(NotFound):
        create_comparison(study=stage.study, version=stage.scene.run.version, plan=Plan(), by=stranger)


def test_a_run_takes_its_place_though_its_degree_is_not_possible_any_more(stage: Stage) -> None:
    """All trained at home; then Site 0 pooled its rows: the repetition stands beside the run of before."""
    Run.objects.filter(pk=stage.scene.run.pk).update(state="running", config={})
    Run.objects.filter(pk=stage.scene.run.pk).update(state="completed", ended_at=timezone.now())
    run = Run.objects.get(pk=stage.scene.run.pk)
    assert kinds_beside(run, "hybrid") == ["federated", "hybrid"]
    stage.level(0, "F4")
    with pytest.raises(Invalid, match="E_TOO_FEW_SITES"):
        compare_run(run=run, wish=Wish(kinds=["left-out"]), by=stage.pi)
    (entry,) = compare_run(run=run, wish=Wish(kinds=["federated", "hybrid"]), by=stage.pi).entries.all()
    assert (entry.kind, entry.run) == ("federated", run)


@pytest.mark.parametrize("level", ["F2", "F0"])
def test_a_run_that_a_site_only_tested_is_not_all_together(stage: Stage, level: str) -> None:
    """Whether it might have trained then, or only may today: the run is the one without its rows."""
    run = stage.scene.run
    tester = Participant.objects.filter(run=run, enrolment__site__name="Site 2")
    assert tester.update(role=TESTS, level=level) == 1
    Run.objects.filter(pk=run.pk).update(state="running", config={})
    Run.objects.filter(pk=run.pk).update(state="completed", ended_at=timezone.now())
    run = Run.objects.get(pk=run.pk)
    together = compare_run(run=run, wish=Wish(kinds=["federated"]), by=stage.pi)
    assert [shape[:3] for shape in shapes(together)] == [("federated", "", ["0", "1", "2"])]
    comparison = compare_run(run=run, by=stage.pi)
    entry = comparison.entries.get(run=run)
    assert (entry.kind, str(entry.enrolment.site.name if entry.enrolment else "")) == ("left-out", "Site 2")
    assert comparison.entries.filter(kind="federated").count() == 1
    stage.level(2, "F0")
    assert kinds_beside(run, "hybrid") == (["hybrid"] if level == "F2" else ["federated", "hybrid"])


SEED = {"name": "seed", "type": "int", "default": 42, "min": 0.0, "max": 1000.0}


def with_seed(stage: Stage) -> None:
    """The script takes a seed, as the library's do."""
    version = stage.scene.run.version
    version.parameters = [*version.parameters, SEED]
    version.save(update_fields=["parameters"])


def seeds_by_kind(comparison: DegreeComparison) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for entry in comparison.entries.select_related("run"):
        assert entry.run.config.get("seed") == entry.seed
        found.setdefault(entry.kind, []).append(entry.seed)
    return found


def test_each_way_of_training_is_run_once_for_each_seed(stage: Stage) -> None:
    with_seed(stage)
    comparison = stage.compare(kinds=["alone", "federated"], seeds=[7, 8])
    assert seeds_by_kind(comparison) == {"alone": [7, 7, 7, 8, 8, 8], "federated": [7, 8]}
    assert [entry.seed for entry in comparison.entries.all()] == [7] * 4 + [8] * 4, "the first seed comes first"
    labels = comparison.entries.values_list("run__label", flat=True)
    assert labels[0] == "demo v1 · Site 0 alone, seed 7"
    assert len(set(labels)) == 8
    assert json.loads(Event.objects.get(action="degrees:comparison:created").detail)["seeds"] == [7, 8]


def test_without_a_wish_there_is_the_plan_s_seed_alone(stage: Stage) -> None:
    with_seed(stage)
    assert seeds_by_kind(stage.compare(kinds=["federated"])) == {"federated": [42]}
    chosen = stage.compare(kinds=["federated"], plan=Plan(rounds=2, config={"seed": 5}))
    assert (chosen.seeds, seeds_by_kind(chosen)) == ([5], {"federated": [5]})


def test_seeds_are_added_later_and_none_is_run_twice(stage: Stage) -> None:
    with_seed(stage)
    comparison = stage.compare(kinds=["federated"], seeds=[7])
    start_comparison(comparison=comparison, seeds=[8, 7, 9], by=stage.pi)
    comparison.refresh_from_db()
    assert (comparison.seeds, seeds_by_kind(comparison)) == ([7, 8, 9], {"federated": [7, 8, 9]})
    assert json.loads(Event.objects.get(action="degrees:comparison:extended").detail)["seeds"] == [8, 9]
    with pytest.raises(Invalid, match="E_RUN_CONFIG"):
        extend_comparison(comparison=comparison, seeds=[1001], by=stage.pi)
    with pytest.raises(Invalid, match="E_INVALID"):
        extend_comparison(comparison=comparison, seeds=range(20, 28), by=stage.pi)
    comparison.refresh_from_db()
    assert comparison.seeds == [7, 8, 9], "what is refused leaves nothing"


@pytest.mark.parametrize("seeds", [(), (7, 7), tuple(range(11))], ids=["none", "one twice", "eleven"])
def test_seeds_that_make_no_sense_are_refused(stage: Stage, seeds: tuple[int, ...]) -> None:
    with_seed(stage)
    with pytest.raises(Invalid, match="E_INVALID"):
        stage.compare(seeds=seeds)


def keeping_layers(stage: Stage) -> None:
    """The script names layers that may stay at a site."""
    version = stage.scene.run.version
    version.declaration = {**version.declaration, "local_layers": ["bias"]}
    version.save(update_fields=["declaration"])


def test_a_personalised_strategy_is_tried_besides_with_every_seed(stage: Stage) -> None:
    with_seed(stage)
    keeping_layers(stage)
    comparison = stage.compare(kinds=["federated"], seeds=[7, 8], plan=Plan(rounds=2))
    start_comparison(comparison=comparison, personalised=["fedbn"], by=stage.pi)
    assert seeds_by_kind(comparison) == {"federated": [7, 8], "personalised": [7, 8]}
    runs = [entry.run for entry in comparison.entries.filter(kind="personalised")]
    assert {(run.strategy, run.rounds) for run in runs} == {("fedbn", 2)}
    assert runs[0].label.endswith("fedbn, seed 7")
    assert json.loads(Event.objects.get(action="degrees:comparison:extended").detail)["personalised"] == ["fedbn"]
    start_comparison(comparison=DegreeComparison.objects.get(), personalised=["fedbn"], seeds=[9], by=stage.pi)
    assert seeds_by_kind(comparison) == {"federated": [7, 8, 9], "personalised": [7, 8, 9]}


def test_a_strategy_that_leaves_nothing_at_the_sites_is_no_personalised_one(stage: Stage) -> None:
    comparison = stage.compare(kinds=["federated"])
    with pytest.raises(Invalid, match="E_INVALID"):
        extend_comparison(comparison=comparison, personalised=["fedbn"], by=stage.pi)
    keeping_layers(stage)
    comparison = DegreeComparison.objects.get()
    with pytest.raises(Invalid, match="E_INVALID"):
        extend_comparison(comparison=comparison, personalised=["median"], by=stage.pi)
    stage.level(0, "F0")
    stage.level(1, "F0")
    with pytest.raises(Invalid, match="E_TOO_FEW_SITES"):
        extend_comparison(comparison=comparison, personalised=["fedbn"], by=stage.pi)
    comparison.refresh_from_db()
    assert (comparison.personalised, comparison.entries.count()) == ([], 1)


def test_a_script_that_takes_no_seed_is_trained_once(stage: Stage) -> None:
    comparison = stage.compare(kinds=["federated"])
    assert (comparison.seeds, comparison.entries.get().seed) == ([], None)
    with pytest.raises(Invalid, match="E_INVALID"):
        stage.compare(seeds=[7])


def test_a_run_takes_the_place_of_its_own_seed(stage: Stage) -> None:
    with_seed(stage)
    run = stage.scene.run
    Run.objects.filter(pk=run.pk).update(state="running", config={"seed": 8})
    Run.objects.filter(pk=run.pk).update(state="completed", ended_at=timezone.now())
    comparison = compare_run(run=Run.objects.get(pk=run.pk), wish=Wish(kinds=["federated"], seeds=[7, 8]), by=stage.pi)
    assert seeds_by_kind(comparison) == {"federated": [7, 8]}
    assert comparison.entries.get(seed=8).run == run


def test_the_mark_changes_with_its_runs_states(stage: Stage) -> None:
    comparison = stage.compare(kinds=["federated"])
    before = mark_of(comparison)
    assert mark_of(comparison) == before
    Run.objects.filter(degree_entries__comparison=comparison).update(state="stopped", ended_at=timezone.now())
    assert mark_of(comparison) != before
