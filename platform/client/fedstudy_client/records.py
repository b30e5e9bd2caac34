"""What the portal answers, as plain frozen records. Every record keeps the answer itself in `raw`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from fedstudy_client.showing import table


@dataclass(frozen=True)
class Record:
    """One object of the portal. Fields that this client does not know yet are in `raw`.

    `etag` is the version of what `get` fetched (see `FedStudy.if_unchanged`).
    """

    raw: dict[str, Any] = field(repr=False, compare=False, kw_only=True, default_factory=dict)
    etag: str = field(repr=False, compare=False, kw_only=True, default="")

    @classmethod
    def read(cls, body: dict[str, Any]) -> Self:
        """A record from the JSON object that the portal sent."""
        known = {item.name: cls._value(item.name, body[item.name]) for item in fields(cls) if item.name in body}
        return cls(**known, raw=body, etag=getattr(body, "etag", ""))

    def shown(self) -> dict[str, Any]:
        """What tables show: plain fields, of what this points to the name; nothing secret, and no parts of its own."""
        named = {part.name: getattr(self, part.name) for part in fields(self) if part.repr}
        plain = {name: getattr(value, "name", value) for name, value in named.items()}
        return {name: value for name, value in plain.items() if not _has_parts(value)}

    def _repr_html_(self) -> str:
        rows = [(name.replace("_", " "), value) for name, value in self.shown().items() if value not in (None, "", [])]
        return table((type(self).__name__, ""), rows)

    @classmethod
    def _value(cls, name: str, value: Any) -> Any:
        if isinstance(value, str) and (name.endswith("_at") or name in ("at", "expiry", "not_after")):
            return datetime.fromisoformat(value)
        nested = NESTED.get(name)
        return nested.read(value) if nested is not None and isinstance(value, dict) else value


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


@dataclass(frozen=True)
class Name(Record):
    """Something that a record points to: its id and its name."""

    id: str
    name: str


@dataclass(frozen=True)
class Person(Record):
    """A person. `roles` is filled for oneself, and by `users.get`: [{role, kind, id, name}].

    `time_zone` and `language` are told to oneself alone.
    """

    id: str
    name: str
    email: str
    is_active: bool = True
    is_platform_admin: bool = False
    roles: list[dict[str, Any]] = field(default_factory=list)
    time_zone: str = ""
    language: str = ""


@dataclass(frozen=True)
class Token(Record):
    """A token of one's own; `scopes` are of "read", "design", "run". `token` is there once, right after `create`."""

    id: str
    name: str
    scopes: list[str]
    hint: str
    expires_at: datetime
    last_used_at: datetime | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Member(Record):
    """A person in a role."""

    user: Person
    role: str


@dataclass(frozen=True)
class AccessRequest(Record):
    """A request for a role in a study or at a site (`kind`, `object`, `name`), with the `answer` to it."""

    id: str
    person: Person
    role: str
    kind: str
    object: str
    name: str
    reason: str
    state: str
    asked_at: datetime
    answer: str = ""
    decided_by: Person | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True)
class Invitation(Record):
    """Somebody without an account who is invited to a role. `token` is there once, right after `invite`."""

    id: str
    email: str
    role: str
    expires_at: datetime
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Site(Record):
    """A hospital or clinic."""

    id: str
    name: str
    short_name: str
    city: str = ""
    country: str = ""


@dataclass(frozen=True)
class Node(Record):
    """The agent installed at a site. `token` is there once, right after `nodes.create`."""

    id: str
    site: Name
    name: str
    state: str
    online: bool = False
    words: str = ""
    token: str = field(default="", repr=False)
    agent_version: str = ""
    sandbox: str = ""
    last_seen_at: datetime | None = None


@dataclass(frozen=True)
class Study(Record):
    """A study. States: draft, recruiting, active, closed, archived."""

    id: str
    title: str
    slug: str
    state: str
    summary: str = ""
    aims: str = ""


@dataclass(frozen=True)
class SetUp(Record):
    """How far a study is set up: steps [{name, is_done, is_needed, detail}]; `missing` has the names of open ones."""

    steps: list[dict[str, Any]]
    missing: list[str]


@dataclass(frozen=True)
class Protocol(Record):
    """One version of a study's protocol document."""

    id: str
    number: int
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Dictionary(Record):
    """One version of a study's data dictionary."""

    id: str
    number: int
    sha256: str
    variables: list[dict[str, Any]]


