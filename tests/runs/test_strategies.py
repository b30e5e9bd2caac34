"""Every strategy through the engine: what is committed, what another worker takes up, why plans are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from flwr.app import ArrayRecord, MetricRecord, RecordDict

from federation.runs import engine, obstacles, services
from federation.runs.flower import Reply
from federation.runs.models import Model, Participation, Round, Run
from federation.runs.storage import model_store, state_store
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import Description
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays
from fedstudy_core.errors import Invalid
from tests.runs.scene import DECLARATION, Scene, drive, settle
from tests.runs.simulation import Site, SuperLink
from tests.strategies.builders import booster, defaults, leaves_of

pytestmark = pytest.mark.django_db

SITES, ROUNDS = 7, 3
DECLARED = {
    **DECLARATION,
    "sums": None,
    "metrics": {},
    "uses_proximal": True,
    "step_sum": "step-sum",
    "train_loss": "train-loss",
    "local_layers": ["head.*"],
}
ALL = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda item: item.name)


def choose(scene: Scene, strategy: Description, **parameters: Any) -> None:
    """Let the run use the strategy, and the script declare all that strategies ask for."""
    type(scene.run.version).objects.update(declaration={**DECLARED, "model": strategy.model})
    scene.run.strategy, scene.run.strategy_parameters = strategy.name, {**defaults(strategy), **parameters}
    scene.run.save()


def answer(site: Site, order: Any, content: RecordDict) -> Reply:
    """A script that does its part for all strategies: a small network with BatchNorm, or a tree a round."""
    return Reply("", site.done(order, _content(site, order, content)), "", True, 100)


def _content(site: Site, order: Any, content: RecordDict) -> RecordDict:
    trees = Run.objects.get(pk=order.run).strategy.startswith("xgb")
    if order.message_type == "query.initial":
        return RecordDict({"arrays": _record(EMPTY if trees else START)})
    metrics = MetricRecord({"num-examples": site.number + 1, "train-loss": 0.5, "step-sum": 0.1, "loss": 0.5})
    if order.phase == "evaluate":
        return RecordDict({"metrics": metrics})
    came = records.arrays_of(content.array_records["arrays"])
    return RecordDict(
        {"arrays": _record(_grown(site, order, came) if trees else _trained(site, content, came)), "metrics": metrics}
    )


START = {
    "body.weight": np.zeros((2, 2), np.float32),
    "norm.running_var": np.ones(2, np.float32),
    "norm.num_batches_tracked": np.asarray(0, np.int64),
    "head.bias": np.zeros(1, np.float32),
}
EMPTY = {"0": np.zeros(0, np.uint8)}


def _trained(site: Site, content: RecordDict, came: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    correction = content.array_records.get("correction", {})
    trained = {}
    for name, array in came.items():
        step = 1 if array.dtype == np.int64 else (site.number - 3) / 100
        drift = correction[name].numpy() / 10 if name in correction else 0
        trained[name] = np.asarray(array + step - drift, dtype=array.dtype)
    return trained


def _grown(site: Site, order: Any, came: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    known = leaves_of(came["0"]) if came["0"].size else []
    whole = Run.objects.get(pk=order.run).strategy == "xgb-cyclic"
    return {"0": booster(*(known if whole else []), site.number / 10)}


def _record(arrays: dict[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: records.array(array) for name, array in arrays.items()})


def play(rehearse: Any, strategy: Description, **wishes: Any) -> tuple[Scene, SuperLink]:
    scene, link = rehearse(**{"sites": SITES, "rounds": ROUNDS, **wishes})
    choose(scene, strategy)
    for site in link.sites.values():
        site.behave = answer
    return scene, link


def models(run: Run) -> list[str]:
    return list(Model.objects.filter(run=run).order_by("round_number").values_list("sha256", flat=True))


def model(run: Run, number: int) -> dict[str, np.ndarray]:
    return decode_arrays(model_store().get(models(run)[number]))


@ALL
def test_a_run_completes_and_another_worker_goes_on_to_the_bit(rehearse: Any, strategy: Description) -> None:
    scene, _ = play(rehearse, strategy)
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    expected, states = models(run), list(Round.objects.filter(run=run).values_list("state_sha256", flat=True))
    assert len(set(expected)) == ROUNDS + 1
    assert [bool(state) for state in states] == [False] + [strategy.memory is not None] * ROUNDS

    Run.objects.filter(pk=run.pk).update(label="done")
    Round.objects.filter(run=run).delete()
    Model.objects.filter(run=run).delete()
    again = _again(scene, run)
    while engine.drive(again.pk, budget_s=0.0) is not None:  # each step by another worker, who knows nothing
        scene.heard_of(*scene.nodes)
    assert Run.objects.get(pk=again.pk).state == "completed"
    assert models(again) == expected
    assert list(Round.objects.filter(run=again).values_list("state_sha256", flat=True)) == states


def _again(scene: Scene, run: Run) -> Run:
    """The same run, planned a second time."""
    people = list(run.participants.all())
    again = Run.objects.get(pk=run.pk)
    again.pk, again.state, again.ended_at, again.epoch = None, "waiting", None, 0
    again._state.adding = True
    again.id = Run._meta.get_field("id").get_default()
    again.save(force_insert=True)
    for participant in people:
        participant.pk, participant.run = None, again
        participant._state.adding = True
        participant.save(force_insert=True)
    return again


def test_only_the_last_two_states_are_kept(rehearse: Any) -> None:
    scene, _ = play(rehearse, STRATEGIES["fedadam"])
    run = drive(scene)
    states = list(Round.objects.filter(run=run).order_by("number").values_list("state_sha256", flat=True))
    assert [state_store(run).exists(state) for state in states[1:]] == [False, True, True]


def test_batch_norm_goes_through_an_optimisers_rounds(rehearse: Any) -> None:
    scene, _ = play(rehearse, STRATEGIES["fedadam"])
    last = model(drive(scene), ROUNDS)
    assert int(last["norm.num_batches_tracked"]) == ROUNDS
    assert last["norm.num_batches_tracked"].dtype == np.int64


def test_the_model_goes_from_site_to_site(rehearse: Any) -> None:
    scene, link = play(rehearse, STRATEGIES["cyclic"], sites=3, rounds=1)
    asked: list[int] = []

    def remember(site: Site, order: Any, content: RecordDict) -> Reply:
        if order.phase == "train":
            asked.append(site.number)
            assert order.sites == 1, "what a site gets is one site's own model"
        return answer(site, order, content)

    for site in link.sites.values():
        site.behave = remember
    run = drive(scene)
    assert asked == [0, 1, 2]
    np.testing.assert_allclose(model(run, 1)["body.weight"], np.sum([-3, -2, -1]) / 100, rtol=1e-5)


def test_a_site_that_lets_its_turn_pass_is_skipped(rehearse: Any) -> None:
    scene, link = play(rehearse, STRATEGIES["cyclic"], sites=3, rounds=1, quorum=2)

    def sulk(site: Site, order: Any, content: RecordDict) -> Reply | None:
        if order.phase != "train":
            return answer(site, order, content)
        return None

    link.sites["101"].behave = sulk

    def hurry() -> None:
        if (1, "train") in link.sites["101"].asked:
            late = timezone.now() - timedelta(seconds=1)
            scene_round = Round.objects.filter(run=scene.run, number=1, phase="train")
            waits = Participation.objects.filter(round__in=scene_round, state="awaited", participant__position=1)
            if waits.exists():
                scene_round.update(deadline_at=late)

    link.on_push = hurry
    run = Run.objects.get(pk=scene.run.pk)
    while engine.drive(run.pk, budget_s=0.0) is not None:
        scene.heard_of(*scene.nodes)
    run.refresh_from_db()
    assert run.state == "completed", run.reason
    parts = settle(run, "train", 1)
    assert parts["Site 1"] == ("missing", "E_DEADLINE")
    assert parts["Site 2"] == ("done", "")
    np.testing.assert_allclose(model(run, 1)["body.weight"], np.sum([-3, -1]) / 100, rtol=1e-5)


def test_boosters_take_turns_by_round_and_a_silent_site_is_skipped(rehearse: Any) -> None:
    scene, link = play(rehearse, STRATEGIES["xgb-cyclic"], sites=3, rounds=4, quorum=2)
    link.sites["101"].behave = lambda site, order, content: (
        site.refuse(order, "E_PAUSED") if order.phase == "train" else answer(site, order, content)
    )
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert leaves_of(model(run, 4)["0"]) == [0.0, 0.2, 0.2, 0.0]


def test_bagging_adds_a_tree_of_every_site(rehearse: Any) -> None:
    scene, _ = play(rehearse, STRATEGIES["xgb-bagging"], sites=3, rounds=2)
    assert leaves_of(model(drive(scene), 2)["0"]) == [0.0, 0.1, 0.2] * 2


def test_local_layers_never_become_part_of_the_model(rehearse: Any) -> None:
    scene, link = play(rehearse, STRATEGIES["fedbn"], sites=3, quorum=2)

    def show(site: Site, order: Any, content: RecordDict) -> Reply:
        reply = _content(site, order, content)
        assert content["config"]["local-layers"] == ["head.*"]  # type: ignore[index]
        if order.phase == "train":
            arrays = records.arrays_of(reply.array_records["arrays"])
            reply = RecordDict({**reply, "arrays": _record({**arrays, "head.bias": np.zeros(1, np.float32)})})
        return Reply("", site.done(order, reply), "", True, 100)

    link.sites["102"].behave = show
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert settle(run, "train", 1)["Site 2"] == ("failed", "E_UPDATE_NAMES")
    assert all("head.bias" not in model(run, number) for number in range(ROUNDS + 1))


@pytest.mark.parametrize("name", ["qfedavg", "scaffold"])
def test_a_site_that_leaves_out_what_the_strategy_reads_is_left_out(rehearse: Any, name: str) -> None:
    scene, link = play(rehearse, STRATEGIES[name], sites=3, quorum=2)

    def silent(site: Site, order: Any, content: RecordDict) -> Reply:
        reply = _content(site, order, content)
        reply = RecordDict({**reply, "metrics": MetricRecord({"num-examples": 3})}) if order.phase == "train" else reply
        return Reply("", site.done(order, reply), "", True, 100)

    link.sites["101"].behave = silent
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert settle(run, "train", 1)["Site 1"] == ("failed", "E_METRICS_FORM")


REFUSED = [
    ("krum", {}, 4, {}, "E_TOO_FEW_SITES", "Krum needs 5 sites in every round"),
    ("bulyan", {"malicious-sites": 2}, None, {}, "E_TOO_FEW_SITES", "needs 11 sites"),
    ("multi-krum", {"sites-to-select": 5}, None, {}, "E_TOO_FEW_SITES", "needs 8 sites"),
    ("median", {"malicious-sites": 0}, None, {}, "E_RUN_CONFIG", ""),
    ("scaffold", {}, None, {"step_sum": ""}, "E_STRATEGY_SUPPORT", "corrects its steps"),
    ("fedbn", {}, None, {"local_layers": []}, "E_STRATEGY_SUPPORT", "keeps layers at the site"),
    ("qfedavg", {}, None, {"train_loss": ""}, "E_STRATEGY_SUPPORT", "reports its training loss"),
    ("fedprox", {}, None, {"uses_proximal": False}, "E_PROXIMAL", "proximal term"),
    ("xgb-bagging", {}, None, {}, "E_STRATEGY_SUPPORT", "a model of trees"),
    ("fedavg", {}, None, {"model": "trees"}, "E_STRATEGY_SUPPORT", "can be averaged"),
    ("cyclic", {}, 1, {}, "E_TOO_FEW_SITES", "needs 2 sites"),
    ("fedsgd", {}, None, {}, "E_STRATEGY", "no strategy"),
]


@pytest.mark.parametrize(("name", "parameters", "quorum", "declared", "code", "words"), REFUSED)
def test_a_plan_that_a_strategy_cannot_hold_is_refused(
    rehearse: Any,
    name: str,
    parameters: dict[str, int],
    quorum: int | None,
    declared: dict[str, Any],
    code: str,
    words: str,
) -> None:
    scene, _ = rehearse(sites=SITES)
    version = scene.run.version
    version.declaration = {**DECLARED, **declared}
    version.save()
    plan = services.Plan(strategy=name, strategy_parameters=parameters, quorum=quorum)
    with pytest.raises(Invalid) as refusal:
        services._check_strategy(plan, version, SITES if quorum is None else quorum)
    assert refusal.value.code == code
    assert words in refusal.value.detail


@pytest.mark.parametrize(
    ("name", "mixed"), [("fedavg", 7), ("krum", 1), ("multi-krum", 2), ("bulyan", 3), ("cyclic", 1)]
)
def test_approvals_for_several_sites_do_not_cover_one_sites_own_model(
    rehearse: Any, monkeypatch: pytest.MonkeyPatch, name: str, mixed: int
) -> None:
    scene, _ = play(rehearse, STRATEGIES[name])
    approvals = {}
    for participant in scene.run.participants.all():
        signed = {"privacy": {"min_sites": 3}, "outputs": {"phases": ["query", "train", "evaluate"]}}
        participant.approval.statement = signed
        approvals[obstacles.approval_key(participant)] = participant.approval
    monkeypatch.setattr(obstacles, "approvals_of", lambda *_: approvals)
    found = {item.code for item in obstacles.obstacles(scene.reload())}
    assert found == ({"E_MIN_SITES"} if mixed < 3 else set())
