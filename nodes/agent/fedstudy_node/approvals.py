"""The site's signed statements at the node, and what was revoked since."""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fedstudy_core.bundle import Bundle
from fedstudy_core.errors import Refusal
from fedstudy_core.levels import PHASES
from fedstudy_core.parameters import allowed
from fedstudy_core.statement import Floor, Level, Statement, level_of
from fedstudy_core.times import format_time
from fedstudy_node.datasets import Dataset
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, Settings, now_text, write_private

LONGEST_DAYS = 180
# A statement begins a little in the past: the portal's clock may be behind this node's.
BEGINS_BEFORE = timedelta(minutes=5)


@dataclass(frozen=True)
class Limits:
    """What a site grants a script. Times in seconds per message, memory in MiB, output in bytes per reply."""

    days: int = 90
    rounds: int = 500
    min_sites: int = 3
    min_rows: int = 1
    wall_s: int = 3600
    memory_mb: int = 8192
    max_bytes: int = 512 * 1024**2
    max_norm: int | None = None
    sandbox_min: Level = "S3"

    def check(self) -> None:
        """Raises NodeError (E_TOO_LONG, E_INVALID) when the limits make no sense."""
        if not 1 <= self.days <= LONGEST_DAYS:
            raise NodeError("E_TOO_LONG", f"An approval is good for 1 to {LONGEST_DAYS} days.")
        counts = (self.rounds, self.min_sites, self.min_rows, self.wall_s, self.memory_mb, self.max_bytes)
        if min(*counts, 1 if self.max_norm is None else self.max_norm) < 1:
            raise NodeError("E_INVALID", "Each limit of an approval is 1 or more.")

    def at_least(self, floor: Floor) -> "Limits":
        """Return these limits, tightened to what the dataset's steward demands."""
        return replace(
            self,
            min_sites=max(self.min_sites, floor.min_sites),
            min_rows=max(self.min_rows, floor.min_rows),
            sandbox_min=max(self.sandbox_min, floor.sandbox_min, key=level_of),
        )


@dataclass(frozen=True)
class Signed:
    """A statement as this node keeps it. `portal_id` is empty until the portal has it."""

    statement_id: str
    envelope: bytes
    script: str
    version: str
    decision: str
    study: str
    dataset: str
    script_sha256: str
    not_after: str
    signed_at: str = field(default_factory=now_text)
    portal_id: str = ""
    revocation_told: bool = False


@dataclass(frozen=True)
class Revocations:
    """What no longer counts: single statements by id, and all below an epoch."""

    epoch: int
    statements: Mapping[str, Mapping[str, str]]


def build_statement(
    *,
    settings: Settings,
    study: str,
    bundle: Bundle,
    dataset: Dataset,
    limits: Limits,
    decision: str,
    approvers: Sequence[Mapping[str, str]],
    sequence: int,
    epoch: int,
    policy: str | None = None,
    phases: Sequence[str] = PHASES,
) -> Statement:
    """Write what a site is about to sign, from what the node itself holds.

    Args:
        phases: what the site may be asked for.
        approvers: the people who sign: the id of each one's `key`, `name` and `role`.
        policy: the standing policy under which the node itself signs.
    """
    limits.check()
    issued = datetime.now(UTC).replace(microsecond=0)
    begins = issued - BEGINS_BEFORE
    metrics = sorted(bundle.declaration.metrics) or None
    return Statement.model_validate(
        {
            "v": 1,
            "study": study,
            "site": settings.site,
            "node": settings.node,
            "script": {"sha256": bundle.sha256, "size": bundle.size},
            "server": bundle.declaration.server,
            "dataset": {"id": dataset.id, "fingerprint": dataset.fingerprint},
            "run_config": allowed(bundle.parameters),
            "rounds": limits.rounds,
            **terms(limits, metrics, phases),
            "sandbox_min": limits.sandbox_min,
            "meaning": decision,
            "approvers": [dict(approver) for approver in approvers],
            "policy": policy,
            "nonce": secrets.token_hex(16),
            "sequence": sequence,
            "revocation_epoch": epoch,
            "issued_at": format_time(issued),
            "not_before": format_time(begins),
            "not_after": format_time(begins + timedelta(days=limits.days)),
        }
    )