@dataclass(frozen=True)
class DictionaryDraft(Record):
    """A study's next data dictionary; revision 0 is the newest version (number `base`), which nobody changed yet."""

    revision: int
    base: int
    variables: list[dict[str, Any]]
    changed_at: datetime | None = None


@dataclass(frozen=True)
class DictionaryReading(Record):
    """A data dictionary as a file holds it, also as our own table (`csv`), and what did not come with it.

    `form` is "csv", "redcap" or "json"; `notes` are [{row, column, variable, code, detail}].
    """

    form: str
    variables: list[dict[str, Any]]
    csv: str
    notes: list[dict[str, Any]]


@dataclass(frozen=True)
class Enrolment(Record):
    """A site in a study. States: invited, accepted, ready, declined, withdrawn; levels: F0 to F4."""

    id: str
    study: Name
    site: Name
    state: str
    level: str
    dataset: str | None = None
    ready_at: datetime | None = None


@dataclass(frozen=True)
class Dataset(Record):
    """What a site offers: facts and bands, never rows. `report` is {checked, passed, findings}."""

    id: str
    site: Name
    node: str
    name: str
    state: str
    fingerprint: str
    format: str
    rows_band: str
    columns: list[str]
    report: dict[str, Any]


@dataclass(frozen=True)
class LibraryScript(Record):
    """A ready script of the portal's library."""

    name: str
    title: str
    description: str
    version: str
    parameters: list[dict[str, Any]]
    dictionary: dict[str, Any] | None = None


@dataclass(frozen=True)
class Script(Record):
    """A script of a study, through all of its versions."""

    id: str
    study: Name
    name: str


@dataclass(frozen=True)
class Version(Record):
    """One immutable version of a script, named by the SHA-256 of its bundle.

    `dropped`, right after an upload of sources: files that Flower left out of the bundle.
    """

    id: str
    script: Name
    study: Name
    number: int
    sha256: str
    size: int
    state: str
    files: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    default_config: dict[str, Any]
    declaration: dict[str, Any]
    findings: list[dict[str, Any]]
    dropped: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Approval(Record):
    """A site's signed statement about one version; `envelope` (base64) is what it signed."""

    id: str
    version: str
    site: Name
    node: str
    dataset: str
    decision: str
    state: str
    statement_id: str
    approver_name: str
    signed_at: datetime
    not_after: datetime
    statement: dict[str, Any]
    envelope: str = field(repr=False)


@dataclass(frozen=True)
class Run(Record):
    """One execution of a version. `raw` has all that the portal says about it."""

    id: str
    label: str
    state: str
    rounds: int = 0
    committed: int = 0
    reason_code: str = ""
    reason: str = ""
    priority: str = "normal"
    transport: str = "float32"
    best_round: int | None = None
    parent: str | None = None
    parent_round: int | None = None
    place: dict[str, Any] | None = None

    def _repr_html_(self) -> str:
        names = ("state", "committed", "rounds", "best_round", "priority", "reason", "id")
        return table(("Run", self.label), [(name.replace("_", " "), getattr(self, name)) for name in names])

    @property
    def is_final(self) -> bool:
        """Whether the run has ended: completed, failed or stopped."""
        return self.state in FINAL


@dataclass(frozen=True)
class Release(Record):
    """A request that a model may leave. States: requested, released, refused, withdrawn; `card` is the model card."""

    id: str
    run: str
    state: str
    model_sha256: str
    model_round: int
    recipient: str
    purpose: str
    card: dict[str, Any]
    signatures_needed: int
    signatures: list[dict[str, Any]]
    reason: str = ""


@dataclass(frozen=True)
class Schedule(Record):
    """When new runs are made from a run's plan. States: active, suspended, ended."""

    id: str
    template: str
    label: str
    state: str
    kind: str
    next_at: datetime | None = None
    last_run: str | None = None
    last_problem: str = ""


@dataclass(frozen=True)
class Event(Record):
    """One entry of the audit log."""

    id: str
    at: datetime
    actor: str
    actor_label: str
    action: str
    object_type: str
    object_id: str
    outcome: str
    study: str = ""
    site: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


FINAL = ("completed", "failed", "stopped")
NESTED: dict[str, type[Record]] = {
    "site": Name, "study": Name, "script": Name, "node": Name, "user": Person, "person": Person, "decided_by": Person,
    "author": Name, "opened_by": Name, "resolved_by": Name,
}  # fmt: skip
