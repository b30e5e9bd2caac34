"""A message with two errands: the test of the round before, then training; each has its own gate and answer."""

from flwr.app import RecordDict

from fedstudy_core import errands, flower
from fedstudy_core.receipts import Receipt
from fedstudy_node.flower import Incoming, Outgoing
from tests.factories.office import FAB, Office

TEST = {"phase": "evaluate", "message_type": "evaluate"}


def visit(office: Office, before: flower.Order, main: flower.Order) -> Incoming:
    alone = office.incoming(main)
    model = flower.unwrap_order(alone.content)[1]
    content = errands.join_orders((model, before), (model, main))
    alone.message.content.clear()
    alone.message.content.update(content)
    return Incoming(11, alone.message_id, main.message_type, content, 100, alone.message)


def ask(office: Office, before: flower.Order, main: flower.Order, timeout: float = 30) -> Outgoing:
    answer = office.desk.take(visit(office, before, main))
    return answer if answer is not None else office.wait(timeout)


def read(office: Office, part: RecordDict | str) -> tuple[Receipt, RecordDict | None]:
    if isinstance(part, str):
        return office.verify(flower.parse_error_reason(part).receipt), None
    receipt, content, packed = flower.unwrap_reply(part)
    account = office.verify(receipt)
    assert account.update_sha256 == packed.sha256
    return account, content


def answers(office: Office, reply: Outgoing) -> list[tuple[Receipt, RecordDict | None]]:
    return [read(office, part) for part in errands.split_answers(reply.message.content)]


def test_each_errand_has_its_answer_and_its_receipt(office: Office) -> None:
    approval = office.node.approve(FAB)
    order = office.node.order(approval, round=2)
    reply = ask(office, office.node.order(approval, **TEST), order)
    (tested, test), (trained, training) = answers(office, reply)
    assert (tested.phase, tested.round, tested.outcome, tested.bytes_in) == ("evaluate", 1, "done", 0)
    assert (trained.phase, trained.round, trained.outcome, trained.bytes_in) == ("train", 2, "done", 100)
    assert test is not None
    assert set(test["metrics"]) == {"num-examples", "mean"}
    assert training is not None
    assert training["arrays"]["0"].numpy().tolist() == [1.0] * 14  # type: ignore[index, union-attr]
    kinds = [(left.round, left.message_type, left.outcome) for left in office.ledger.departures()]
    assert sorted(kinds) == [(1, "evaluate", "done"), (2, "train", "done")]


def test_the_gate_looks_at_each_errand(office: Office) -> None:
    """An approval that does not allow tests hinders the test only, and the other way round."""
    approval = office.node.approve(FAB)
    good, bad = office.node.order(approval, round=2), office.node.order(b"not signed")
    (tested, test), (trained, training) = answers(office, ask(office, office.node.order(b"", **TEST), good))
    assert (tested.outcome, test, trained.outcome) == ("refused", None, "done")
    assert training is not None
    (tested, test), (trained, training) = answers(office, ask(office, office.node.order(approval, **TEST), bad))
    assert (tested.outcome, trained.outcome, training) == ("done", "refused", None)


def test_a_failure_of_the_second_leaves_the_first(office: Office) -> None:
    office.open(mode="raise")
    approval = office.node.approve(FAB)
    reply = ask(office, office.node.order(approval, **TEST), office.node.order(approval, round=2))
    (tested, _), (trained, _) = answers(office, reply)
    assert (tested.outcome, tested.code) == ("done", None)
    assert (trained.outcome, trained.code) == ("failed", "E_SCRIPT")


def test_a_script_that_hangs_in_the_second_loses_its_process(office: Office) -> None:
    office.open(mode="hang")
    approval = office.node.approve(FAB, wall_s=6)
    reply = ask(office, office.node.order(approval, **TEST), office.node.order(approval, round=2))
    (tested, _), (trained, _) = answers(office, reply)
    assert (tested.outcome, trained.code) == ("done", "E_WALL_CLOCK")


def test_the_same_message_again_is_answered_from_memory(office: Office) -> None:
    approval = office.node.approve(FAB)
    test, train = office.node.order(approval, **TEST), office.node.order(approval, round=2)
    _, (_, first) = answers(office, ask(office, test, train))
    again = office.desk.take(visit(office, test, train))
    assert again is not None
    _, (_, second) = answers(office, again)
    assert first is not None
    assert second is not None
    assert dict(first) == dict(second)


def test_another_message_waits_for_both(office: Office) -> None:
    approval = office.node.approve(FAB)
    assert office.desk.take(visit(office, office.node.order(approval, **TEST), office.node.order(approval))) is None
    assert office.desk.take(office.incoming(office.node.order(approval, round=3))) is None
    assert len(answers(office, office.wait())) == 2
    account, _ = office.read(office.wait())
    assert account.round == 3
