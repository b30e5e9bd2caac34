"""The agent against a real SuperLink: TLS, node authentication, Flower's own fleet API."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from fedstudy_core import flower
from fedstudy_core.keys import generate, public_text
from fedstudy_core.receipts import verify_receipt
from fedstudy_node.agent import Agent
from fedstudy_node.clock import Clock
from fedstudy_node.errors import AnswerLost, KeyRefused, NotRegistered, Unreachable
from fedstudy_node.flower import Fleet
from fedstudy_node.freight import FreightClient
from fedstudy_node.ledger import Ledger
from fedstudy_node.status import Status
from fedstudy_node.supervisor import build_agent
from tests.contract import driver as drivers
from tests.contract.driver import Driver, model
from tests.factories.agent import Node, make_node, script
from tests.factories.sandbox import sandbox

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with drivers.start(tmp_path_factory.mktemp("link"), environment) as started:
        yield started


class Site:
    """A node with its agent on a thread of the test."""

    def __init__(self, folder: Path, driver: Driver, number: int = 1) -> None:
        authority = driver.link.certificates.authority.read_text()
        self.node: Node = make_node(folder, superlink=driver.link.address, ca_pem=authority, number=number)
        self.flower_id = driver.register(self.node.flower_key)
        self.stop = threading.Event()
        self.agent: Agent | None = None
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve on a thread; returns when the SuperLink has the node."""
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        wait_for(lambda: self.agent is not None and self.agent._connected)

    def _serve(self) -> None:
        with closing(Ledger(self.node.home.ledger_path)) as ledger:
            status = Status(self.node.home.status_path)
            self.agent = build_agent(
                self.node.home,
                ledger,
                status=status,
                stop=self.stop,
                wake=threading.Event(),
                sandbox=sandbox(),
            )
            self.agent.run()

    def end(self) -> None:
        self.stop.set()
        if self.thread is not None:
            self.thread.join(timeout=20)

    def receipt(self, envelope: bytes) -> object:
        return verify_receipt(envelope, public_text(self.node.home.identity_key().public_key()))


@pytest.fixture
def site(tmp_path: Path, driver: Driver) -> Iterator[Site]:
    made = Site(tmp_path, driver)
    made.start()
    yield made
    made.end()


NOTHING = FreightClient(httpx.Client(base_url="http://127.0.0.1:9"), "", generate, Path())


def wait_for(condition: object, timeout: float = 15) -> None:
    until = time.monotonic() + timeout
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "this did not come true in time"
        time.sleep(0.02)


def test_a_signed_script_trains_and_the_reply_comes_with_a_receipt(driver: Driver, site: Site) -> None:
    fab = script()
    approval = site.node.approve(fab)
    with driver.run(fab, {"step": 2.0}):
        reply = driver.ask(site.flower_id, site.node.order(approval), model())
        assert reply.content is not None, reply.error
        receipt, content, packed = flower.unwrap_reply(reply.content)
        assert content["arrays"]["0"].numpy().tolist() == [2.0] * 14
        account = verify_receipt(receipt, public_text(site.node.home.identity_key().public_key()))
        assert (account.outcome, account.update_sha256, account.examples) == ("done", packed.sha256, 3)


def test_an_unsigned_script_is_refused_with_a_code(driver: Driver, site: Site) -> None:
    approved, other = script(), script(Adds="Adds quietly")
    with driver.run(other, {}):
        reply = driver.ask(site.flower_id, site.node.order(site.node.approve(approved)), model())
    error = flower.parse_error_reason(reply.error)
    assert error.code == "E_BUNDLE"
    assert verify_receipt(error.receipt, public_text(site.node.home.identity_key().public_key())).outcome == "refused"


def test_an_exceptions_text_stays_at_the_site(driver: Driver, site: Site) -> None:
    fab = script()
    with driver.run(fab, {"mode": "raise"}):
        reply = driver.ask(site.flower_id, site.node.order(site.node.approve(fab)), model())
    assert flower.parse_error_reason(reply.error).code == "E_SCRIPT"
    assert "Jane" not in reply.error


def test_a_run_that_is_stopped_ends_its_script_within_ten_seconds(driver: Driver, site: Site) -> None:
    fab = script()
    with driver.run(fab, {"mode": "hang"}):
        driver.send(site.flower_id, site.node.order(site.node.approve(fab)), model())
        assert site.agent is not None
        runs = site.agent.runs
        wait_for(lambda: [run for run in runs if run.child is not None])
        pid = next(run.child.pid for run in runs if run.child is not None)
        driver.stop_run()
        begun = time.monotonic()
        wait_for(lambda: len(runs) == 0)
        assert time.monotonic() - begun < 10
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_message_that_came_whole_leaves_nothing_that_expires(driver: Driver, site: Site) -> None:
    fab = script()
    approval = site.node.approve(fab)
    with driver.run(fab, {}):
        for round_ in (1, 2, 3):
            reply = driver.ask(site.flower_id, site.node.order(approval, round=round_), model(value=round_))
            assert reply.content is not None, reply.error
            _, content, _ = flower.unwrap_reply(reply.content)
            assert content["arrays"]["0"].numpy()[0] == round_ + 1
            assert reply.size < 4000


