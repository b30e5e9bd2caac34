"""Small real things for tests of the shared core."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fedstudy_core.approvers import Approver
from fedstudy_core.keys import Ed25519PrivateKey, key_id
from fedstudy_core.parameters import Allowed
from fedstudy_core.statement import Statement, Use

STUDY, SITE, NODE, DATASET = (f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "1234")
NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(
    b"for tests only".ljust(32, b".")
)  # fixed: names of tests hold what it signs
ADMIN = Approver(key_id(KEY.public_key()), "Demo Admin", "site admin", KEY.public_key())
TRUSTED = {ADMIN.id: ADMIN}
SIGNER = {"key": ADMIN.id, "name": ADMIN.name, "role": ADMIN.role}

PROJECT = """
[project]
name = "tiny"
version = "1.0.0"
license = "Apache-2.0"
dependencies = ["flwr>=1.41.0"]

[tool.flwr.app]
publisher = "tests"

[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"

[tool.flwr.app.config]
local-steps = 10
learning-rate = 0.1

[tool.fedstudy]
initial = "query.initial"

[tool.fedstudy.parameters.local-steps]
min = 1
max = 100
"""

FILES = {"pyproject.toml": PROJECT.encode(), "tiny/client.py": b"app = None\n", "tiny/server.py": b"app = None\n"}


def zipped(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return buffer.getvalue()


def statement(**changes: Any) -> Statement:
    values: dict[str, Any] = {
        "v": 1,
        "study": STUDY,
        "site": SITE,
        "node": NODE,
        "script": {"sha256": "a" * 64, "size": 1000},
        "dataset": {"id": DATASET, "fingerprint": "b" * 64},
        "run_config": {"local-steps": Allowed(type="int", min="1", max="100").model_dump(exclude_none=True)},
        "rounds": 50,
        "privacy": {"min_sites": 2},
        "outputs": {"phases": ["query", "train", "evaluate"], "max_bytes": 1_000_000},
        "limits": {"wall_s": 60, "memory_mb": 1024},
        "sandbox_min": "S0",
        "meaning": "approved",
        "approvers": [SIGNER],
        "nonce": "n" * 20,
        "sequence": 1,
        "revocation_epoch": 0,
        "issued_at": "2030-01-01T00:05:00Z",
        "not_before": "2030-01-01T00:00:00Z",
        "not_after": "2030-03-01T00:00:00Z",
    }
    return Statement.model_validate({**values, **changes})


def use(**changes: Any) -> Use:
    values: dict[str, Any] = {
        "site": SITE,
        "node": NODE,
        "study": STUDY,
        "script_sha256": "a" * 64,
        "script_size": 1000,
        "dataset_id": DATASET,
        "dataset_fingerprint": "b" * 64,
        "run_config": {"local-steps": 10},
        "rounds": 50,
        "phase": "train",
        "sites": 2,
        "sandbox": "S0",
        "rows": 100,
        "people": ["site admin"],
    }
    return Use(**{**values, **changes})
