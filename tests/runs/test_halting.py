"""The best round, and ending where a metric gains no more."""

from __future__ import annotations

import pytest
from flwr.app import MetricRecord, RecordDict

from accounts.roles import Role
from audit.models import Event
from federation.runs.flower import Reply
from federation.runs.halting import Rule, Verdict, better_when, judge
from federation.runs.models import Run
from federation.runs.services import Plan, create_run
from fedstudy_core.errors import Invalid
from notifications.selectors import visible_to
from tests.api import world as worlds
from tests.factories.accounts import holder_of
from tests.runs.scene import Scene, drive
from tests.runs.simulation import SuperLink, honest

LOSSES = [0.9, 0.5, 0.49, 0.485, 0.7, 0.6, 0.1]


def rounds(values: list[float]) -> list[tuple[int, float]]:
    return list(enumerate(values, start=1))


@pytest.mark.parametrize(
    ("values", "rule", "expected"),
    [
        ([], Rule("higher", patience=1), Verdict(None, False)),
        ([0.5, 0.7, 0.7], Rule("higher"), Verdict(2, False)),
        ([0.5, 0.7, 0.7], Rule("higher", patience=1), Verdict(2, True)),
        ([0.5, 0.7, 0.6], Rule("lower", patience=2), Verdict(1, True)),
        (LOSSES[:4], Rule("lower", patience=2, min_delta=0.02), Verdict(4, True)),
        (LOSSES[:4], Rule("lower", patience=3, min_delta=0.02), Verdict(4, False)),
        (LOSSES, Rule("lower", patience=2), Verdict(7, False)),
    ],
)
def test_the_best_and_the_plateau(values: list[float], rule: Rule, expected: Verdict) -> None:
    assert judge(rounds(values), rule) == expected


@pytest.mark.parametrize(
    ("metric", "better"), [("loss", "lower"), ("test-loss", "lower"), ("mean_error", "lower"), ("auc", "higher")]
)
def test_a_metrics_name_suggests_its_direction(metric: str, better: str) -> None:
    assert better_when(metric) == better


def report(link: SuperLink, losses: list[float]) -> None:
    """Have every site report these losses, round by round."""

    def behave(site, order, content):
        answer = honest(site, order, content)
        if order.phase in ("train", "evaluate"):
            metrics = MetricRecord({"num-examples": 1, "loss": losses[order.round - 1]})
            answer = RecordDict({**answer, "metrics": metrics})
        return Reply("", site.done(order, answer), "", True, 100)

    for site in link.sites.values():
        site.behave = behave


def watch(scene: Scene, **rule: object) -> None:
    Run.objects.filter(pk=scene.run.pk).update(metric="loss", better="lower", **rule)


@pytest.mark.django_db
def test_a_run_ends_on_a_plateau_and_says_so(rehearse) -> None:
    scene, link = rehearse(rounds=7)
    watch(scene, patience=2, min_delta=0.02)
    report(link, LOSSES)
    run = drive(scene)
    assert run.state == "completed"
    committed = run.round_set.filter(state="committed").order_by("number").last().number
    assert (run.best_round, run.ends_after) == (4, committed)
    assert committed in (4, 5), "right after the plateau, or after the round that was under way when it was seen"
    assert f"ended after round {committed}" in run.reason
    assert Event.objects.filter(action="runs:run:plateau", object_id=str(run.pk)).count() == 1


@pytest.mark.django_db
def test_without_patience_the_best_is_noted_and_nothing_ends(rehearse) -> None:
    scene, link = rehearse(rounds=7)
    watch(scene)
    report(link, LOSSES)
    run = drive(scene)
    assert (run.state, run.reason, run.best_round, run.ends_after) == ("completed", "", 7, None)
    assert run.standing_rounds.count() == 8


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("plan", "field", "code"),
    [
        ({"metric": "", "patience": 2}, "patience", "E_METRIC"),
        ({"metric": "x" * 101}, "metric", "E_METRIC"),
        ({"metric": "auc", "better": "bigger"}, "better", "E_INVALID"),
        ({"metric": "auc", "patience": 10}, "patience", "E_INVALID"),
        ({"metric": "auc", "patience": -1}, "patience", "E_INVALID"),
        ({"min_delta": -0.1}, "min_delta", "E_INVALID"),
        ({"min_delta": float("nan")}, "min_delta", "E_INVALID"),
        ({"priority": "urgent"}, "priority", "E_INVALID"),
    ],
)
def test_a_plan_that_cannot_be_held_is_refused_by_field(plan: dict[str, object], field: str, code: str) -> None:
    world = worlds.build()
    with pytest.raises(Invalid) as refused:
        create_run(study=world.study, version=world.version, plan=Plan(rounds=10, **plan), by=world.pi)
    assert [(problem.field, problem.code) for problem in refused.value.errors] == [(field, code)]


@pytest.mark.django_db
def test_the_scripts_headline_is_watched_where_nothing_is_said() -> None:
    world = worlds.build()
    type(world.version).objects.filter(pk=world.version.pk).update(
        declaration={**world.version.declaration, "headline": "val-loss"}
    )
    world.version.refresh_from_db()
    run = create_run(study=world.study, version=world.version, plan=Plan(), by=world.pi)
    assert (run.metric, run.better, run.patience) == ("val-loss", "lower", 0)


@pytest.mark.django_db
@pytest.mark.parametrize(("refused", "told"), [("", "is completed"), ("E_SIG", "failed")])
def test_whoever_leads_the_study_is_told_how_a_run_ended(rehearse, refused, told) -> None:
    scene, link = rehearse(rounds=1)
    leader = holder_of(Role.PI, scene.run.study)
    for site in link.sites.values() if refused else ():
        site.behave = lambda site, order, _: site.refuse(order, refused)
    drive(scene)
    (news,) = visible_to(leader)
    assert (news.kind, news.subject) == ("run", f"The run “{scene.run.label}” {told}.")
    assert news.link == f"/runs/{scene.run.pk}"