def test_a_restarted_agent_is_taken_back_at_once_and_answers_again_without_training(driver: Driver, site: Site) -> None:
    fab = script()
    order = site.node.order(site.node.approve(fab))
    with driver.run(fab, {}):
        first = driver.ask(site.flower_id, order, model())
        assert site.agent is not None
        fleet = site.agent._fleet
        fleet._node.node_id, kept = 0, fleet._node.node_id  # so that it leaves without saying good-bye
        site.end()
        site.agent = None
        begun = time.monotonic()
        site.start()
        assert time.monotonic() - begun < 5
        assert site.agent._fleet.node_id == kept
        again = driver.ask(site.flower_id, order, model())
    contents = [flower.unwrap_reply(reply.content)[1] for reply in (first, again) if reply.content is not None]
    assert [int(content["metrics"]["calls"]) for content in contents] == [1, 1]


def test_an_unregistered_key_and_a_silent_address_are_told_apart(tmp_path: Path, driver: Driver) -> None:
    authority = driver.link.certificates.authority.read_text()
    node = make_node(tmp_path, superlink=driver.link.address, ca_pem=authority, number=9)
    fleet = Fleet(driver.link.address, authority, node.home.flower_key(), Clock(), NOTHING)
    with pytest.raises(NotRegistered):
        fleet.activate(None)
    with pytest.raises(KeyRefused):
        fleet.pull()
    fleet.close()
    nowhere = Fleet("127.0.0.1:9", authority, node.home.flower_key(), Clock(), NOTHING)
    with pytest.raises(Unreachable) as refused:
        nowhere.activate(None)
    assert not isinstance(refused.value, AnswerLost)
    nowhere.close()


ONE_MESSAGE = SimpleNamespace(messages_list=[None], message_object_trees=[None])


def test_a_question_whose_answer_does_not_come_may_have_been_answered(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = driver.link.certificates.authority.read_text()
    node = make_node(tmp_path, superlink=driver.link.address, ca_pem=authority, number=9)
    driver.register(node.flower_key)
    fleet = Fleet(driver.link.address, authority, node.home.flower_key(), Clock(), NOTHING)
    fleet.activate(None)

    def silent(_: object) -> None:
        raise httpx.ReadTimeout("The read operation timed out")

    monkeypatch.setattr(fleet._client, "PullMessages", silent)
    with pytest.raises(AnswerLost):
        fleet.pull()

    def forgotten(*_: object) -> None:
        raise NotRegistered("the SuperLink no longer knows this node")

    monkeypatch.undo()
    monkeypatch.setattr(fleet, "_read", forgotten)
    monkeypatch.setattr(fleet._client, "PullMessages", lambda _: ONE_MESSAGE)
    with pytest.raises(AnswerLost):
        fleet.pull()
    fleet.close()


@pytest.mark.parametrize(("off_s", "corrected"), [(60, True), (-400, True), (590, True), (700, False)])
def test_a_hospital_clock_that_is_off_works_by_the_portals_time(
    tmp_path: Path, driver: Driver, off_s: int, corrected: bool
) -> None:
    """Flower takes a clock from 305 s behind to 5 s ahead; the node corrects its own by ten minutes at most."""
    authority = driver.link.certificates.authority.read_text()
    node = make_node(tmp_path, superlink=driver.link.address, ca_pem=authority, number=9)
    driver.register(node.flower_key)
    clock = Clock(lambda: datetime.now(UTC) + timedelta(seconds=off_s))
    fleet = Fleet(driver.link.address, authority, node.home.flower_key(), clock, NOTHING)
    with pytest.raises(KeyRefused):
        fleet.activate(None)
    clock.hear(httpx.Response(200, headers={"Date": format_datetime(datetime.now(UTC), usegmt=True)}))
    later = Fleet(driver.link.address, authority, node.home.flower_key(), clock, NOTHING)
    if corrected:
        assert later.activate(None)
        assert later.pull() is None
    else:
        with pytest.raises(KeyRefused):
            later.activate(None)
    later.close()
    fleet.close()


def test_a_superlink_with_another_certificate_is_not_spoken_to(tmp_path: Path, driver: Driver) -> None:
    from devstack import certificates

    other = certificates.make(tmp_path / "tls").authority.read_text()
    node = make_node(tmp_path, number=9)
    fleet = Fleet(driver.link.address, other, node.home.flower_key(), Clock(), NOTHING)
    with pytest.raises(Unreachable, match="certificate"):
        fleet.activate(None)
    fleet.close()