def terms(limits: Limits, metrics: Sequence[str] | None, phases: Sequence[str]) -> dict[str, Any]:
    """Return the terms that statements and standing policies have in common, as they write them."""
    return {
        "privacy": {"min_sites": limits.min_sites, "min_rows": limits.min_rows},
        "outputs": {
            "phases": list(phases),
            "max_bytes": limits.max_bytes,
            "metrics": None if metrics is None else list(metrics),
            "max_norm": limits.max_norm,
        },
        "limits": {"wall_s": limits.wall_s, "memory_mb": limits.memory_mb},
    }


@dataclass
class Approvals:
    """The statements in a node's home."""

    home: Home
    _revoked: tuple[bytes, Revocations] | None = None

    def keep(self, signed: Signed) -> None:
        """Keep a statement (again, when its portal id became known)."""
        raw = asdict(signed) | {"envelope": b64encode(signed.envelope).decode("ascii")}
        write_private(self.home.approvals_path / f"{signed.statement_id}.json", json.dumps(raw, indent=1).encode())

    def all(self) -> list[Signed]:
        """Return the statements, newest first."""
        found = []
        for file in self.home.approvals_path.glob("*.json"):
            raw: dict[str, Any] = json.loads(file.read_bytes())
            found.append(Signed(**(raw | {"envelope": b64decode(raw["envelope"])})))
        return sorted(found, key=lambda signed: signed.signed_at, reverse=True)

    def find(self, text: str) -> Signed:
        """Return a statement by its id, the beginning of it (8 or more), or the portal's id."""
        found = [
            item
            for item in self.all()
            if text == item.portal_id or (len(text) >= 8 and item.statement_id.startswith(text))
        ]
        if len(found) != 1:
            raise NodeError("E_NOT_FOUND", f"This node has no approval {text!r}: see `fedstudy-node status`.")
        return found[0]

    def revocations(self) -> Revocations:
        """Read what was revoked here. The file's time would not tell of two changes within one tick of the clock."""
        content = (self.home.path / "revoked.json").read_bytes()
        if self._revoked is None or self._revoked[0] != content:
            raw = json.loads(content)
            self._revoked = (content, Revocations(int(raw["epoch"]), dict(raw["statements"])))
        return self._revoked[1]

    def withdrawn(self, statement_id: str, statement: Statement) -> Refusal | None:
        """Return why a statement was taken back (E_REVOKED, E_REVOKED_EPOCH); None while it was not."""
        revoked = self.revocations()
        if revoked.statements.keys() & {statement_id, statement.policy}:
            return Refusal("E_REVOKED")
        return Refusal("E_REVOKED_EPOCH") if statement.revocation_epoch < revoked.epoch else None

    def revoke(self, statement_id: str, reason: str, by: str = "") -> None:
        """Stop a statement, or a standing policy, from counting here, at once and without anybody else.

        Args:
            by: names and roles of who signed the revocation; empty on the console, where nobody does.
        """
        with self.home.changing():
            now = self.revocations()
            entries = {**now.statements, statement_id: {"at": now_text(), "reason": reason, "by": by}}
            self._save_revocations(now.epoch, entries)

    def revoke_all(self) -> int:
        """Void every statement signed so far; return the new epoch."""
        with self.home.changing():
            now = self.revocations()
            self._save_revocations(now.epoch + 1, now.statements)
        return now.epoch + 1

    def _save_revocations(self, epoch: int, entries: Mapping[str, Mapping[str, str]]) -> None:
        content = json.dumps({"epoch": epoch, "statements": entries}, indent=1)
        write_private(self.home.path / "revoked.json", content.encode())
