"""Changes in transactions of their own are watched too: none of these is a part of the test's."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts.services import create_site
from tests.audit.watching import watched
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def every_change_is_an_event() -> None:
    """The test does it itself: it makes a change that is not told."""


class Undone(Exception):
    """What a transaction is given up with."""


def test_real_transactions_are_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is rolled back, a whole one that is, and one that is committed with its event or without."""
    admin = UserFactory(is_platform_admin=True)
    with watched() as watch:
        create_site(name="Told", short_name="told", by=admin)
        with pytest.raises(Undone), transaction.atomic():
            create_site(name="Undone", short_name="undone", by=admin)
            raise Undone
    assert watch.silent == []
    monkeypatch.setattr("accounts.services.record", lambda **_: None)
    with watched() as watch:
        with pytest.raises(Undone), transaction.atomic():
            create_site(name="Undone", short_name="undone", by=admin)
            raise Undone
        with transaction.atomic(), pytest.raises(Undone), transaction.atomic():
            create_site(name="Undone", short_name="undone", by=admin)
            raise Undone
        assert watch.silent == []
        create_site(name="Unseen", short_name="unseen", by=admin)
    assert "accounts_site" in {write.table for write in watch.silent}
