"""What the client's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache

from fedstudy_client import credentials
from fedstudy_client.credentials import Credentials
from tests.client.answering import URL, Portal


@pytest.fixture
def nobody_tried_yet() -> Iterator[None]:
    """Throttles count from zero."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Portal]:
    monkeypatch.setattr(credentials, "user_config_path", lambda name: tmp_path / "config" / name)
    for name in (credentials.TOKEN, credentials.URL, credentials.CA):
        monkeypatch.delenv(name, raising=False)
    yield Portal(monkeypatch)


@pytest.fixture
def signed_in(portal: Portal) -> Portal:
    credentials.save(Credentials(URL, "secret"))
    return portal
