"""Runs whose arrays travel in 16 bits: what is sent, what is taken, what is committed and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.common.serde import message_to_proto

from audit.models import Event
from federation.runs.flower import Reply
from federation.runs.models import Model, Participation, Run
from federation.runs.services import Plan, create_run
from federation.runs.storage import model_store
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import Description
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays
from fedstudy_core.carriage import widened_record
from fedstudy_core.errors import Invalid
from fedstudy_core.transport import AS_IS, HALF
from studies.scripts.models import ScriptVersion
from tests.api.world import World
from tests.runs.scene import DECLARATION, Scene, drive
from tests.runs.simulation import ROUNDED, Session, Site, arrays, honest
from tests.runs.test_lineage import finished, forked
from tests.runs.test_poison import page_of, poison, update
from tests.strategies.builders import defaults

pytestmark = pytest.mark.django_db

STEP = (0 * 1 + 1 * 2 + 2 * 3) / 6
THIRD = 1 / 3


def begin_at(*weight: float) -> Any:
    """A script whose first model has these weights."""

    def behave(site: Site, order: Any, content: RecordDict) -> Reply:
        first = order.message_type == "query.initial"
        made = RecordDict({"arrays": arrays(weight=weight)}) if first else honest(site, order, content)
        if order.phase == "train":
            made["metrics"]["step-sum"] = 0.1  # type: ignore[index]
        return Reply("", site.done(order, made), "", True, 100)

    return behave


def use(strategy: Description) -> None:
    ScriptVersion.objects.update(declaration={**DECLARATION, "step_sum": "step-sum"})
    Run.objects.update(strategy=strategy.name, strategy_parameters=defaults(strategy))


def play(rehearse: Any, *weight: float, strategy: str = "fedavg", **wishes: Any) -> tuple[Run, Scene, dict[str, Any]]:
    """A finished run, and the last messages of training by site."""
    scene, link = rehearse(transport=HALF, **wishes)
    use(STRATEGIES[strategy])
    heard: dict[str, Any] = {}
    behave = begin_at(*(weight or (0.0, 0.0)))

    def listen(site: Site, order: Any, content: RecordDict) -> Reply:
        heard[f"{site.node_id} {order.phase} {order.round}"] = (order, content)
        return behave(site, order, content)

    for site in link.sites.values():
        site.behave = listen
    return drive(scene), scene, heard


def model(run: Run, number: int) -> np.ndarray:
    return decode_arrays(model_store().get(Model.objects.get(run=run, round_number=number).sha256))["weight"]


def test_what_travels_is_narrowed_and_what_is_committed_is_not(rehearse: Any) -> None:
    run, _, heard = play(rehearse, THIRD, 2.0, rounds=2)
    assert (run.state, run.reason) == ("completed", "")
    assert [model(run, number).dtype for number in (0, 1, 2)] == [np.float32] * 3
    np.testing.assert_array_equal(model(run, 0), np.array([THIRD, 2.0], np.float32))
    np.testing.assert_allclose(model(run, 2), np.array([THIRD, 2.0]) + 2 * STEP, rtol=2**-10)
    assert {order.transport for order, _ in heard.values() if order.phase != "query"} == {HALF}
    assert {order.transport for order, _ in heard.values() if order.phase == "query"} == {AS_IS}
    order, content = heard["101 train 1"]
    came = content["arrays"]["weight"]
    assert (came.dtype, came.numpy().dtype) == ("float32", np.float16)
    assert order.model_sha256 != Model.objects.get(run=run, round_number=0).sha256
    assert content["shared"]["rows"].numpy().dtype == np.float64


def test_the_rounding_of_both_ways_is_recorded_and_shown(rehearse: Any) -> None:
    run, scene, _ = play(rehearse, THIRD, 2.0, rounds=1)
    trained = Participation.objects.filter(round__run=run, phase="train").first()
    off = abs(float(np.float32(THIRD)) - float(np.float16(THIRD)))
    assert trained.rounding["received"] == ROUNDED.model_dump()
    assert float(trained.rounding["sent"]["absolute"]) == pytest.approx(off, rel=0.01)
    tested = Participation.objects.filter(round__run=run, phase="evaluate").first()
    assert set(tested.rounding) == {"sent"}
    event = Event.objects.filter(action="runs:round:committed").order_by("pk").last()
    assert ROUNDED.absolute in event.detail
    page = page_of(scene)
    assert "in 16 bits (float16)" in page
    assert f"± {ROUNDED.absolute}" in page
    largest = max(trained.rounding["sent"]["absolute"], tested.rounding["sent"]["absolute"], key=float)
    assert f"± {largest}" in page


def test_a_run_as_it_is_records_no_rounding(rehearse: Any) -> None:
    scene, _ = rehearse(rounds=1)
    run = drive(scene)
    assert {str(item.rounding) for item in Participation.objects.filter(round__run=run)} == {"{}"}
    assert "±" not in page_of(scene)


@pytest.mark.parametrize("strategy", ["cyclic", "scaffold", "fedadam"])
def test_strategies_step_from_what_the_sites_saw(rehearse: Any, strategy: str) -> None:
    run, _, heard = play(rehearse, THIRD, 2.0, strategy=strategy, rounds=2, sites=2)
    assert (run.state, run.reason) == ("completed", "")
    assert model(run, 2).dtype == np.float32
    _, content = heard["100 train 2"]
    assert {array.numpy().dtype for name in content.array_records if name != "shared"
            for array in content.array_records[name].values()} == {np.dtype(np.float16)}  # fmt: skip
    if strategy == "cyclic":
        seen = records.arrays_of(widened_record(heard["101 train 1"][1]["arrays"]))["weight"]
        np.testing.assert_array_equal(model(run, 1), (seen + 1).astype(np.float16).astype(np.float32))


def test_a_rounding_is_no_gradient(rehearse: Any) -> None:
    scene, link = rehearse(transport=HALF, rounds=1)
    use(STRATEGIES["fedadam"])
    begin = begin_at(THIRD, 2.0)

    def stay(site: Site, order: Any, content: RecordDict) -> Reply:
        if order.phase != "train":
            return begin(site, order, content)
        same = RecordDict({**honest(site, order, content), "arrays": content["arrays"]})
        return Reply("", site.done(order, same), "", True, 100)

    for site in link.sites.values():
        site.behave = stay
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    np.testing.assert_array_equal(model(run, 1), np.array([THIRD, 2.0], np.float16).astype(np.float32))


def test_a_model_that_16_bits_cannot_hold_ends_the_run_before_it_is_sent(rehearse: Any) -> None:
    run, _, heard = play(rehearse, 1e6, 0.0, rounds=2)
    assert (run.state, run.reason_code) == ("failed", "E_TRANSPORT_RANGE")
    assert "“weight”" in run.reason
    assert not [key for key in heard if "train" in key]


def half(weight: Any) -> RecordDict:
    content = update(weight)
    with np.errstate(over="ignore"):
        narrowed = np.asarray(weight, np.float32).astype(np.float16)
    content["arrays"] = ArrayRecord({"weight": records.array(narrowed)})
    return content


POISON = {
    "floats as they are": (update, "E_UPDATE_DTYPE"),
    "doubles": (lambda: update(dtype="float64"), "E_UPDATE_DTYPE"),
    "whole numbers": (lambda: update(dtype="int64"), "E_UPDATE_DTYPE"),
    "whole numbers of 16 bits": (lambda: update(dtype="int16"), "E_UPDATE_DTYPE"),
    "another byte order": (lambda: update(dtype=">f2"), "E_UPDATE_DTYPE"),
    "infinity": (lambda: half([np.inf, 0]), "E_UPDATE_NOT_FINITE"),
    "what became infinite": (lambda: half([1e6, 0]), "E_UPDATE_NOT_FINITE"),
    "no number": (lambda: half([np.nan, 0]), "E_UPDATE_NOT_FINITE"),
    "another shape": (lambda: half([0.0]), "E_UPDATE_SHAPE"),
}


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_update_is_left_out(rehearse: Any, name: str) -> None:
    make, code = POISON[name]
    scene, link = rehearse(rounds=1, quorum=2, transport=HALF)
    assert poison(scene, link, lambda site, order, _: site.done(order, make())) == code


def test_a_receipt_of_another_transport_is_not_taken(rehearse: Any) -> None:
    scene, link = rehearse(rounds=1, quorum=2, transport=HALF)
    assert poison(scene, link, lambda site, order, good: site.done(order, good, transport=AS_IS)) == "E_RECEIPT"


def weight_of(content: RecordDict) -> int:
    """The bytes of a message as it is really sent."""
    return message_to_proto(Message(content, dst_node_id=1, message_type="train")).ByteSize()


@pytest.mark.parametrize(("transport", "share"), [(HALF, 0.53), (AS_IS, 1.05)])
def test_the_bytes_of_a_round(rehearse: Any, monkeypatch: pytest.MonkeyPatch, transport: str, share: float) -> None:
    scene, link = rehearse(rounds=2, transport=transport)
    first, push = np.random.default_rng(1).normal(size=300_000), Session.push

    def pushed(session: Session, outgoing: Any) -> list[tuple[str, int]]:
        weights = [weight_of(out.content) for out in outgoing]
        sent = push(session, outgoing)
        link.replies = {key: replace(item, size=weight_of(item.content)) for key, item in link.replies.items()}
        return [(message_id, size) for (message_id, _), size in zip(sent, weights, strict=True)]

    monkeypatch.setattr(Session, "push", pushed)
    for site in link.sites.values():
        site.behave = begin_at(*first)
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    moved = run.round_set.get(number=1)
    trip = 2 * len(link.sites) * first.size * 4
    assert share / 1.1 < (moved.bytes_sent + moved.bytes_received) / trip <= share


def test_a_fork_keeps_the_transport_and_may_change_it(rehearse: Any) -> None:
    scene = finished(rehearse, transport=HALF)
    assert forked(scene, 2).transport == HALF
    assert forked(scene, 2, transport=AS_IS).transport == AS_IS


def test_the_transport_is_planned_by_api(world: World) -> None:
    def plan(**more: Any) -> Any:
        body = {"version": str(world.version.pk), "rounds": 3, **more}
        return world.client("pi").post(f"/api/v1/studies/{world.study.pk}/runs", body, format="json")

    assert plan().json()["transport"] == AS_IS
    assert plan(transport=HALF).json()["transport"] == HALF
    refused = plan(transport="bf16")
    assert [(item["field"], item["code"]) for item in refused.json()["errors"]] == [("transport", "E_INVALID")]


def test_a_servers_own_app_sends_its_arrays_as_they_are(world: World) -> None:
    ScriptVersion.objects.filter(pk=world.version.pk).update(declaration={**world.version.declaration, "server": "own"})
    world.version.refresh_from_db()
    with pytest.raises(Invalid, match="own ServerApp sends"):
        create_run(study=world.study, version=world.version, plan=Plan(transport=HALF), by=world.pi)
