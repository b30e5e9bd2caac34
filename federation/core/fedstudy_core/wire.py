"""The bodies of the node API: what an agent and the portal say to each other beside Flower."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Participation = Literal["F0", "F1", "F2", "F3", "F4"]
Level = Literal["S0", "S1", "S2", "S3", "S4"]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EnrolRequest(_Body):
    """First words of a new node. `proof` is the identity key's signature over the token (base64).

    `approver` is the name of the person who holds the approval key.
    """

    token: str = Field(min_length=20, max_length=200)
    name: str = Field(min_length=1, max_length=80)
    identity_key: str
    flower_key: str
    approval_key: str
    approver: str = Field(default="", max_length=200)
    proof: str
    agent_version: str


class SiteRef(_Body):
    id: str
    name: str


class SuperLinkRef(_Body):
    """Where the node connects to; `ca_pem` is empty when the system's certificates do."""

    address: str
    ca_pem: str


class EnrolAnswer(_Body):
    """`log_key` is by which the log's checkpoints are verified (name+id+key); empty where nothing is signed yet."""

    node: str
    site: SiteRef
    superlink: SuperLinkRef
    words: str
    log_key: str = ""


class DatasetFact(_Body):
    id: str
    fingerprint: str


class Pause(_Body):
    """The site's people paused their node."""

    since: str
    reason: str = Field(max_length=300)


class HeartbeatRequest(_Body):
    """How the node is doing.

    Attributes:
        clock: the node's own time.
        boot: names this start of the agent; another one comes with each start of its process, and after a connection
            broke on which a message may have been.
        vetoes: ids of the runs in which the site ended its part.
        page_url: where the node's own page is, for links to it; empty where it has none, None before that is settled.
        levels: the levels that the node holds to, by study.
    """

    agent_version: str
    sandbox: Level
    datasets: list[DatasetFact]
    clock: str
    boot: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    paused: Pause | None = None
    vetoes: list[str] = Field(default=[], max_length=1000)
    page_url: str | None = Field(default=None, max_length=300, pattern=r"^(https?://[a-z0-9.-]+(:[0-9]{1,5})?)?$")
    levels: dict[Annotated[str, Field(max_length=36)], Participation] = Field(default={}, max_length=1000)


class PoolNews(_Body):
    """For a pool node: `changed` rises whenever it has something to look at (`fedstudy_core.wire_pool`)."""

    changed: int


class HeartbeatAnswer(_Body):
    server_time: str
    node_state: str
    flower_node_id: str | None
    pool: PoolNews | None = None


class RotateRequest(_Body):
    """A node's new keys, with their signatures over the rotation; `token` only for a node that is frozen."""

    identity_key: str
    flower_key: str
    identity_proof: str
    flower_proof: str
    token: str = Field(default="", max_length=200)


class NodeSelf(_Body):
    """What the portal holds of the node that asks."""

    node: str
    node_state: str
    identity_key: str
    words: str


class DictionaryRef(_Body):
    id: str
    version: int
    sha256: str
    variables: list[dict[str, Any]]


class StudyRef(_Body):
    """A study in which the node's site takes part."""

    id: str
    title: str
    enrolment: str
    level: str
    state: str
    dictionary: DictionaryRef | None


class Finding(_Body):
    """Something about a dataset that does not fit its dictionary; `count_band` says for about how many rows."""

    variable: str
    code: str
    severity: Literal["error", "warning"]
    count_band: str
    detail: str


class ValidationReport(_Body):
    checked: bool
    passed: bool
    findings: list[Finding]


class DatasetRequest(_Body):
    """What the portal learns of a dataset: never a row, never an exact count.

    Attributes:
        pooled: of a pool node's table: the SHA-256 of the consents under which its rows came.
    """

    study: str
    name: str = Field(min_length=1, max_length=120)
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    format: Literal["csv", "parquet", "sqlite"]
    rows_band: str
    columns: list[str]
    report: ValidationReport
    pooled: list[str] = Field(default=[], max_length=10_000)


class Created(_Body):
    id: str


class ScriptOffer(_Body):
    """A script version that waits for, or has, this site's approval; `level` is the site's in the study."""

    version: str
    study: str
    study_title: str
    level: Participation = "F2"
    script: str
    number: int
    sha256: str
    size: int
    submitted_at: str
    parameters: list[dict[str, Any]]
    declaration: dict[str, Any]
    approval: str | None


class ApproversRequest(_Body):
    """Who may sign at the node, all of them (`fedstudy_core.approvers.ApproverKey`)."""

    approvers: list[dict[str, Any]] = Field(max_length=100)


class ApprovalRequest(_Body):
    """`envelope` is the signed statement in base64."""

    version: str
    dataset: str
    envelope: str


class ApprovalAnswer(_Body):
    id: str
    state: str


class RevocationRequest(_Body):
    envelope: str


class LogAnswer(_Body):
    """The log for a witness: its newest checkpoint, and the proof (base64) that it begins with the size asked about.

    `succession` says where the log before this one ended, if there was one (`transparency.successions`).
    """

    key: str
    checkpoint: str
    consistency: list[str]
    succession: str = ""


class CosignatureRequest(_Body):
    """A witness's key (name+id+key), and the line with its signature under the checkpoint of that size."""

    key: str = Field(max_length=300)
    size: int = Field(ge=1, le=2**53)
    cosignature: str = Field(max_length=400)


class LogRefusalRequest(_Body):
    """Why a witness refused to cosign; both checkpoints as the log signed them, `seen` may be empty."""

    code: Literal["E_LOG_FORK", "E_LOG_ROLLBACK", "E_LOG_ORIGIN", "E_NOTE", "E_NOTE_SIGNATURE"]
    seen: str = Field(max_length=4000)
    offered: str = Field(max_length=4000)
