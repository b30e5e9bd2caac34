"""The portal is somebody else's: with its database, its secrets and the SuperLink, nothing runs that no site signed.

The attacker drives Flower runs at the real SuperLink against the demo's real agents. Whether a script's process ran is
seen at the nodes: such a process has a log file, and every answer is in the node's own ledger.
"""

import uuid
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from federation.runs.flower import SuperLink as Adapter
from fedstudy_core import bundle as bundles
from fedstudy_core import canonical, dsse, flower, keys
from fedstudy_core.archives import read_archive
from fedstudy_core.flower import Order
from fedstudy_core.statement import PAYLOAD_TYPE, sign_statement, statement_id, verify_statement
from fedstudy_core.times import format_time
from fedstudy_node.approvals import Approvals
from fedstudy_node.home import Home
from fedstudy_node.ledger import Departure, Ledger
from fedstudy_node.trust import Trust
from tests.contract.driver import Driver
from tests.security.hospital import reseal
from tests.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CANARY = "the canary sang"
Config = Mapping[str, int | float | str | bool]


@dataclass(frozen=True)
class Target:
    """A site's node, with what the portal's database says of it."""

    name: str
    home: Home
    flower_node: str
    envelope: bytes

    def left(self, flower_run: str) -> list[Departure]:
        """What the node's own ledger says about a Flower run."""
        with closing(Ledger(self.home.ledger_path)) as ledger:
            return [item for item in ledger.departures(1_000) if item.flower_run == flower_run]

    def processes(self, flower_run: str) -> list[Path]:
        """The logs of processes that were started for a Flower run."""
        return list((self.home.path / "logs").glob(f"run-{flower_run}.log"))


@dataclass(frozen=True)
class Attack:
    """What the attacker sends to each node: a bundle, a configuration, and orders with the codes they must meet."""

    fab: bytes
    config: Config
    orders: list[tuple[str, dict[str, Any], str]]


