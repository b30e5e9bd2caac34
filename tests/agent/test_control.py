"""Pause and veto: kept in a file, heeded by the desk and the warden, whoever else is slow."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fedstudy_core.errors import FedStudyError
from fedstudy_node.approvals import Approvals
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.flower import Outgoing
from fedstudy_node.home import Home
from fedstudy_node.trust import Trust
from fedstudy_node.warden import Warden
from tests.factories.agent import PASSPHRASE, RUN, make_node
from tests.factories.office import FAB, Office


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_node(tmp_path).home


def wait_for(condition: Callable[[], object], timeout: float = 10) -> None:
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "this did not come true in time"
        time.sleep(0.01)


def code_of(control: Control, run: str = RUN) -> str:
    obstacle = control.obstacle(run)
    return obstacle.code if obstacle else ""


def test_a_pause_and_a_veto_outlive_the_process(home: Home) -> None:
    Control(home).pause("maintenance of the database")
    Control(home).veto(RUN, "")
    control = Control(home)
    assert code_of(control) == "E_PAUSED"
    assert "maintenance of the database" in str(control.obstacle(RUN))
    Control(home).resume()
    assert (code_of(control), code_of(control, "another")) == ("E_VETO", "")
    for again in (lambda: control.veto(RUN, ""), control.resume):
        with pytest.raises(FedStudyError, match="E_STATE"):
            again()
    assert (home.path / "control.json").stat().st_mode & 0o077 == 0


def test_two_changes_within_a_clock_tick_are_both_seen(home: Home) -> None:
    reader, writer = Control(home), Control(home)
    for _ in range(50):
        writer.pause("")
        assert code_of(reader) == "E_PAUSED"
        writer.resume()
        assert code_of(reader) == ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"paused": 1, "vetoes": {}}', '{"paused": null}'])
def test_a_file_that_cannot_be_read_counts_as_a_pause(home: Home, content: str) -> None:
    (home.path / "control.json").write_text(content)
    assert code_of(Control(home)) == "E_PAUSED"


@pytest.mark.parametrize("reason", ["two\nlines", "x" * 301, "\u202eturned"])
def test_a_reason_is_one_plain_line(home: Home, reason: str) -> None:
    for act in (Control(home).pause, lambda text: Control(home).veto(RUN, text)):
        with pytest.raises(FedStudyError, match="E_INVALID"):
            act(reason)
    assert code_of(Control(home)) == ""


def test_the_portals_word_ends_the_work_until_it_takes_it_back(home: Home) -> None:
    control = Control(home)
    control.exclude("This node was revoked.")
    assert code_of(control) == "E_NODE"
    control.admit()
    assert code_of(control) == ""


def test_a_paused_node_answers_with_a_signed_refusal_and_starts_nothing(office: Office) -> None:
    control = Control(office.node.home)
    order = office.node.order(office.node.approve(FAB))
    control.pause("audit")
    code, account = office.error(office.ask(order))
    assert (code, account.outcome) == ("E_PAUSED", "refused")
    assert [run.child for run in office.runs] == [None]
    control.resume()
    assert office.read(office.ask(order))[0].outcome == "done"


def test_an_answer_that_was_given_before_is_not_given_again_while_paused(office: Office) -> None:
    order = office.node.order(office.node.approve(FAB))
    office.read(office.ask(order))
    Control(office.node.home).pause("")
    assert office.error(office.ask(order))[0] == "E_PAUSED"


def test_a_veto_is_of_one_run(office: Office) -> None:
    approval = office.node.approve(FAB)
    Control(office.node.home).veto(RUN, "")
    assert office.error(office.ask(office.node.order(approval)))[0] == "E_VETO"
    other = RUN.replace("2", "3")
    assert office.read(office.ask(office.node.order(approval, run=other)))[0].outcome == "done"


def hang(office: Office) -> int:
    """Have the script work for ever; returns its process."""
    office.open(mode="hang")
    assert office.desk.take(office.incoming(office.node.order(office.node.approve(FAB)))) is None
    return next(run.child.pid for run in office.runs if run.child is not None)


def is_over(pid: int) -> bool:
    """Whether a process works no more; it may wait to be taken in by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("act", "code"), [("pause", "E_PAUSED"), ("veto", "E_VETO")])
