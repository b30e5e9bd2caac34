"""The site's signed statements at the node, and what was revoked since."""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fedstudy_core import statement as statements
from fedstudy_core.bundle import Bundle
from fedstudy_core.parameters import allowed
from fedstudy_core.statement import Statement
from fedstudy_core.times import format_time
from fedstudy_node.datasets import Dataset
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, Settings, now_text, write_private

LONGEST_DAYS = 180
PHASES = ("query", "train", "evaluate")


@dataclass(frozen=True)
class Limits:
    """What a site grants a script. Times in seconds per message, memory in MiB, output in bytes per reply."""

    days: int = 90
    rounds: int = 500
    min_sites: int = 1
    wall_s: int = 3600
    memory_mb: int = 8192
    max_bytes: int = 512 * 1024**2

    def check(self) -> None:
        """Raises NodeError (E_TOO_LONG, E_INVALID) when the limits make no sense."""
        if not 1 <= self.days <= LONGEST_DAYS:
            raise NodeError("E_TOO_LONG", f"An approval is good for 1 to {LONGEST_DAYS} days.")
        if min(self.rounds, self.min_sites, self.wall_s, self.memory_mb, self.max_bytes) < 1:
            raise NodeError("E_INVALID", "Each limit of an approval is 1 or more.")


@dataclass(frozen=True)
class Signed:
    """A statement as this node keeps it."""

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
    approver: Mapping[str, str],
    sequence: int,
    epoch: int,
) -> Statement:
    """Write what a site is about to sign, from what the node itself holds."""
    limits.check()
    begins = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return Statement.model_validate(
        {
            "v": 1,
            "study": study,
            "site": settings.site,
            "node": settings.node,
            "script": {"sha256": bundle.sha256, "size": bundle.size},
            "dataset": {"id": dataset.id, "fingerprint": dataset.fingerprint},
            "run_config": allowed(bundle.parameters),
            "rounds": limits.rounds,
            "privacy": {"min_sites": limits.min_sites},
            "outputs": {"phases": list(PHASES), "max_bytes": limits.max_bytes},
            "limits": {"wall_s": limits.wall_s, "memory_mb": limits.memory_mb},
            "sandbox_min": "S0",
            "meaning": decision,
            "approver": dict(approver),
            "nonce": secrets.token_hex(16),
            "sequence": sequence,
            "revocation_epoch": epoch,
            "not_before": format_time(begins),
            "not_after": format_time(begins + timedelta(days=limits.days)),
        }
    )


@dataclass
class Approvals:
    """The statements in a node's home."""

    home: Home
    _revoked: tuple[int, Revocations] | None = None

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
            raise NodeError("E_NOT_FOUND", f"This node has no approval {text!r}.")
        return found[0]

    def revocations(self) -> Revocations:
        """Read what was revoked here; looked at again whenever the file changes."""
        file = self.home.path / "revoked.json"
        changed = file.stat().st_mtime_ns
        if self._revoked is None or self._revoked[0] != changed:
            raw = json.loads(file.read_bytes())
            self._revoked = (changed, Revocations(int(raw["epoch"]), dict(raw["statements"])))
        return self._revoked[1]

    def revoke(self, statement_id: str, reason: str) -> None:
        """Stop a statement from counting here, at once and without anybody else."""
        now = self.revocations()
        entries = {**now.statements, statement_id: {"at": now_text(), "reason": reason}}
        self._save_revocations(now.epoch, entries)

    def revoke_all(self) -> int:
        """Void every statement signed so far; return the new epoch."""
        now = self.revocations()
        self._save_revocations(now.epoch + 1, now.statements)
        return now.epoch + 1

    def statement_of(self, signed: Signed) -> Statement:
        """Verify and parse a kept statement."""
        return statements.verify_statement(signed.envelope, self.home.trusted_keys())

    def _save_revocations(self, epoch: int, entries: Mapping[str, Mapping[str, str]]) -> None:
        content = json.dumps({"epoch": epoch, "statements": entries}, indent=1)
        write_private(self.home.path / "revoked.json", content.encode())
        self._revoked = None
