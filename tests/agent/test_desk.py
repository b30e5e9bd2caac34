"""From message to reply, with a real script process and without a SuperLink."""

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, RecordDict

from fedstudy_core import bundle as bundles
from fedstudy_core import flower
from fedstudy_core.artifacts import encode_arrays
from fedstudy_core.canonical import digest
from fedstudy_core.codes import CODES
from fedstudy_node.errors import Unreachable
from fedstudy_node.flower import Incoming, Outgoing
from fedstudy_node.home import RESERVE
from tests.factories.agent import script
from tests.factories.office import FAB, Office


def test_a_round_is_answered_with_a_receipt_that_names_everything(office: Office) -> None:
    approval = office.node.approve(FAB)
    weights = np.zeros(14, dtype=np.float32)
    order = office.node.order(approval, model_sha256=digest(encode_arrays({"0": weights})))
    account, content = office.read(office.ask(order))
    assert content["arrays"]["0"].numpy().tolist() == [1.0] * 14  # type: ignore[index, union-attr]
    assert (account.outcome, account.phase, account.round, account.examples) == ("done", "train", 1, 3)
    assert account.model_sha256 == order.model_sha256
    assert account.script_sha256 == bundles.inspect(FAB).sha256
    assert account.dataset is not None
    assert account.dataset.fingerprint == office.node.dataset.fingerprint
    left = office.ledger.departures()[0]
    assert (left.update_sha256, left.numbers) == (account.update_sha256, 14 + 2)
    assert json.loads(left.contents) == {
        "arrays": {"arrays": {"0": "float32[14]"}},
        "metrics": {"num-examples": 1, "calls": 1},
    }


def test_one_process_serves_a_run_and_keeps_its_state(office: Office) -> None:
    approval = office.node.approve(FAB)
    counts = []
    for number in (1, 2, 3):
        _, content = office.read(office.ask(office.node.order(approval, round=number)))
        counts.append(content["metrics"]["calls"])  # type: ignore[index]
    assert counts == [1, 2, 3]
    assert office.source.asked == 1


def test_a_new_process_goes_on_with_the_kept_state(office: Office) -> None:
    approval = office.node.approve(FAB)
    office.ask(office.node.order(approval, round=1))
    for run in office.runs:
        office.runs.stop_child(run)
    _, content = office.read(office.ask(office.node.order(approval, round=2)))
    assert content["metrics"]["calls"] == 2  # type: ignore[index]


def test_the_same_message_again_is_answered_without_training(office: Office) -> None:
    order = office.node.order(office.node.approve(FAB))
    first = office.read(office.ask(order))
    again = office.read(office.ask(order))
    assert again[0].update_sha256 == first[0].update_sha256
    assert again[0].sequence > first[0].sequence
    other = RecordDict({"arrays": ArrayRecord({"0": flower.array(np.ones(14, dtype=np.float32))})})
    assert office.read(office.ask(order, other))[1]["metrics"]["calls"] == 2  # type: ignore[index]


def test_a_full_disk_is_a_refusal_until_there_is_room(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    order = office.node.order(office.node.approve(FAB))
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=RESERVE - 1))
        code, account = office.error(office.ask(order))
    assert (code, account.outcome) == ("E_DISK_FULL", "refused")
    assert office.read(office.ask(order))[0].outcome == "done"


def test_a_message_that_comes_while_the_script_works_waits_for_it(office: Office) -> None:
    order = office.node.order(office.node.approve(FAB))
    assert office.desk.take(office.incoming(order)) is None
    assert office.desk.take(office.incoming(order)) is None
    answers: list[Outgoing] = []
    until = time.monotonic() + 20
    while len(answers) < 2 and time.monotonic() < until:
        for run in office.runs:
            answers += office.desk.hear(run)
        time.sleep(0.01)
    calls = [office.read(answer)[1]["metrics"]["calls"] for answer in answers]  # type: ignore[index]
    assert calls == [1, 1]


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("raise", "E_SCRIPT"),
        ("exit", "E_CHILD"),
        ("nan", "E_UPDATE_NOT_FINITE"),
        ("config", "E_OUTPUT_SCHEMA"),
        ("memory", "E_MEMORY"),
    ],
)
def test_a_script_that_goes_wrong_is_a_failure_with_a_code(office: Office, mode: str, code: str) -> None:
    office.open(mode=mode)
    answer = office.ask(office.node.order(office.node.approve(FAB, memory_mb=2000)))
    found, account = office.error(answer)
    assert (found, account.outcome) == (code, "failed")
    assert "Jane" not in str(answer.message.error.reason)
    assert office.ledger.departures()[0].bytes_out == 0


