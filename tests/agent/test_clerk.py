"""The paperwork between a site and the portal goes on by itself, also after the portal was away."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core import dsse
from fedstudy_core.policy import PAYLOAD_TYPE, policy_payload
from fedstudy_node.approvals import Approvals, Limits
from fedstudy_node.clerk import Clerk
from fedstudy_node.connecting import open_portal
from fedstudy_node.datasets import Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.levels import Levels
from fedstudy_node.offers import Offers
from fedstudy_node.policies import Policies, build_policy
from fedstudy_node.signing import Signing
from fedstudy_node.trust import Trust
from tests.agent import portal as portals
from tests.agent.portal import APPROVAL, VERSION, FakePortal
from tests.agent.test_console import Console
from tests.agent.test_control import wait_for
from tests.factories.agent import PASSPHRASE, STUDY, script

OFFER = {
    "version": VERSION,
    "study": "s",
    "study_title": "Hearts",
    "script": "numbers",
    "number": 1,
    "sha256": "0" * 64,
    "size": 1,
    "submitted_at": "",
    "parameters": [],
    "declaration": {},
    "approval": None,
}


class Desk:
    """A node whose clerk works when told to."""

    def __init__(self, console: Console) -> None:
        self.console = console
        console.set_up()
        self.home = Home.open(console.home)
        self.clerk = Clerk(self.home, lambda ledger: open_portal(self.home, ledger), Event())

    def work(self) -> list[str]:
        """Let the clerk work once; return what the portal was told."""
        before = len(self.console.portal.told)
        with closing(Ledger(self.home.ledger_path)) as ledger, open_portal(self.home, ledger) as portal:
            self.clerk.work(ledger, portal)
        return [route for route, _ in self.console.portal.told[before:]]

    def at(self, address: str) -> None:
        """Say where the portal is."""
        self.home.save(replace(self.home.settings(), portal=address))

    def sign(self) -> None:
        """Sign the offered script from the shelf, as a person would while the portal is away."""
        trust = Trust(self.home)
        person = trust.on_console()
        with closing(Ledger(self.home.ledger_path)) as ledger:
            signing = Signing(self.home, ledger)
            offer = Offers(self.home).fetch(VERSION, None)
            draft = signing.begin(offer, Datasets(self.home).all()[0], Limits(), "approved", [person])
            signing.finish(signing.add(draft, person.id, trust.console_key(person, PASSPHRASE).sign(draft.to_sign)))


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    portal = FakePortal(script())
    with portals.serve(portal) as address:
        yield Desk(Console(tmp_path, portal, address, capsys))


def test_offers_are_on_the_shelf_before_anybody_asks(desk: Desk) -> None:
    assert desk.work() == ["approvers", "scripts", f"scripts/{VERSION}/bundle"]
    assert desk.work() == ["scripts"]
    assert Offers(desk.home).fetch(VERSION, None).fab == desk.console.portal.fab


def test_the_portal_learns_who_may_sign_without_waiting_for_a_signature(desk: Desk) -> None:
    """A passkey that was registered while the portal was away is told as soon as it is back, and once."""
    desk.work()
    desk.at("http://127.0.0.1:1")
    Trust(desk.home).add_console_key(name="Grace Hopper", role="data steward", passphrase=PASSPHRASE)
    desk.work()
    desk.at(desk.console.address)
    assert desk.work() == ["approvers", "scripts"]
    assert {entry["name"] for entry in desk.console.portal.last("approvers")["approvers"]} >= {"Grace Hopper"}
    assert desk.work() == ["scripts"]


def test_what_was_signed_while_the_portal_was_away_is_handed_in_once(desk: Desk) -> None:
    desk.work()
    desk.at("http://127.0.0.1:1")
    desk.sign()
    assert desk.work() == []
    desk.at(desk.console.address)
    assert desk.work() == ["scripts", "approvers", "approvals"]
    assert desk.work() == ["scripts"]
    assert Approvals(desk.home).all()[0].portal_id == APPROVAL


def test_a_revocation_of_that_time_is_told_once(desk: Desk) -> None:
    desk.work()
    desk.sign()
    desk.work()
    desk.at("http://127.0.0.1:1")
    assert desk.console.facts("revoke", APPROVAL, "--reason", "a mistake")["portal_told"] is False
    desk.at(desk.console.address)
    assert desk.work() == ["scripts", f"approvals/{APPROVAL}/revoke"]
    assert desk.work() == ["scripts"]


def test_what_was_revoked_before_it_was_handed_in_stays_here(desk: Desk) -> None:
    desk.work()
    desk.sign()
    Approvals(desk.home).revoke(Approvals(desk.home).all()[0].statement_id, "")
    assert desk.work() == ["scripts"]


def test_an_unsound_bundle_is_asked_for_once(desk: Desk) -> None:
    desk.console.portal.listed_sha256 = "0" * 64
    assert desk.work() == ["approvers", "scripts", f"scripts/{VERSION}/bundle"]
    assert desk.work() == ["scripts"]


@pytest.mark.parametrize(
    "lists",
    [
        [1],
        {"results": 3},
        [{"version": VERSION}],
        [{**OFFER, "sha256": "../../0"}],
        [{**OFFER, "version": "../scripts"}],
        [{**OFFER, "number": "one"}],
    ],
    ids=["no rows", "no list", "missing", "path", "route", "type"],
)
def test_a_list_of_another_form_is_not_acted_on(desk: Desk, lists: object) -> None:
    desk.console.portal.lists = lists
    assert desk.work() == ["approvers", "scripts"]
    assert Offers(desk.home).rows() == []


def test_a_file_on_the_shelf_is_shown_only_as_what_it_is(desk: Desk) -> None:
    desk.work()
    sha256 = bundles.inspect(desk.console.portal.fab).sha256
    (desk.home.bundles_path / f"{sha256}.fab").write_bytes(script(**{"calls": "cells"}))
    with pytest.raises(NodeError, match="E_BUNDLE"):
        Offers(desk.home).fetch(VERSION, None)


def test_it_says_when_the_site_s_level_changed(desk: Desk) -> None:
    changes: list[str] = []
    stop, home = Event(), desk.home
    desk.clerk = Clerk(
        home, lambda ledger: open_portal(home, ledger), stop, lambda: changes.append(Levels(home).of(STUDY))
    )
    for _ in range(2):
        desk.work()
    desk.console.portal.level = "F0"
    for _ in range(2):
        desk.work()
    assert changes == ["F2", "F0"]


def test_the_paperwork_goes_on_after_what_nobody_foresaw(desk: Desk) -> None:
    stop = Event()
    clerk = Clerk(desk.home, lambda ledger: open_portal(desk.home, ledger), stop)
    damaged = desk.home.approvals_path / "damaged.json"
    damaged.write_text("{")
    clerk.start()
    try:
        wait_for(lambda: any(desk.home.bundles_path.glob("*.fab")))
        damaged.unlink()
        desk.sign()
        clerk.hurry()
        wait_for(lambda: "approvals" in (route for route, _ in desk.console.portal.told))
    finally:
        stop.set()
        clerk.hurry()
        clerk.join(timeout=5)


def stand(desk: Desk, sha256: str) -> str:
    """Sign a standing policy for a script on the console; return its id."""
    person = Trust(desk.home).on_console()
    policy = build_policy(
        desk.home,
        dataset=Datasets(desk.home).all()[0],
        limits=Limits(rounds=5),
        scripts=[sha256],
        approvers=[{"key": person.id, "name": person.name, "role": person.role}],
        sequence=1,
    )
    payload = policy_payload(policy)
    signature = Trust(desk.home).console_key(person, PASSPHRASE).sign(dsse.pre_authentication(PAYLOAD_TYPE, payload))
    return Policies(desk.home).keep(payload, {person.id: signature}).id


@pytest.mark.parametrize("named", [True, False])
def test_a_standing_policy_admits_the_scripts_that_it_names(desk: Desk, named: bool) -> None:
    stand(desk, bundles.inspect(desk.console.portal.fab).sha256 if named else "0" * 64)
    assert ("approvals" in desk.work()) is named
    assert desk.work() == ["scripts"]


def test_what_a_policy_admitted_is_admitted_again_under_new_keys_and_a_later_policy(desk: Desk) -> None:
    sha256 = bundles.inspect(desk.console.portal.fab).sha256
    policy = stand(desk, sha256)
    assert "approvals" in desk.work()
    desk.console.facts("rotate")
    assert "approvals" in desk.work()
    assert "approvals" not in desk.work()
    desk.console.facts("policy", "revoke", policy)
    assert "approvals" not in desk.work()
    stand(desk, sha256)
    assert "approvals" in desk.work()


def test_what_a_person_took_back_is_not_admitted_again(desk: Desk) -> None:
    stand(desk, bundles.inspect(desk.console.portal.fab).sha256)
    desk.work()
    desk.console.facts("revoke", Approvals(desk.home).all()[0].statement_id)
    assert "approvals" not in desk.work()
