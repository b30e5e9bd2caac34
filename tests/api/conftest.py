"""What the API's tests share."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.api import world as worlds
from tests.api.world import World


@pytest.fixture(autouse=True)
def nobody_tried_yet(db: None) -> Iterator[None]:
    """Throttles count from zero in every test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def world() -> World:
    """A portal with a study that is ready for runs."""
    return worlds.build()