@pytest.mark.parametrize(
    "header",
    ['{"kind":"reply","id":Infinity,"seconds":1}', '{"kind":"reply","id":1,"seconds":1%s}' % ("0" * 400)],
    ids=["call", "seconds"],
)
def test_numbers_beyond_all_numbers_on_the_pipe_end_the_script_only(office: Office, header: str) -> None:
    speak = f"""header = {header.encode()!r}
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, len(header).to_bytes(4, "big") + bytes(8) + header)
            except OSError:
                pass
        time.sleep(600)"""
    hostile = script(**{"time.sleep(600)": speak})
    office.open(hostile, mode="hang")
    assert office.error(office.ask(office.node.order(office.node.approve(hostile))))[0] == "E_CHILD"


def test_an_answer_that_is_not_taken_for_its_size_becomes_a_failure_with_a_receipt(office: Office) -> None:
    order = office.node.order(office.node.approve(FAB))
    reply = office.ask(order)
    done, _ = office.read(reply)
    code, account = office.error(office.desk.take_back(reply))
    assert (code, account.outcome, account.code) == ("E_TOO_LARGE", "failed", "E_TOO_LARGE")
    assert (account.run, account.round, account.phase, account.approval) == (
        done.run, done.round, done.phase, done.approval
    )  # fmt: skip
    assert (account.update_sha256, account.examples, account.bytes_out) == (None, None, 0)
    assert account.sequence > done.sequence
    left = office.ledger.departures()[0]
    assert (left.outcome, left.code, left.message_type) == ("failed", "E_TOO_LARGE", order.message_type)


def test_after_a_failure_the_next_round_runs(office: Office) -> None:
    chosen = 'mode = "exit" if message.content["arrays"]["0"].numpy().sum() else "good"'
    broken = script(**{'mode = context.run_config["mode"]': chosen})
    office.open(broken)
    approval = office.node.approve(broken)
    ones = RecordDict({"arrays": ArrayRecord({"0": flower.array(np.ones(14, dtype=np.float32))})})
    assert office.error(office.ask(office.node.order(approval), ones))[0] == "E_CHILD"
    assert office.read(office.ask(office.node.order(approval)))[0].outcome == "done"


def test_a_script_that_works_too_long_is_ended(office: Office) -> None:
    office.open(mode="hang")
    assert office.desk.take(office.incoming(office.node.order(office.node.approve(FAB, wall_s=2)))) is None
    pid = next(run.child.pid for run in office.runs if run.child is not None)
    code, account = office.error(office.wait())
    assert (code, account.outcome) == ("E_WALL_CLOCK", "failed")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_reply_larger_than_approved_does_not_leave(office: Office) -> None:
    answer = office.ask(office.node.order(office.node.approve(FAB, max_bytes=100)))
    assert office.error(answer)[0] == "E_OUTPUT_SIZE"


def test_an_update_too_far_from_the_model_does_not_leave_and_no_word_about_it_either(office: Office) -> None:
    """The norm itself would be a number that the script chose."""
    answer = office.ask(office.node.order(office.node.approve(FAB, max_norm=3)))
    assert office.error(answer)[0] == "E_UPDATE_NORM"
    assert flower.parse_error_reason(str(answer.message.error.reason)).detail == CODES["E_UPDATE_NORM"]
    assert office.ledger.departures()[0].numbers == 0


def test_a_reply_kept_under_one_approval_does_not_answer_under_another(office: Office) -> None:
    first = office.read(office.ask(office.node.order(office.node.approve(FAB))))
    other = office.read(office.ask(office.node.order(office.node.approve(FAB))))
    assert first[0].approval != other[0].approval
    assert office.source.asked == 1
    assert len({item.approval for item in office.ledger.departures()}) == 2


def test_a_reply_behind_which_too_few_rows_stand_does_not_leave(office: Office) -> None:
    hides = script(**{'"num-examples": len(open_table(context))': '"num-examples": 1'})
    office.open(hides)
    answer = office.ask(office.node.order(office.node.approve(hides, min_rows=2)))
    assert office.error(answer)[0] == "E_MIN_ROWS"


def test_an_app_that_cannot_be_imported_is_a_failure(office: Office) -> None:
    broken = script(**{"app = ClientApp()": "import nothing_of_that_name"})
    office.open(broken)
    assert office.error(office.ask(office.node.order(office.node.approve(broken))))[0] == "E_SCRIPT"


