"""Pooled rows by the command line: what is asked of the portal, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedstudy_client import credentials
from fedstudy_client.cli import main
from fedstudy_client.credentials import Credentials
from tests.client.answering import URL, Portal, page

NODE = {"node": "n1", "name": "pool-1", "site": {"id": "c", "name": "Centre"}, "named_at": "2026-11-01T00:00:00Z"}
POOL = {
    "pool_node": NODE,
    "rows": 80,
    "sites": [{"site": {"id": "h", "name": "Hull"}, "level": "F3", "state": "valid", "not_after": "2027-01-01T00:00Z"}],
    "candidates": [{"id": "n1", "name": "pool-1"}, {"id": "n2", "name": "node"}, {"id": "n3", "name": "node"}],
}
CONSENT = {
    "id": "c1", "study": {"id": "s", "name": "Hearts"}, "site": {"id": "h", "name": "Hull"}, "level": "F3",
    "state": "revoked", "sha256": "a" * 64, "statement": {}, "signed_at": "2026-11-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z", "retention_until": "2027-02-01T00:00:00Z",
}  # fmt: skip
RUN = {"run": "r", "label": "First", "state": "completed", "models": 3}
OTHER = CONSENT | {"id": "c2", "site": {"id": "b", "name": "Basel"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Portal:
    monkeypatch.setattr(credentials, "user_config_path", lambda name: tmp_path / "config" / name)
    monkeypatch.delenv(credentials.TOKEN, raising=False)
    monkeypatch.delenv(credentials.URL, raising=False)
    portal = Portal(monkeypatch)
    credentials.save(Credentials(URL, "secret"))
    portal.answers |= {"GET studies/s/pool": POOL, "PUT studies/s/pool": POOL, "DELETE studies/s/pool": {}}
    portal.answers |= {"GET studies/s/pool-consents": page(CONSENT)}
    portal.answers |= {"POST pool-consents/c1/revoke": CONSENT, "POST pool-consents/c1/delete-rows": CONSENT}
    portal.answers |= {"GET pool-consents/c1/runs": page(RUN)}
    return portal


def sent(portal: Portal) -> tuple[str, Any]:
    return portal.came[-1][0], portal.came[-1][2]


def test_people_read_who_pools_what(asked: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "pool", "show"]) == 0
    said = capsys.readouterr().out
    assert "Hearts: pool-1 of Centre holds 80 rows" in said
    assert "Hull" in said
    assert main(["study", "pool", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == POOL


def test_a_node_is_named_by_its_name_or_id(asked: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "pool", "name", "pool-1"]) == 0
    assert sent(asked) == ("PUT studies/s/pool", {"node": "n1"})
    assert main(["study", "pool", "name", "node"]) == 1
    assert "E_AMBIGUOUS" in capsys.readouterr().err
    assert main(["study", "pool", "name", "nobody"]) == 1
    assert "E_NOT_FOUND" in capsys.readouterr().err
    assert main(["study", "pool", "end", "--yes"]) == 0
    assert sent(asked) == ("DELETE studies/s/pool", None)


def test_a_site_takes_its_rows_back(asked: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "pool", "revoke", "--reason", "enough"]) == 0
    assert sent(asked) == ("POST pool-consents/c1/revoke", {"reason": "enough"})
    assert main(["study", "pool", "delete", "--yes", "--site", "Hull"]) == 0
    assert "POST pool-consents/c1/delete-rows" in [what for what, _, _ in asked.came]
    assert "First" in capsys.readouterr().out, "the models that have seen the rows"
    asked.answers["GET studies/s/pool-consents"] = page(CONSENT, OTHER)
    assert main(["study", "pool", "revoke"]) == 1
    assert "E_AMBIGUOUS" in capsys.readouterr().err
    asked.answers["GET studies/s/pool-consents"] = page()
    assert main(["study", "pool", "revoke"]) == 1
    assert "E_NOT_FOUND" in capsys.readouterr().err
