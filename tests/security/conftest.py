"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.audit.logs import sequence_while_waited_for


@pytest.fixture(autouse=True)
def log_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits for the log's place of what it wrote gets one."""
    sequence_while_waited_for(monkeypatch)