def test_a_script_that_works_is_ended_and_its_message_refused(office: Office, act: str, code: str) -> None:
    pid = hang(office)
    waiting = office.incoming(office.node.order(office.node.approve(FAB), round=2))
    assert office.desk.take(waiting) is None
    control = Control(office.node.home)
    control.pause("") if act == "pause" else control.veto(RUN, "")
    answers = list(office.desk.stop_halted())
    assert [office.error(answer)[0] for answer in answers] == [code, code]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(office.desk.stop_halted()) == []


def test_the_warden_ends_scripts_while_the_main_loop_is_held_up(office: Office) -> None:
    pid = hang(office)
    stop, changes = threading.Event(), []
    control = Control(office.node.home)
    approvals = Approvals(office.node.home)
    warden = Warden(
        control,
        office.runs,
        approvals,
        Datasets(office.node.home),
        stop=stop,
        changed=lambda: changes.append(time.monotonic()),
    )
    warden.start()
    try:
        Control(office.node.home).pause("")
        begun = time.monotonic()
        wait_for(lambda: is_over(pid))
        assert time.monotonic() - begun < 5
        answer: Outgoing = office.wait()
        assert office.error(answer)[0] == "E_PAUSED", "not E_CHILD: it was the site's own doing"
        assert changes
    finally:
        stop.set()
        warden.join(timeout=5)
    assert not warden.is_alive()


@pytest.mark.parametrize("everything", [False, True], ids=["one", "all"])
def test_a_script_whose_approval_is_taken_back_is_ended(office: Office, everything: bool) -> None:
    pid = hang(office)
    approvals = Approvals(office.node.home)
    if everything:
        approvals.revoke_all()
    else:
        approvals.revoke(next(run.permit.approval for run in office.runs if run.permit is not None), "")
    end_halted(office, approvals)
    wait_for(lambda: is_over(pid))
    assert office.error(office.wait())[0] == ("E_REVOKED_EPOCH" if everything else "E_REVOKED")


def test_a_script_whose_dataset_is_offered_no_more_is_ended(office: Office) -> None:
    pid = hang(office)
    Datasets(office.node.home).remove(office.node.dataset)
    end_halted(office, Approvals(office.node.home))
    wait_for(lambda: is_over(pid))
    assert office.error(office.wait())[0] == "E_DATASET"


def end_halted(office: Office, approvals: Approvals) -> None:
    """Have a warden look once."""
    control, datasets = Control(office.node.home), Datasets(office.node.home)
    Warden(control, office.runs, approvals, datasets, stop=threading.Event(), changed=lambda: None).end_halted()


def test_work_under_an_approval_that_was_taken_back_is_answered_at_once(office: Office) -> None:
    hang(office)
    Approvals(office.node.home).revoke_all()
    assert [office.error(answer)[0] for answer in office.desk.stop_halted()] == ["E_REVOKED_EPOCH"]


@pytest.mark.parametrize(("act", "code"), [("trust", "E_NO_TRUSTED_SIGNATURE"), ("file", "E_DATASET")])
def test_what_was_made_before_the_ground_was_lost_does_not_leave(office: Office, act: str, code: str) -> None:
    assert office.desk.take(office.incoming(office.node.order(office.node.approve(FAB)))) is None
    if act == "trust":
        trust = Trust(office.node.home)
        first = trust.all()[0]
        trust.add_console_key(name="Another", role="site admin", passphrase=PASSPHRASE)
        trust.remove(first)
    else:
        file = Path(office.node.dataset.path)
        file.write_text(file.read_text().replace("63", "64"))
    assert office.error(office.wait())[0] == code
    assert office.ledger.departures()[0].bytes_out == 0


def test_the_receipt_names_the_journals_head(office: Office) -> None:
    Control(office.node.home).pause("")
    _, account = office.error(office.ask(office.node.order(office.node.approve(FAB))))
    assert account.journal == office.ledger.journal.head()
    newest = office.ledger.journal.entries(1)[0]
    assert (newest.kind, newest.subject, newest.detail["code"]) == ("refused", RUN, "E_PAUSED")