def test_a_script_sees_no_secret_and_its_prints_stay_here(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSTUDY_SECRET_KEY", "s3cret")
    monkeypatch.setenv("SOME_TOKEN", "s3cret")
    order = office.node.order(office.node.approve(FAB), round=0, phase="query", message_type="query.environment")
    _, content = office.read(office.ask(order, RecordDict()))
    facts = dict(content["metrics"])
    assert facts["secrets"] == 0
    assert facts["threads"] == 1
    assert facts["pid"] != os.getpid()
    [log] = (office.node.home.path / "logs").glob("run-*.log")
    until = time.monotonic() + 10
    while "a print of the script" not in log.read_text():
        assert time.monotonic() < until, "the print did not come"
        time.sleep(0.01)
    assert log.stat().st_mode & 0o077 == 0


def test_another_model_than_the_message_names_is_refused(office: Office) -> None:
    order = office.node.order(office.node.approve(FAB), model_sha256="0" * 64)
    assert office.error(office.ask(order))[0] == "E_ORDER"


def test_an_error_that_nobody_foresaw_is_answered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("patient Jane Doe")

    monkeypatch.setattr(office.runs, "start_child", fail)
    answer = office.ask(office.node.order(office.node.approve(FAB)))
    code, account = office.error(answer)
    assert (code, account.outcome) == ("E_AGENT", "failed")
    assert "Jane" not in str(answer.message.error.reason)


def test_an_error_that_nobody_foresaw_in_an_answer_is_a_failure(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedstudy_node.desk.read_reply", lambda *_, **__: 1 // 0)
    order = office.node.order(office.node.approve(FAB))
    assert office.desk.take(office.incoming(order)) is None
    assert office.desk.take(office.incoming(office.node.order(order.approval, round=2))) is None
    assert [office.error(office.wait())[0] for _ in range(2)] == ["E_AGENT", "E_AGENT"]


def test_an_answer_is_not_lost_with_the_connection(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next message cannot be taken because the SuperLink is away: the answer before it stays, and so does it."""
    approval = office.node.approve(FAB)
    assert office.desk.take(office.incoming(office.node.order(approval))) is None
    assert office.desk.take(office.incoming(office.node.order(approval, round=2))) is None
    get, answers = office.runs.get, []

    def away(run_id: int) -> Any:
        raise Unreachable("away")

    monkeypatch.setattr(office.runs, "get", away)
    [run] = office.runs
    until = time.monotonic() + 30
    with pytest.raises(Unreachable):
        while time.monotonic() < until:
            for answer in office.desk.hear(run):
                answers.append(answer)
    assert [office.read(answer)[0].round for answer in answers] == [1]
    monkeypatch.setattr(office.runs, "get", get)
    answers += [office.wait()] if not list(office.desk.hear(run)) else []
    assert [office.read(answer)[0].round for answer in answers] == [1, 2]


def test_a_message_without_an_order_is_refused_and_starts_nothing(office: Office) -> None:
    incoming = office.incoming(office.node.order(b""))
    bare = Incoming(11, incoming.message_id, "train", RecordDict(), 0, incoming.message)
    answer = office.desk.take(bare)
    assert answer is not None
    assert office.error(answer)[0] == "E_ORDER"
    assert [run.child for run in office.runs] == [None]


@pytest.mark.parametrize(
    "changed",
    [{"study": "\x00"}, {"run": "../../etc"}, {"round": -1}, {"round": 2**60}, {"phase": "\u202e"}, {"study": ""}],
)
def test_an_order_that_cannot_be_written_down_is_refused_all_the_same(office: Office, changed: dict[str, Any]) -> None:
    code, account = office.error(office.ask(office.node.order(office.node.approve(FAB), **changed)))
    assert code in ("E_ORDER", "E_OUTPUT_SCHEMA")
    assert (account.run, account.round) == ("", 0)


def test_the_paths_of_the_site_are_in_no_refusal(office: Office) -> None:
    Path(office.node.dataset.path).unlink()
    answer = office.ask(office.node.order(office.node.approve(FAB)))
    assert office.error(answer)[0] == "E_DATASET_FILE"
    assert "data.csv" not in str(answer.message.error.reason)


def test_nothing_of_a_run_is_left_when_it_ends(office: Office) -> None:
    office.ask(office.node.order(office.node.approve(FAB)))
    [folder] = office.node.home.work_path.iterdir()
    assert not any(path.stat().st_mode & 0o222 for path in (folder / "app").rglob("*.py"))
    office.runs.end_all()
    assert list(office.node.home.work_path.iterdir()) == []
    assert len(office.runs) == 0


def test_under_another_approval_the_script_starts_anew_and_has_forgotten_what_it_kept(office: Office) -> None:
    counts = []
    for number in (1, 2):
        order = office.node.order(office.node.approve(FAB), round=number)
        _, content = office.read(office.ask(order))
        counts.append(content["metrics"]["calls"])  # type: ignore[index]
    assert counts == [1, 1]
