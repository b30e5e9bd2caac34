"""What would happen to a script here, and why: the gate's own checks, made without a message.

Nothing is executed, kept or counted. What is not known before a run starts (how many sites and rounds it has) is taken
from the approval unless said otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from fedstudy_core import bundle as bundles
from fedstudy_core.canonical import digest
from fedstudy_core.codes import CODES
from fedstudy_core.errors import FedStudyError
from fedstudy_core.flower import Order
from fedstudy_core.packages import refuse_without_packages
from fedstudy_core.sandbox.levels import Report
from fedstudy_core.statement import Server, read_unverified, statement_id
from fedstudy_node.approvals import Approvals
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.gate import THIS_NODE, Gate, Script, Steps
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.policies import Policies, sign_under

T = TypeVar("T")
NO_RUN = str(UUID(int=0))
_SOON = timedelta(hours=1)


@dataclass(frozen=True)
class Check:
    """One check: whether it holds, and the code and sentence where it does not."""

    name: str
    holds: bool
    code: str = ""
    sentence: str = ""


@dataclass
class Explanation(Steps):
    """What the gate said, check by check. `statement` is the id of the approval it was asked about."""

    statement: str
    by_policy: str = ""
    checks: list[Check] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def need(self, name: str, step: Callable[[], T]) -> T:
        """Note a check; one that does not hold ends the explanation."""
        try:
            outcome = step()
        except FedStudyError as error:
            self._note(name, error)
            raise
        self.checks.append(Check(name, True))
        return outcome

    def hold(self, name: str, step: Callable[[], None]) -> None:
        """Note a check and go on."""
        try:
            step()
        except FedStudyError as error:
            self._note(name, error)
        else:
            self.checks.append(Check(name, True))

    def _note(self, name: str, error: FedStudyError) -> None:
        self.checks.append(Check(name, False, error.code, error.detail))


@dataclass(frozen=True)
class Question:
    """What would be run: a script's bytes with these overrides, on a dataset, by so many sites, for so many rounds.

    Attributes:
        rounds, sites: None for as many as the approval asks for.
    """

    fab: bytes
    config: Mapping[str, bool | float | int | str]
    dataset: Dataset | None = None
    rounds: int | None = None
    sites: int | None = None
    phase: str = "train"


def explain(home: Home, ledger: Ledger, sandbox: Report, question: Question) -> Explanation:
    """Say what this node would do with the script: the best of what its approvals and policies say."""
    gate = Gate(home, ledger, Datasets(home), Approvals(home), sandbox=sandbox)
    found = []
    for envelope, by_policy in _grounds(home, question):
        explanation = Explanation(statement_id(envelope), by_policy)
        try:
            gate.explain(explanation, _order(envelope, question), _script(question))
        except FedStudyError as error:
            if not any(check.code == error.code for check in explanation.checks):
                raise
        found.append(explanation)
    if not found:
        return Explanation("", checks=[Check("approval", False, "E_NOT_APPROVED", CODES["E_NOT_APPROVED"])])
    return max(found, key=lambda item: (item.runs, sum(check.holds for check in item.checks)))


def _grounds(home: Home, question: Question) -> list[tuple[bytes, str]]:
    """Return what could let the script run: statements about it, newest first, and what policies would make of it."""
    sha256 = digest(question.fab)
    wanted = question.dataset.id if question.dataset else ""
    grounds = [
        (signed.envelope, read_unverified(signed.envelope).policy or "")
        for signed in Approvals(home).all()
        if signed.script_sha256 == sha256 and wanted in ("", signed.dataset)
    ]
    for kept in Policies(home).in_force():
        if sha256 in kept.policy.scripts and wanted in ("", kept.policy.dataset.id):
            bundle = bundles.inspect(question.fab)
            grounds.append((sign_under(home, kept, bundle=bundle, study=kept.policy.study, sequence=0), kept.id))
    return grounds


def _order(envelope: bytes, question: Question) -> Order:
    """Write the message that a run would begin with."""
    statement = read_unverified(envelope)
    return Order(
        study=question.dataset.study if question.dataset else statement.study,
        run=NO_RUN,
        round=1,
        phase=question.phase,
        message_type=question.phase,
        sites=question.sites or statement.privacy.min_sites,
        rounds=question.rounds or statement.rounds,
        deadline=(datetime.now(UTC) + _SOON).isoformat(),
        model_sha256="",
        approval=envelope,
        dataset=statement.dataset.id,
    )


def _script(question: Question) -> Script:
    def config() -> Mapping[str, bool | float | int | str]:
        return {**bundles.inspect(question.fab).default_config, **question.config}

    def server() -> Server:
        return bundles.inspect(question.fab).declaration.server

    packages = partial(refuse_without_packages, question.fab, "client", THIS_NODE)
    return Script(digest(question.fab), len(question.fab), config, server, packages)
