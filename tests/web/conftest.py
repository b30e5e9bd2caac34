"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from tests.api.world import World

Browser = Callable[[str], Client]


@pytest.fixture(autouse=True)
def nobody_tried_yet() -> Iterator[None]:
    """Tries to sign in count from zero in every test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def browser(world: World) -> Browser:
    """A browser of "anonymous" or of somebody of the world, signed in."""

    def open_for(who: str) -> Client:
        client = Client()
        if who != "anonymous":
            client.force_login(getattr(world, who), backend="django.contrib.auth.backends.ModelBackend")
        return client

    return open_for