class Attacker:
    """Somebody who holds all that the portal held."""

    def __init__(self, stage: Stage) -> None:
        link = stage.stack.superlink
        self.driver = Driver(link, Adapter(link.address, link.certificates.authority, link.secret_file))
        with stage.tampered_database() as database:
            version = stage.prepared.version
            [(fab,)] = database.execute("SELECT bundle FROM scripts_scriptversion WHERE id = %s", [version]).fetchall()
            rows = database.execute(
                "SELECT n.name, n.flower_node_id, a.envelope FROM scripts_approval a"
                " JOIN registry_node n ON n.id::text = a.node_id::text WHERE a.version_id = %s AND a.state = 'valid'",
                [version],
            ).fetchall()
        self.fab = bytes(fab)
        self.study = stage.prepared.study
        self.targets = [
            Target(name, Home(stage.stack.node(name).home), str(node), bytes(envelope)) for name, node, envelope in rows
        ]

    def order(self, target: Target, **changed: Any) -> Order:
        order = Order(
            study=self.study,
            run=str(uuid.uuid4()),
            round=0,
            phase="query",
            message_type="query.initial_model",
            sites=4,
            rounds=3,
            deadline=(datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
            model_sha256="",
            approval=target.envelope,
            dataset="",
        )
        return replace(order, **changed)

    def send_all(self, attack: Attack) -> list[str]:
        """Send each order to each node, all at once; returns the codes they met, which are those they must meet."""
        expected = {}
        for target, other in zip(self.targets, self.targets[1:] + self.targets[:1], strict=True):
            for name, changed, code in attack.orders:
                made = {key: value(target, other) if callable(value) else value for key, value in changed.items()}
                message = self.driver.send(target.flower_node, self.order(target, **made), RecordDict())
                expected[message] = (name, target.name, code)
        met = []
        for reply in self.driver.collect(set(expected), timeout=60):
            name, node, code = expected.pop(reply.message_id)
            found = flower.parse_error_reason(reply.error).code if reply.content is None else "it ran"
            assert (name, node, found) == (name, node, code)
            met.append(code)
        assert not expected, "no answer came"
        return met


@pytest.fixture
def attacker(stage: Stage) -> Attacker:
    made = Attacker(stage)
    assert len(made.targets) == 4
    return made


def test_the_attacker_can_reach_every_script_that_the_sites_did_sign(attacker: Attacker) -> None:
    """The positive control: with nothing altered the scripts run, and that shows at the nodes."""
    with attacker.driver.run(attacker.fab, {}):
        for target in attacker.targets:
            reply = attacker.driver.ask(target.flower_node, attacker.order(target), RecordDict(), timeout=60)
            assert reply.content is not None, reply.error
            run = attacker.driver.run_id
            assert [item.outcome for item in target.left(run)] == ["done"]
            assert target.processes(run)


def test_nothing_runs_that_no_site_signed(attacker: Attacker) -> None:
    met: list[str] = []
    for attack in attacks(attacker):
        with attacker.driver.run(attack.fab, attack.config):
            run = attacker.driver.run_id
            met += attacker.send_all(attack)
            for target in attacker.targets:
                left = target.left(run)
                assert len(left) == len(attack.orders)
                assert {(item.outcome, item.bytes_out, item.numbers) for item in left} == {("refused", 0, 0)}
                assert sorted(item.code for item in left) == sorted(code for _, _, code in attack.orders)
                assert target.processes(run) == []
    for target in attacker.targets:
        assert CANARY not in "".join(log.read_text(errors="replace") for log in (target.home.path / "logs").glob("*"))
        with closing(Ledger(target.home.ledger_path)) as ledger:
            ledger.journal.verify()
    assert len(met) >= 60


def attacks(attacker: Attacker) -> list[Attack]:
    """Other scripts, other configurations, and the approved script under words that no site signed."""
    held = read_archive(attacker.fab)
    files = {name: data for name, data in held.items() if not name.startswith(".info/")}
    client = next(name for name in files if name.endswith("client_app.py"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flower's builder uses a name that pathspec retires
        evil = bundles.build({**files, client: files[client] + f"\nprint({CANARY!r})\n".encode()})
    plain: tuple[str, dict[str, Any], str] = ("as it is", {}, "E_BUNDLE")
    forged = ("with a forged approval", {"approval": lambda at, _: _forge(at, evil)}, "E_NO_TRUSTED_SIGNATURE")
    rewritten = ("with its hash in the approval", {"approval": lambda at, _: _rewrite(at, evil)}, "E_SIG")
    return [
        Attack(evil, {}, [plain, forged, rewritten]),
        *[
            Attack(attacker.fab, config, [("other settings", {}, "E_RUN_CONFIG")])
            for config in ({"local-steps": 100_000}, {"learning-rate": 50.0}, {"normalise": "none"})
        ],
        Attack(attacker.fab, {}, _orders()),
    ]


def _orders() -> list[tuple[str, dict[str, Any], str]]:
    return [
        ("another site's approval", {"approval": lambda _, other: other.envelope}, "E_NO_TRUSTED_SIGNATURE"),
        ("a longer approval", {"approval": lambda at, _: _longer(at)}, "E_SIG"),
        ("no approval", {"approval": b""}, "E_ENVELOPE"),
        ("an approval that ended", {"approval": lambda at, _: _signed_by_site(at, days=-30)}, "E_EXPIRED"),
        ("a revoked approval", {"approval": lambda at, _: _revoked(at)}, "E_REVOKED"),
        ("an approval for another study", {"approval": lambda at, _: _signed_by_site(at, study=True)}, "E_STUDY"),
        ("another study", {"study": str(uuid.uuid4())}, "E_STUDY"),
        ("more rounds", {"rounds": 10**6}, "E_ROUNDS"),
        ("a later round", {"round": 10**6, "phase": "train", "message_type": "train"}, "E_ROUNDS"),
        ("without enough sites", {"sites": 0}, "E_QUORUM"),
        ("too late", {"deadline": "2020-01-01T00:00:00+00:00"}, "E_DEADLINE"),
        ("another kind of message", {"phase": "agent"}, "E_OUTPUT_SCHEMA"),
        ("a message that contradicts itself", {"phase": "evaluate"}, "E_ORDER"),
    ]


def _forge(at: Target, fab: bytes) -> bytes:
    """The site's statement about another script, signed by a key of the attacker's."""
    return dsse.sign(PAYLOAD_TYPE, canonical.dumps(_about(at, fab)), [keys.generate()])


def _rewrite(at: Target, fab: bytes) -> bytes:
    return reseal(_about(at, fab), at.envelope)


def _about(at: Target, fab: bytes) -> dict[str, Any]:
    payload = dict(canonical.loads(dsse.unverified_payload(at.envelope)))
    return payload | {"script": {"sha256": canonical.digest(fab), "size": len(fab)}}


def _longer(at: Target) -> bytes:
    payload = dict(canonical.loads(dsse.unverified_payload(at.envelope)))
    return reseal(payload | {"not_after": "2027-12-31T00:00:00Z"}, at.envelope)


def _signed_by_site(at: Target, *, days: int = 0, study: bool = False) -> bytes:
    """A statement that the site's admin did sign, once: it ended, or is about another study."""
    trust = Trust(at.home)
    entry = trust.on_console()
    passphrase = at.home.path.parent.joinpath(f"{at.name}.passphrase").read_bytes().strip()
    statement = verify_statement(at.envelope, trust.approvers())
    changed: dict[str, Any] = {"nonce": uuid.uuid4().hex}
    if days:
        begin = datetime.now(UTC) + timedelta(days=2 * days)
        end = format_time(begin - timedelta(days=days))
        changed |= {"issued_at": format_time(begin), "not_before": format_time(begin), "not_after": end}
    if study:
        changed |= {"study": str(uuid.uuid4())}
    return sign_statement(statement.model_copy(update=changed), trust.console_key(entry, passphrase))


def _revoked(at: Target) -> bytes:
    """A statement that the site signed and then revoked on its console."""
    envelope = _signed_by_site(at)
    Approvals(at.home).revoke(statement_id(envelope), "a mistake")
    return envelope
