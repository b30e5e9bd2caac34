"""The gate: whether a message may reach a script and a dataset of this hospital.

Everything is decided from what the node itself holds: the bytes of the script that it received and hashed, the site's
own signature on the whole statement, the dataset's fingerprint as it is now, the node's own count of rounds. What the
portal or the SuperLink claim is only compared with that. The order of the checks is fixed and each has its code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from fedstudy_core.approvers import Approver
from fedstudy_core.counts import counted
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.flower import Order
from fedstudy_core.levels import PHASES
from fedstudy_core.policy import check_policy, verify_policy
from fedstudy_core.sandbox.levels import NOT_PROBED, Report
from fedstudy_core.statement import Server, Signer, Statement, Use, rules_of_use, statement_id, verify_statement
from fedstudy_core.transport import TRANSPORTS
from fedstudy_node.approvals import Approvals
from fedstudy_node.clock import Clock
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.levels import Levels
from fedstudy_node.policies import Policies
from fedstudy_node.trust import Trust
from fedstudy_node.verified import Verified

T = TypeVar("T")

MOST_ROUNDS = 1_000_000
# A round is at most two kinds of messages, sent anew by an attempt that had to begin the round again; what comes again
# with the very same content is not counted. Whoever could send more would train without end in one round.
MOST_MESSAGES_A_ROUND = 12
THIS_NODE = "This node"
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Script:
    """A run's script as this node received it.

    Attributes:
        config, server: read its bundle; they are called after its hash was approved.
        packages: refuses (E_DEPENDENCY) where this node lacks a package that its ClientApp needs; called then, too.
    """

    sha256: str
    size: int
    config: Callable[[], Mapping[str, bool | float | int | str]]
    server: Callable[[], Server]
    packages: Callable[[], None]


@dataclass(frozen=True)
class Permit:
    """What the gate granted for one message."""

    statement: Statement
    approval: str
    dataset: Dataset


@dataclass(frozen=True)
class Signed:
    """A statement whose signatures hold; `id` is what revocations name it by."""

    statement: Statement
    id: str


def _verify(envelope: bytes, trusted: Mapping[str, Approver]) -> Signed:
    return Signed(verify_statement(envelope, trusted), statement_id(envelope))


def check_order(order: Order) -> None:
    """Refuse an order whose own words cannot even be written down in a receipt (E_ORDER)."""
    names = (order.study, order.run)
    if not all(_IDENTIFIER.fullmatch(name) for name in names) or not 0 <= order.round <= MOST_ROUNDS:
        raise Refusal("E_ORDER", "The message names no study, run and round.")
    if order.transport not in TRANSPORTS:
        raise Refusal("E_ORDER", "The message does not say how its arrays travel.")
    if order.phase not in PHASES:
        raise Refusal("E_OUTPUT_SCHEMA", "Scripts do not answer messages of this phase.")


class Steps:
    """How the gate goes through its checks: the first that does not hold ends it."""

    def need(self, name: str, step: Callable[[], T]) -> T:
        """Make a check whose outcome later ones build on."""
        return step()

    def hold(self, name: str, step: Callable[[], None]) -> None:
        """Make a check that no later one builds on."""
        step()


class Gate:
    """Checks messages against the statements that this site signed."""

    def __init__(
        self,
        home: Home,
        ledger: Ledger,
        datasets: Datasets,
        approvals: Approvals,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        sandbox: Report = NOT_PROBED,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock(now)
        self._home = home
        self._settings = home.enrolled()
        self._ledger = ledger
        self._datasets = datasets
        self._approvals = approvals
        self._trust = Trust(home)
        self._policies = Policies(home)
        self._levels = Levels(home)
        self._signed = Verified(_verify)
        self._policy = Verified(verify_policy)
        self._now = now
        self._sandbox = sandbox

    def check(self, order: Order, script: Script, *, message_type: str, for_client_app: bool) -> Permit:
        """Grant a message or raise Refusal.

        1. the message is for a ClientApp and of a type that scripts answer (E_MESSAGE_TYPE, E_OUTPUT_SCHEMA);
        2. it says the same about itself inside and outside (E_ORDER), and its deadline is not past (E_DEADLINE);
        3. the statement is signed by the people whom it names and this node trusts (E_ENVELOPE ... E_SIGNERS);
        4. the script's bytes are those that were approved (E_BUNDLE), before they are opened;
        5. a standing policy under which the node itself signed still covers it (E_POLICY);
        6. everything else that the statement binds (`check_use`: E_AUDIENCE ... E_REVOKED_EPOCH);
        7. the level at which the site takes part in the study, lower than what it signed for or not (E_LEVEL);
        8. this node's own count of rounds (E_ROUNDS); `count` adds to it;
        9. the packages that the script declares and its ClientApp imports are here (E_DEPENDENCY).
        """
        return self._walk(Steps(), order, script, message_type=message_type, for_client_app=for_client_app)

    def check_again(self, order: Order, script: Script) -> None:
        """Refuse what was granted before and would not be now: the reply is made, and has not left.

        While a script worked its approval may have ended or been taken back, a signer may be trusted no more, the
        dataset's file may have been changed. All is checked but the message's own words, its deadline among them.
        """
        self._walk_statement(Steps(), order, script)

    def count(self, order: Order, permit: Permit, message: str) -> None:
        """Count a granted message before it is worked on; `message` is the digest of its content.

        Raises Refusal (E_ROUNDS) where its round had too many others.
        """
        approval, run, number = permit.approval, order.run, order.round
        others = self._ledger.messages_of_round(approval=approval, run=run, number=number, but=message)
        if others >= MOST_MESSAGES_A_ROUND:
            raise Refusal("E_ROUNDS", f"More than {MOST_MESSAGES_A_ROUND} different messages came for one round.")
        self._ledger.count_message(approval=approval, run=run, number=number, message=message)

    def withdrawn(self, permit: Permit) -> Refusal | None:
        """Return why what was granted was taken back since; None while it was not."""
        if not self._datasets.has(permit.dataset.id):
            return Refusal("E_DATASET", "The dataset is not offered any more.")
        return self._approvals.withdrawn(permit.approval, permit.statement)

    def explain(self, steps: Steps, order: Order, script: Script) -> None:
        """Go through the same checks for a training message that nobody sent; `steps` keeps what each says.

        Raises FedStudyError where the checks after it cannot be made.
        """
        self._walk(steps, order, script, message_type=order.message_type, for_client_app=True)

    def _walk(self, steps: Steps, order: Order, script: Script, *, message_type: str, for_client_app: bool) -> Permit:
        steps.hold("message", partial(self._check_message, order, message_type, for_client_app))
        return self._walk_statement(steps, order, script)

    def _walk_statement(self, steps: Steps, order: Order, script: Script) -> Permit:
        """Make all checks but those of the message's own words."""
        signed = steps.need("signatures", partial(self._signed, order.approval, self._trust.signers()))
        statement, approval = signed.statement, signed.id
        steps.need("script's bytes", partial(_check_script, statement, script))
        dataset = steps.need("dataset at this node", partial(self._dataset, statement))
        people = steps.need("standing policy" if statement.policy else "signers", partial(self._people, statement))
        use = steps.need("dataset's file, script's parameters", partial(self._use, order, script, dataset, people))
        revoked = self._approvals.revocations()
        for name, rule in rules_of_use(
            statement,
            use,
            now=self._now(),
            revocation_epoch=revoked.epoch,
            revoked=revoked.statements.keys(),
            identity=approval,
        ):
            steps.hold(name, partial(self._check_rule, rule, statement))
        steps.hold("level of the site", partial(self._levels.check, order.study, order.phase))
        steps.hold("rounds used", partial(self._check_rounds, order, statement, approval))
        steps.hold("packages at this node", script.packages)
        return Permit(statement, approval, dataset)

    def _check_rule(self, rule: Callable[[], None], statement: Statement) -> None:
        try:
            rule()
        except Refusal as refusal:
            if refusal.code == "E_SANDBOX":
                raise Refusal("E_SANDBOX", self._sandbox.refusal(statement.sandbox_min)) from refusal
            raise

    def _people(self, statement: Statement) -> list[str]:
        """Return the roles of those who stand behind a statement: its signers, or those of its standing policy."""
        if statement.policy is None:
            return _roles(statement.approvers)
        policy = self._policy(self._policies.envelope(statement.policy), self._trust.approvers())
        revoked = self._approvals.revocations()
        check_policy(
            policy,
            statement,
            now=self._now(),
            revocation_epoch=revoked.epoch,
            revoked=revoked.statements.keys(),
            identity=statement.policy,
        )
        return _roles(policy.approvers)

    def _use(self, order: Order, script: Script, dataset: Dataset, people: list[str]) -> Use:
        """Say what the message wants, in facts that this node found itself where it can."""
        return Use(
            site=self._settings.site,
            node=self._settings.node,
            study=order.study,
            script_sha256=script.sha256,
            script_size=script.size,
            dataset_id=dataset.id,
            dataset_fingerprint=self._datasets.present_fingerprint(dataset),
            run_config=script.config(),
            rounds=order.rounds,
            phase=order.phase,
            sites=order.sites,
            sandbox=self._sandbox.level,
            rows=dataset.rows,
            people=people,
            floor=dataset.floor,
            server=script.server(),
        )

    def _check_message(self, order: Order, message_type: str, for_client_app: bool) -> None:
        if not for_client_app:
            raise Refusal("E_MESSAGE_TYPE", "The run is of a kind that nodes do not take part in.")
        check_order(order)
        if order.message_type != message_type or message_type.split(".", 1)[0] != order.phase:
            raise Refusal("E_ORDER", "The message says different things about its own type.")
        if _moment(order.deadline) < self._clock.now():
            raise Refusal("E_DEADLINE", "The message came after its deadline; check this node's clock.")

    def _dataset(self, statement: Statement) -> Dataset:
        try:
            return self._datasets.get(statement.dataset.id)
        except FedStudyError as error:
            raise Refusal("E_DATASET", "The dataset of the approval is not at this node.") from error

    def _check_rounds(self, order: Order, statement: Statement, approval: str) -> None:
        used = self._ledger.rounds_used(approval=approval, run=order.run)
        was_counted = self._ledger.was_counted(approval=approval, run=order.run, number=order.round)
        if order.round > statement.rounds or (used >= statement.rounds and order.round > 0 and not was_counted):
            raise Refusal("E_ROUNDS", f"The approval is good for {counted(statement.rounds, 'round')} of a run.")


def _check_script(statement: Statement, script: Script) -> None:
    if (script.sha256, script.size) != (statement.script.sha256, statement.script.size):
        raise Refusal("E_BUNDLE", "The script that came is not the one that the site approved.")


def _roles(signers: Sequence[Signer]) -> list[str]:
    """Return one role for each person: whoever holds two keys is still one person."""
    return list({signer.name: signer.role for signer in signers}.values())


def _moment(text: str) -> datetime:
    """Read an aware time. Raises Refusal (E_ORDER)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("E_ORDER", "The message's deadline is not a time.") from error
    if moment.tzinfo is None:
        raise Refusal("E_ORDER", "The message's deadline has no time zone.")
    return moment
