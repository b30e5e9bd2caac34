"""The gate: what may run, and the code of everything that may not."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core import keys
from fedstudy_core.errors import Refusal
from fedstudy_core.flower import Order
from fedstudy_core.statement import sign_statement, verify_statement
from fedstudy_node.approvals import Approvals
from fedstudy_node.datasets import Datasets
from fedstudy_node.gate import MOST_MESSAGES_A_ROUND, Gate, Permit, Script
from fedstudy_node.ledger import Ledger
from fedstudy_node.levels import Levels
from fedstudy_node.trust import Trust
from tests.factories.agent import STUDY, Node, make_node, revoke_by_hand, script

FAB = script()
CONFIG = bundles.inspect(FAB).default_config


def as_script(fab: bytes = FAB, **config: object) -> Script:
    return Script(sha256(fab).hexdigest(), len(fab), lambda: {**CONFIG, **config}, lambda: "strategy", lambda: None)  # type: ignore[dict-item]


class Site:
    """A node with its gate."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.node: Node = make_node(folder)
        self.ledger = ledger
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.approval = self.node.approve(FAB, rounds=3, min_sites=1)

    def gate(self) -> Gate:
        return Gate(self.node.home, self.ledger, Datasets(self.node.home), Approvals(self.node.home), self.now)

    def check(
        self, order: Order | None = None, fab: Script | None = None, message_type: str = "train", **options: bool
    ) -> Permit:
        return self.gate().check(
            order or self.node.order(self.approval),
            fab or as_script(),
            message_type=message_type,
            for_client_app=options.get("for_client_app", True),
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield Site(tmp_path, ledger)


def test_what_the_site_signed_may_run(site: Site) -> None:
    permit = site.check()
    assert permit.dataset == site.node.dataset
    assert permit.statement.meaning == "approved"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"study": "00000000-0000-0000-0000-0000000000ff"}, "E_STUDY"),
        ({"rounds": 4}, "E_ROUNDS"),
        ({"round": 4}, "E_ROUNDS"),
        ({"sites": 0}, "E_QUORUM"),
        ({"phase": "agent"}, "E_OUTPUT_SCHEMA"),
        ({"phase": "evaluate"}, "E_ORDER"),
        ({"message_type": "evaluate"}, "E_ORDER"),
        ({"round": -1}, "E_ORDER"),
        ({"deadline": "2020-01-01T00:00:00+00:00"}, "E_DEADLINE"),
        ({"deadline": "tomorrow"}, "E_ORDER"),
        ({"deadline": "2099-01-01T00:00:00"}, "E_ORDER"),
        ({"approval": b"{}"}, "E_ENVELOPE"),
        ({"approval": b""}, "E_ENVELOPE"),
    ],
)
def test_a_message_that_asks_for_more_is_refused(site: Site, changed: dict[str, object], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        site.check(site.node.order(**{"approval": site.approval, **changed}))
    assert refusal.value.code == code


def ask(site: Site, phase: str, approval: bytes) -> Permit:
    return site.check(site.node.order(approval, phase=phase, message_type=phase), message_type=phase)


@pytest.mark.parametrize(
    ("level", "allowed"), [("F0", {"evaluate"}), ("F1", {"query", "evaluate"}), ("F2", {"query", "train", "evaluate"})]
)
def test_an_approval_allows_what_the_sites_level_does_whoever_asks(site: Site, level: str, allowed: set[str]) -> None:
    approval = site.node.approve(FAB, level=level)
    for phase in ("query", "train", "evaluate"):
        if phase in allowed:
            ask(site, phase, approval)
        else:
            with pytest.raises(Refusal, match="E_OUTPUT_SCHEMA"):
                ask(site, phase, approval)


def test_a_level_that_was_lowered_holds_against_what_was_signed_before(site: Site) -> None:
    Levels(site.node.home).keep([{"study": STUDY, "level": "F0"}])
    ask(site, "evaluate", site.approval)
    with pytest.raises(Refusal, match="E_LEVEL") as refusal:
        ask(site, "train", site.approval)
    assert "level F0, which does not allow training" in refusal.value.detail
    Levels(site.node.home).keep([{"study": STUDY, "level": "F2"}])
    ask(site, "train", site.approval)


def test_a_level_does_not_give_what_was_not_signed(site: Site) -> None:
    approval = site.node.approve(FAB, level="F0")
    Levels(site.node.home).keep([{"study": STUDY, "level": "F2"}])
    with pytest.raises(Refusal, match="E_OUTPUT_SCHEMA"):
        ask(site, "train", approval)


@pytest.mark.parametrize("position", range(0, len(FAB), len(FAB) // 20))
def test_any_changed_byte_of_the_script_is_refused(site: Site, position: int) -> None:
    changed = bytearray(FAB)
    changed[position] ^= 1
    with pytest.raises(Refusal) as refusal:
        site.check(fab=as_script(bytes(changed)))
    assert refusal.value.code == "E_BUNDLE"


def test_a_changed_byte_of_the_approval_is_refused(site: Site) -> None:
    for position in range(0, len(site.approval), 7):
        changed = bytearray(site.approval)
        changed[position] ^= 1
        with pytest.raises(Refusal):
            site.check(site.node.order(bytes(changed)))


def test_the_bundle_is_not_opened_before_its_hash_is_approved(site: Site) -> None:
    def open_it() -> NoReturn:
        raise AssertionError("the bundle was opened")

    with pytest.raises(Refusal, match="E_BUNDLE"):
        site.check(fab=Script("0" * 64, len(FAB), open_it, open_it, open_it))


def test_a_script_that_leads_the_rounds_itself_needs_an_approval_that_says_so(site: Site) -> None:
    with pytest.raises(Refusal, match="E_CENTRE"):
        site.check(fab=replace(as_script(), server=lambda: "own"))


@pytest.mark.parametrize("config", [{"step": 11.0}, {"mode": "hang-on"}, {"extra": 1}, {"step": "2"}])
def test_a_configuration_outside_the_approved_range_is_refused(site: Site, config: dict[str, object]) -> None:
    with pytest.raises(Refusal, match="E_RUN_CONFIG"):
        site.check(fab=as_script(**config))


def test_a_key_that_this_site_does_not_trust_approves_nothing(site: Site) -> None:
    statement = verify_statement(site.approval, Trust(site.node.home).approvers())
    forged = sign_statement(statement, keys.generate())
    with pytest.raises(Refusal, match="E_NO_TRUSTED_SIGNATURE"):
        site.check(site.node.order(forged))


def test_who_is_trusted_is_asked_anew_for_each_message_of_one_gate(site: Site) -> None:
    gate, order, home = site.gate(), site.node.order(site.approval), site.node.home
    trusted = (home.path / "trust.json").read_bytes()
    gate.check(order, as_script(), message_type="train", for_client_app=True)
    (home.path / "trust.json").write_bytes(b'{"approvers": []}')
    for check in (lambda: gate.check(order, as_script(), message_type="train", for_client_app=True),
                  lambda: gate.check_again(order, as_script())):  # fmt: skip
        with pytest.raises(Refusal, match="E_NO_TRUSTED_SIGNATURE"):
            check()
    (home.path / "trust.json").write_bytes(trusted)
    gate.check(order, as_script(), message_type="train", for_client_app=True)


def test_an_approval_of_another_node_is_refused(site: Site, tmp_path: Path) -> None:
    settings = site.node.home.settings()
    site.node.home.save(replace(settings, node="00000000-0000-0000-0000-0000000000aa"))
    with pytest.raises(Refusal, match="E_AUDIENCE"):
        site.check()


def test_a_rejection_permits_nothing(site: Site) -> None:
    with pytest.raises(Refusal, match="E_DECISION"):
        site.check(site.node.order(site.node.approve(FAB, decision="rejected")))


def test_a_changed_file_is_not_the_approved_dataset(site: Site) -> None:
    file = Path(site.node.dataset.path)
    file.write_text(file.read_text() + "52,1\n")
    with pytest.raises(Refusal, match="E_DATASET"):
        site.check()


def test_time_ends_an_approval(site: Site) -> None:
    order = replace(site.node.order(site.approval), deadline="2099-01-01T00:00:00+00:00")
    site.now = lambda: datetime.now(UTC) + timedelta(days=91)
    with pytest.raises(Refusal, match="E_EXPIRED"):
        site.check(order)
    site.now = lambda: datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(Refusal, match="E_NOT_YET"):
        site.check(order)


def test_revocations_count_from_the_next_message_on(site: Site) -> None:
    site.check()
    revoke_by_hand(site.node.home, 0, site.approval)
    with pytest.raises(Refusal, match="E_REVOKED:"):
        site.check()
    revoke_by_hand(site.node.home, 1)
    with pytest.raises(Refusal, match="E_REVOKED_EPOCH"):
        site.check()
    site.check(site.node.order(site.node.approve(FAB, epoch=1)))


def test_the_nodes_own_count_of_rounds_ends_a_run(site: Site) -> None:
    approval = site.check().approval
    for number in (1, 2, 3):
        site.ledger.count_message(approval=approval, run=site.node.order(b"").run, number=number, message="m")
    site.check(site.node.order(site.approval, round=3))  # the same again costs nothing
    site.check(site.node.order(site.approval, round=0, phase="query", message_type="query.x"), message_type="query.x")
    site.ledger.count_message(approval=approval, run="another", number=1, message="m")
    with pytest.raises(Refusal, match="E_ROUNDS"):
        site.check(site.node.order(site.approval, round=4, rounds=3))


def test_a_round_is_asked_for_a_few_times_only(site: Site) -> None:
    permit, order = site.check(), site.node.order(site.approval)
    gate = site.gate()
    for number in range(MOST_MESSAGES_A_ROUND):
        gate.count(order, permit, f"message {number}")
    gate.count(order, permit, "message 0")
    with pytest.raises(Refusal, match="E_ROUNDS"):
        gate.count(order, permit, "one more")
    gate.count(replace(order, round=2), permit, "one more")


def test_other_kinds_of_runs_and_messages_are_refused(site: Site) -> None:
    with pytest.raises(Refusal, match="E_MESSAGE_TYPE"):
        site.check(for_client_app=False)
    order = site.node.order(site.approval, message_type="train.me", phase="train")
    site.check(order, message_type="train.me")
    with pytest.raises(Refusal, match="E_ORDER"):
        site.check(order, message_type="trainer")
