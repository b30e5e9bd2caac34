"""The round engine against simulated sites: what is committed, who is dropped, and how a run ends."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flwr.app import RecordDict

from audit.models import Event
from federation.runs import engine, exchange, journal
from federation.runs.exchange import Exchange
from federation.runs.flower import Reply, SuperLinkError
from federation.runs.lease import Fenced, claim
from federation.runs.models import Attempt, Model, Participation, Round, Run
from federation.runs.phases import Phase
from federation.runs.selectors import abandoned_runs, rounds_of, run_summary
from federation.runs.storage import model_store, update_store
from fedstudy_core.artifacts import decode_arrays
from fedstudy_core.keys import generate
from tests.runs.scene import drive, settle
from tests.runs.simulation import Site, honest

pytestmark = pytest.mark.django_db


def weights(run: Run, number: int) -> list[float]:
    model = Model.objects.get(run=run, round_number=number)
    return decode_arrays(model_store().get(model.sha256))["weight"].tolist()


def test_a_run_is_prepared_driven_and_completed(rehearse) -> None:
    scene, link = rehearse(rounds=3)
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    assert list(run.round_set.values_list("number", "state")) == [(n, "committed") for n in range(4)]
    assert [site.asked[0] for site in link.sites.values()] == [(0, "query.moments")] * 3
    assert sum((0, "query.initial") in site.asked for site in link.sites.values()) == 1
    assert weights(run, 0) == [0.0, 0.0]
    step = (0 * 1 + 1 * 2 + 2 * 3) / 6
    np.testing.assert_allclose(weights(run, 3), [3 * step] * 2, rtol=1e-6)
    last = run.round_set.get(number=3)
    assert last.metrics["evaluate"] == {"num-examples": 6, "loss": 0.25, "bins": [3, 3]}
    assert last.model_in == run.round_set.get(number=2).model_out
    assert (last.bytes_sent, last.bytes_received) == (300, 600)


@pytest.mark.parametrize("sites", [2, 5])
def test_a_round_takes_few_statements_however_many_sites_there_are(rehearse, monkeypatch, sites: int) -> None:
    scene, _ = rehearse(rounds=6, sites=sites)
    # In a round that takes longer the engine looks again, once for each half second, whether it is to go on.
    monkeypatch.setattr(engine, "LOOK_AT_RUN_S", float("inf"))
    monkeypatch.setattr(exchange, "LOOK_FOR_NODES_S", float("inf"))
    with CaptureQueriesContext(connection) as captured:
        drive(scene)
    sent = [query["sql"] for query in captured.captured_queries]
    commits = [at for at, sql in enumerate(sent) if sql.startswith('INSERT INTO "runs_model"')]
    rounds = [sent[begin:end] for begin, end in pairwise(commits[1:-1])]
    work = [[sql for sql in sqls if not sql.startswith(("SAVEPOINT", "RELEASE"))] for sqls in rounds]
    assert {len(sqls) for sqls in work} == {21}, work[0]
    assert {sum(sql.startswith("SAVEPOINT") for sql in sqls) for sqls in rounds} == {4}, "transactions"


def test_the_sites_sums_go_back_to_them_exactly(rehearse) -> None:
    scene, link = rehearse(rounds=1)
    seen = []

    def remember(site: Site, order, content: RecordDict):
        if order.phase == "train":
            seen.append(content["shared"]["rows"].numpy().tolist())
        return _honest_reply(site, order, content)

    link.sites["100"].behave = remember
    drive(scene)
    assert seen == [[6.0]]


def _honest_reply(site: Site, order, content: RecordDict):
    return Reply("", site.done(order, honest(site, order, content)), "", True, 100)


def test_each_commit_and_each_refusal_is_in_the_audit_log(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    link.sites["102"].behave = lambda site, order, _: site.refuse(order, "E_BUNDLE")
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "sums", 0)["Site 2"] == ("refused", "E_BUNDLE")
    assert settle(run, "train", 1)["Site 2"] == ("refused", "E_BUNDLE")
    actions = list(Event.objects.filter(object_id=str(run.pk)).order_by("id").values_list("action", flat=True))
    assert actions[:2] == ["runs:run:began", "runs:attempt:announced"]
    assert actions.count("runs:site:refused") == 3
    assert actions.count("runs:round:committed") == 2
    assert actions[-1] == "runs:run:completed"
    begun = [json.loads(event.detail) for event in Event.objects.filter(action="runs:round:opened").order_by("pk")]
    sites = [item.enrolment.site.name for item in run.participants.order_by("position")]
    assert [(row["round"], row["sites"]) for row in begun] == [(0, sites), (1, sites)]
    assert {len(row["configuration"]) for row in begun} == {64}
    told = json.loads(Event.objects.filter(action="runs:round:committed").latest("pk").detail)["sites"]
    bound = {row["site"]: row["receipt"] for row in told if row["phase"] == "train"}
    kept = Participation.objects.filter(round__run=run, phase="train")
    assert bound == {str(item.participant.enrolment.site): sha256(bytes(item.receipt)).hexdigest() for item in kept}
    assert {row["update"] for row in told if row["phase"] == "train" and row["state"] == "done"} == {
        item.content_sha256 for item in kept if item.state == "done"
    }


def test_sites_are_told_which_test_is_the_last(rehearse) -> None:
    scene, link = rehearse(rounds=3)
    told: list[tuple[int, object]] = []

    def note(site: Site, order, content: RecordDict):
        if order.phase == "evaluate":
            told.append((order.round, content["config"]["last-test"]))
        return _honest_reply(site, order, content)

    link.sites["100"].behave = note
    assert drive(scene).state == "completed"
    assert sorted(told) == [(1, False), (2, False), (3, True)]


def test_a_run_whose_sites_all_refuse_fails_and_names_them(rehearse) -> None:
    scene, link = rehearse()
    for site in link.sites.values():
        site.behave = lambda site, order, _: site.refuse(order, "E_SIG")
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM_LOST")
    assert all(f"Site {number} refused (E_SIG)" in run.reason for number in range(3))
    assert settle(run, "sums", 0) == {f"Site {number}": ("refused", "E_SIG") for number in range(3)}
    assert link.runs["1"] == "pending", "the Flower run is ended by the retire task, not by the failing driver"


def test_a_silent_site_is_dropped_at_the_deadline_and_welcome_again(rehearse) -> None:
    scene, link = rehearse(rounds=3, quorum=2, deadline_s=60)
    silent = link.sites["101"]

    def sulk(site: Site, order, content: RecordDict):
        if (order.round, order.phase) == (1, "train"):
            Round.objects.filter(run=scene.run, number=1).update(deadline_at=timezone.now() + timedelta(seconds=0.1))
            return None
        return _honest_reply(site, order, content)

    silent.behave = sulk
    node = scene.nodes[1]

    def come_back() -> None:
        if Round.objects.filter(run=scene.run, number=2).exists():
            scene.heard_of(node)

    link.on_push = come_back
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_DEADLINE")
    assert settle(run, "evaluate", 1)["Site 1"] == ("missing", "E_OFFLINE"), "one deadline, not one a phase"
    assert settle(run, "train", 3)["Site 1"] == ("done", "")


def test_a_site_that_is_not_there_at_the_start_is_waited_for_then_left_out(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=2, wait_s=3600)
    scene.nodes[0].last_seen_at = None
    scene.nodes[0].save()
    assert engine.drive(scene.run.pk, budget_s=0.1) == engine.WAITING_PAUSE_S
    assert scene.reload().state == "waiting"
    Run.objects.filter(pk=scene.run.pk).update(admitted_at=timezone.now() - timedelta(hours=2))
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 0"] == ("missing", "E_OFFLINE")


def test_a_run_without_its_quorum_ends_when_the_wait_is_over(rehearse) -> None:
    scene, link = rehearse(quorum=3, wait_s=0)
    scene.nodes[0].last_seen_at = None
    scene.nodes[0].save()
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM")
    assert "Site 0 (E_OFFLINE)" in run.reason
    assert not link.runs, "nothing was announced"


def test_an_answer_without_the_nodes_own_receipt_does_not_count(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)

    def forge(site: Site, order, content: RecordDict):
        impostor = Site(site.node_id, generate())
        return Reply("", impostor.done(order, honest(site, order, content)), "", True, 100)

    link.sites["100"].behave = forge
    run = drive(scene)
    assert settle(run, "train", 1)["Site 0"] == ("failed", "E_RECEIPT")
    assert settle(run, "train", 1)["Site 1"] == ("done", "")


def test_a_receipt_for_another_round_does_not_count(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)

    def replay(site: Site, order, content: RecordDict):
        return Reply("", site.done(order, honest(site, order, content), round=7), "", True, 100)

    link.sites["100"].behave = replay
    assert settle(drive(scene), "train", 1)["Site 0"] == ("failed", "E_RECEIPT")


def test_another_worker_goes_on_where_one_stopped(rehearse) -> None:
    scene, link = rehearse(rounds=3)
    while scene.reload().round_set.filter(number=2).count() == 0:
        engine.drive(scene.run.pk, budget_s=0.0)
    committed = set(Model.objects.filter(run=scene.run).values_list("round_number", "sha256"))
    run = drive(scene)
    assert run.state == "completed"
    assert committed <= set(Model.objects.filter(run=run).values_list("round_number", "sha256"))
    assert run.attempts.count() == 1
    trained = [entry for entry in link.sites["100"].asked if entry[1] == "train"]
    assert trained == [(1, "train"), (2, "train"), (3, "train")], "no site trained a round twice"


def test_a_lost_attempt_is_followed_by_another_from_the_last_committed_round(rehearse) -> None:
    scene, link = rehearse(rounds=3)
    while not scene.reload().round_set.filter(number=1, state="committed").exists():
        engine.drive(scene.run.pk, budget_s=0.0)
    link.tokens.clear()
    link.replies.clear()
    run = drive(scene)
    assert run.state == "completed"
    assert list(run.attempts.values_list("number", "state")) == [(1, "lost"), (2, "ended")]
    assert list(run.round_set.values_list("number", flat=True)) == [0, 1, 2, 3]
    np.testing.assert_allclose(weights(run, 3), [4.0] * 2, rtol=1e-6)


def test_two_workers_never_hold_one_run(rehearse) -> None:
    scene, _ = rehearse()
    first = claim(scene.run.pk)
    assert first is not None
    assert claim(scene.run.pk) is None
    assert engine.drive(scene.run.pk) is None
    Run.objects.filter(pk=scene.run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    second = claim(scene.run.pk)
    assert second is not None
    assert second.epoch == first.epoch + 1
    with pytest.raises(Fenced), transaction.atomic():
        first.hold()


def test_answers_that_a_worker_took_in_and_lost_are_asked_for_again(rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, link = rehearse(rounds=2, deadline_s=3600)
    note_answers = journal.note_answers

    def die(lease, answers) -> None:
        if answers[0][0].round.number == 1:
            raise MemoryError("the worker is killed")
        note_answers(lease, answers)

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(journal, "note_answers", die)
        patched.setattr(engine.Engine, "work", _work_without_a_net)
        drive(scene)
    run = drive(scene)
    assert run.state == "completed"
    assert {item.state for item in Participation.objects.filter(round__run=run, round__number=1)} == {"done"}
    assert link.sites["100"].asked.count((1, "train")) == 2


@pytest.mark.parametrize("last_owner", ["a worker that died", ""])
def test_time_without_a_worker_does_not_count_towards_a_deadline(
    rehearse, last_owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, _ = rehearse(rounds=1, deadline_s=60)
    exchange = Exchange.send_and_collect

    def prepare_only(self: Exchange, round_: Round, phase: Phase) -> bool:
        return round_.number == 0 and exchange(self, round_, phase)

    with monkeypatch.context() as patched:
        patched.setattr(Exchange, "send_and_collect", prepare_only)
        while not scene.reload().round_set.filter(number=1, state="open").exists():
            engine.drive(scene.run.pk, budget_s=0.0)
    ago = timezone.now() - timedelta(hours=1)
    Run.objects.filter(pk=scene.run.pk).update(lease_owner=last_owner, lease_until=ago)
    open_rounds = scene.run.round_set.filter(state="open")
    assert open_rounds.update(phase_started_at=ago, deadline_at=ago + timedelta(seconds=60)) == 1
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")


def test_time_without_the_superlink_does_not_count_towards_a_deadline(
    rehearse, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, link = rehearse(rounds=1)
    while not scene.reload().round_set.filter(number=1, state="open").exists():
        engine.drive(scene.run.pk, budget_s=0.0)
    before = scene.run.round_set.get(state="open").deadline_at

    def away(*_: object) -> None:
        raise SuperLinkError("E_SUPERLINK", "It is away.")

    with monkeypatch.context() as patched:
        patched.setattr(link, "drive", away)
        engine.drive(scene.run.pk, budget_s=0.0)
    moved = scene.run.round_set.get(state="open").deadline_at - before
    assert moved >= timedelta(seconds=engine.SUPERLINK_PAUSE_S)
    assert drive(scene).state == "completed"


def _work_without_a_net(self: engine.Engine, until: float) -> None:
    while self.step() is not None:
        pass


def test_a_worker_that_ends_in_order_asks_nobody_twice(rehearse) -> None:
    scene, link = rehearse(rounds=2)
    while engine.drive(scene.run.pk, budget_s=0.0) is not None:
        pass
    assert all(site.asked.count((1, "train")) == 1 for site in link.sites.values())


def test_the_sites_updates_are_gone_once_the_round_is_committed(rehearse) -> None:
    scene, _ = rehearse(rounds=1)
    run = drive(scene)
    digests = (
        Participation.objects.filter(round__run=run).exclude(content_sha256="").values_list("content_sha256", flat=True)
    )
    assert len(digests) == 10
    assert not any(update_store(run).exists(digest) for digest in digests)


def test_a_finished_run_leaves_no_token(rehearse) -> None:
    scene, link = rehearse(rounds=1)
    drive(scene)
    attempt = Attempt.objects.get(run=scene.run)
    assert (attempt.state, attempt.token) == ("ended", "")
    assert link.runs[attempt.flower_run_id] == "finished:completed"


def test_an_error_in_the_engine_itself_ends_the_run(rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = rehearse(rounds=1)
    monkeypatch.setattr(engine.Aggregator, "combine", lambda *_: 1 / 0)
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_ENGINE")
    assert run.reason


def test_an_error_of_the_database_leaves_the_run_to_the_reconciler(rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = rehearse(rounds=1)

    def away(*_: object) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(engine.Aggregator, "combine", away)
    with pytest.raises(OperationalError):
        drive(scene)
    monkeypatch.undo()
    assert scene.reload().state == "running"
    assert abandoned_runs() == [scene.run.pk]


def test_a_site_shows_the_rows_that_it_trained_on_from_the_first_round(rehearse) -> None:
    scene, _ = rehearse(rounds=1)
    run = drive(scene)
    results = run_summary(run, rounds_of(run)).sites
    assert {result.site: result.examples for result in results} == {"Site 0": 1, "Site 1": 2, "Site 2": 3}
