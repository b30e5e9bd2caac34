"""What the API's tests share."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nobody_tried_yet(db: None) -> Iterator[None]:
    """Throttles count from zero in every test."""
    cache.clear()
    yield
    cache.clear()
