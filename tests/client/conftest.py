"""What the client's tests share."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture
def nobody_tried_yet() -> Iterator[None]:
    """Throttles count from zero."""
    cache.clear()
    yield
    cache.clear()
