"""The approval statement: what a site signs, and whether it covers one exact use.

A statement names study, site, node, script, dataset, configuration, rounds, outputs, limits, validity and the people
who sign. It is canonical JSON in a DSSE envelope; every signature is verified before the content is parsed, unknown
fields are refused. A node that acts under a standing policy signs by its own key and names the policy (`policy`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedstudy_core import canonical, dsse
from fedstudy_core.approvers import ROLES, Approver, Name
from fedstudy_core.errors import Refusal
from fedstudy_core.parameters import Allowed
from fedstudy_core.times import parse_time

PAYLOAD_TYPE = "application/vnd.fedstudy.approval.v1+json"
MAX_VALIDITY = timedelta(days=180)
STANDING_POLICY = "standing policy"
MOST_PEOPLE = 2
SANDBOX_LEVELS = ("S0", "S1", "S2", "S3", "S4")
# What stands between a script and everything else, as people are told.
SANDBOX_WORDS = MappingProxyType(
    {
        "S0": "limits only, no wall: for synthetic data",
        "S1": "no network, and no way to more rights than it has",
        "S2": "no network, no file but the script's own",
        "S3": "a room of its own: no network, and nothing of the machine's other files and programs",
        "S4": "as S3, behind a second wall and with hard limits of memory and processes",
    }
)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Level = Literal["S0", "S1", "S2", "S3", "S4"]
Server = Literal["strategy", "own"]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ScriptRef(_Strict):
    sha256: Sha256
    size: Count


class DatasetRef(_Strict):
    id: Identifier
    fingerprint: Sha256


class Privacy(_Strict):
    """`min_sites` answers make a round; `min_rows` rows stand behind an answer."""

    min_sites: Count
    min_rows: Count = 1


class Outputs(_Strict):
    """What may leave.

    Attributes:
        metrics: the names of metrics; None where the script declares none, then any plain name.
        max_norm: bound of the update's L2 distance from the model that came; None for no bound.
    """

    phases: list[Literal["query", "train", "evaluate"]]
    max_bytes: Count
    metrics: list[Annotated[str, Field(min_length=1, max_length=80)]] | None = None
    max_norm: Count | None = None


class Limits(_Strict):
    wall_s: Count
    memory_mb: Count


class Signer(_Strict):
    """A person who signs, by the id of their key; name and role are those that the node pinned with it."""

    key: Sha256
    name: Name
    role: Literal["site admin", "data steward", "standing policy"]


class Statement(_Strict):
    """What was approved (or rejected), by whom, from when until when. Times are UTC, ISO 8601, whole seconds.

    Attributes:
        server: who leads the rounds at the centre: one of the portal's strategies, or the script's own ServerApp.
        issued_at: when the site wrote the statement. Validity begins a little earlier, since clocks differ.
    """

    v: Literal[1]
    study: Identifier
    site: Identifier
    node: Identifier
    script: ScriptRef
    server: Server = "strategy"
    dataset: DatasetRef
    run_config: dict[str, Allowed]
    rounds: Count
    privacy: Privacy
    outputs: Outputs
    limits: Limits
    sandbox_min: Level
    meaning: Literal["approved", "rejected"]
    approvers: Annotated[list[Signer], Field(min_length=1, max_length=MOST_PEOPLE)]
    policy: Sha256 | None = None
    nonce: Annotated[str, Field(min_length=16, max_length=64)]
    sequence: Annotated[int, Field(ge=0)]
    revocation_epoch: Annotated[int, Field(ge=0)]
    issued_at: str
    not_before: str
    not_after: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({signer.key for signer in self.approvers}) != len(self.approvers):
            raise ValueError("a person signs once")
        by_policy = [signer.role for signer in self.approvers] == [STANDING_POLICY]
        if by_policy != (self.policy is not None) or (not by_policy and self._names_policy()):
            raise ValueError("a standing policy signs alone, and is named")
        return self

    def _names_policy(self) -> bool:
        return any(signer.role == STANDING_POLICY for signer in self.approvers)


@dataclass(frozen=True)
class Floor:
    """What the dataset's steward asks of every approval: at least so much.

    Attributes:
        people: 2 for a site admin and a data steward.
    """

    people: int = 1
    min_sites: int = 1
    min_rows: int = 1
    sandbox_min: Level = "S0"


@dataclass(frozen=True)
class Use:
    """One use that somebody wants to make of an approval.

    Attributes:
        run_config: the fused configuration that the script would see.
        rounds: rounds of the run.
        phase: "query", "train" or "evaluate".
        sites: how many sites take part in the run.
        sandbox: the level that the node offers.
        rows: rows of the dataset at the node.
        people: the roles of the people behind the signature: the statement's own, or the standing policy's.
        floor: the dataset's own conditions.
        server: who leads the rounds, as the script's bytes say.
    """

    site: str
    node: str
    study: str
    script_sha256: str
    script_size: int
    dataset_id: str
    dataset_fingerprint: str
    run_config: Mapping[str, object]
    rounds: int
    phase: str
    sites: int
    sandbox: str
    rows: int
    people: Collection[str]
    floor: Floor = Floor()
    server: Server = "strategy"


def payload_of(statement: Statement) -> bytes:
    """The bytes that are signed (inside the envelope's PAE)."""
    return canonical.dumps(statement.model_dump(mode="json", exclude_none=True))


def sign_statement(statement: Statement, *keys: Ed25519PrivateKey) -> bytes:
    """The envelope (DSSE, JSON) around the statement, signed by console keys."""
    return dsse.sign(PAYLOAD_TYPE, payload_of(statement), keys)


def verify_statement(envelope: bytes, trusted: Mapping[str, Approver]) -> Statement:
    """The statement, when the people whom it names signed it, all of them and nobody else whom the site trusts.

    Args:
        trusted: approvers by the ids of their keys.

    Raises:
        Refusal: the codes of `dsse.verify`, then E_NOT_CANONICAL, E_DUPKEY, E_VERSION, E_FIELDS, E_SIGNERS.
    """
    keys = {name: approver.key for name, approver in trusted.items()}
    payload, signed = dsse.verify_signers(envelope, PAYLOAD_TYPE, keys)
    statement = _parse(payload)
    named = {(signer.key, signer.name, signer.role) for signer in statement.approvers}
    if named != {(name, trusted[name].name, trusted[name].role) for name in signed}:
        raise Refusal("E_SIGNERS")
    return statement


def read_unverified(envelope: bytes) -> Statement:
    """What an envelope claims, for display only."""
    return _parse(dsse.unverified_payload(envelope))


def statement_id(envelope: bytes) -> str:
    """SHA-256 of what was signed; it holds a nonce, so no two statements share an id.

    Not of the envelope: who adds or drops a signature makes another envelope around the same statement, and could so
    bring a revoked one back.

    Raises:
        Refusal: E_SIZE, E_ENVELOPE.
    """
    return canonical.digest(dsse.unverified_payload(envelope))


def _parse(payload: bytes) -> Statement:
    value = canonical.loads(payload)
    if not isinstance(value, dict):
        raise Refusal("E_FIELDS", "The statement is not an object.")
    if value.get("v") != 1 or isinstance(value.get("v"), bool):
        raise Refusal("E_VERSION")
    try:
        statement = Statement.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refusal("E_FIELDS", f"The statement's field “{where}” does not fit.") from error
    issued, _, end = map(parse_time, (statement.issued_at, statement.not_before, statement.not_after))
    if issued > end:
        raise Refusal("E_FIELDS", "The statement was written after its own end.")
    return statement


Rule = tuple[str, Callable[[], None]]


def check_use(
    statement: Statement,
    use: Use,
    *,
    now: datetime,
    revocation_epoch: int,
    revoked: Collection[str],
    identity: str,
) -> None:
    """Refuse a use that the statement does not cover; return when it covers it.

    Args:
        now: aware time of the check.
        revocation_epoch: the site's current one; statements of an earlier epoch are void.
        revoked: ids of revoked statements.
        identity: the statement's own id (`statement_id`).

    Raises:
        Refusal: the first rule that does not hold, in the order of `rules_of_use`.
    """
    for _, rule in rules_of_use(
        statement, use, now=now, revocation_epoch=revocation_epoch, revoked=revoked, identity=identity
    ):
        rule()


def rules_of_use(
    statement: Statement,
    use: Use,
    *,
    now: datetime,
    revocation_epoch: int,
    revoked: Collection[str],
    identity: str,
) -> list[Rule]:
    """The rules of `check_use`, each with a name and a check that raises Refusal; they do not build on each other."""
    floor, privacy = use.floor, statement.privacy
    script = (statement.script.sha256, statement.script.size) == (use.script_sha256, use.script_size)
    dataset = (statement.dataset.id, statement.dataset.fingerprint) == (use.dataset_id, use.dataset_fingerprint)
    demanded = privacy.min_sites >= floor.min_sites and privacy.min_rows >= floor.min_rows
    demanded = demanded and level_of(statement.sandbox_min) >= level_of(floor.sandbox_min)
    people = floor.people <= 1 or set(ROLES) <= set(use.people)
    sites = f"The site asks for {privacy.min_sites} sites; the run has {use.sites}."
    rounds = f"The run has {use.rounds} rounds; the site approved {statement.rounds}."
    sandbox = f"The site asks for sandbox {statement.sandbox_min}; the node has {use.sandbox}."
    rows = f"The site asks for {privacy.min_rows} rows or more; the dataset has fewer."
    phase = f"The site did not approve “{use.phase}” messages."
    return [
        ("decision", _rule(statement.meaning == "approved", "E_DECISION")),
        ("node", _rule((statement.site, statement.node) == (use.site, use.node), "E_AUDIENCE")),
        ("study", _rule(statement.study == use.study, "E_STUDY")),
        ("script", _rule(script, "E_BUNDLE")),
        ("who leads the rounds", _rule(statement.server == use.server, "E_CENTRE")),
        ("dataset", _rule(dataset, "E_DATASET")),
        ("configuration", lambda: _check_configuration(statement, use)),
        ("rounds of the run", _rule(use.rounds <= statement.rounds, "E_ROUNDS", rounds)),
        ("kind of message", _rule(use.phase in statement.outputs.phases, "E_OUTPUT_SCHEMA", phase)),
        ("sites", _rule(use.sites >= privacy.min_sites, "E_QUORUM", sites)),
        ("sandbox", _rule(level_of(use.sandbox) >= level_of(statement.sandbox_min), "E_SANDBOX", sandbox)),
        ("rows", _rule(use.rows >= privacy.min_rows, "E_MIN_ROWS", rows)),
        ("the steward's floor", _rule(demanded, "E_POLICY_FLOOR")),
        ("people", _rule(people, "E_SECOND_PERSON")),
        ("validity", lambda: _check_validity(statement, now)),
        ("revocation", _rule(identity not in revoked, "E_REVOKED")),
        ("revocation of all", _rule(statement.revocation_epoch >= revocation_epoch, "E_REVOKED_EPOCH")),
    ]


def _rule(holds: bool, code: str, detail: str = "") -> Callable[[], None]:
    def check() -> None:
        if not holds:
            raise Refusal(code, detail)

    return check


def _check_configuration(statement: Statement, use: Use) -> None:
    wrong = sorted(set(statement.run_config) ^ set(use.run_config)) or [
        name for name, value in use.run_config.items() if not statement.run_config[name].permits(value)
    ]
    if wrong:
        raise Refusal("E_RUN_CONFIG", f"The run's “{wrong[0]}” is not what the site approved.")


def level_of(sandbox: str) -> int:
    """A sandbox level as a number, for comparing; one that is not known is below all."""
    return SANDBOX_LEVELS.index(sandbox) if sandbox in SANDBOX_LEVELS else -1


def _check_validity(statement: Statement, now: datetime) -> None:
    begin, end = parse_time(statement.not_before), parse_time(statement.not_after)
    if end - begin > MAX_VALIDITY:
        raise Refusal("E_TOO_LONG")
    if now < begin:
        raise Refusal("E_NOT_YET")
    if now >= end:
        raise Refusal("E_EXPIRED", f"The approval ended at {statement.not_after}.")
