"""Rows that are to be gone: what the portal removes by itself, what it waits for, and what it takes in at most."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from studies.pooling import objects, removal, selectors, tasks
from studies.pooling.consents import record_deletion, record_revocation, revoke_consent
from studies.pooling.models import PoolConsent, PooledObject
from tests.factories.pools import Pool, new_pool, sealed
from tests.pooling.test_consents import refusal, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def pool() -> Pool:
    return new_pool()


def test_rows_of_a_replaced_consent_are_deleted_while_the_newer_one_stays(pool: Pool) -> None:
    """By the site's node, as by its people; the key that they share goes with the newer rows."""
    first = pool.give()
    old = pool.send(first)
    second = pool.give()
    signed = {"envelope": pool.revocation(first, delete=True), "trusted": pool.member.revokers, "by": pool.member.node}
    revoked = record_revocation(**signed)
    assert (revoked.state, revoked.delete_asked_at is not None, revoked.awaits_proof) == ("revoked", True, True)
    assert record_revocation(**signed).state == "revoked", "handed in once more nothing changes"
    second.refresh_from_db()
    assert second.is_valid
    assert selectors.keys_with_rows_to_come(pool.centre.node.pk) == {second.key_id}
    new = pool.send(second)
    assert not selectors.keys_with_rows_to_come(pool.centre.node.pk)
    revoke_consent(consent=second, delete=True, by=pool.member.admin)
    for consent in (second, first):
        both = pool.deletion(consent, objects=[old.sha256, new.sha256])
        record_deletion(envelope=both, trusted=pool.centre.itself, by=pool.centre.node)
    assert {consent.state for consent in PoolConsent.objects.all()} == {"deleted"}
    assert not any(consent.awaits_proof for consent in PoolConsent.objects.all())


def test_the_portal_removes_its_rows_at_the_end_of_retention_though_the_pool_node_is_gone(
    pool: Pool, django_capture_on_commit_callbacks: Any, tmp_path: Any
) -> None:
    consent = pool.give()
    item = pool.send(consent)
    folder = tmp_path / "pool" / str(item.pk)
    assert not removal.end_retention(consent.retention_until - timedelta(seconds=1))
    over = timezone.now() - timedelta(seconds=1)
    PoolConsent.objects.update(retention_until=over, not_after=over)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.expire_consents()
    assert not folder.exists()
    item.refresh_from_db()
    consent.refresh_from_db()
    assert (consent.state, consent.awaits_proof, item.removed_at is not None) == ("expired", True, True)
    assert '"reason":"its retention is over"' in told("object:removed").detail
    assert not removal.end_retention(timezone.now()), "once"


def test_what_an_interruption_left_of_removed_rows_is_swept_away(pool: Pool, tmp_path: Any) -> None:
    kept, gone = pool.give(), new_pool()
    there = [tmp_path / "pool" / str(item.pk) for item in (pool.send(kept), gone.send(gone.give()))]
    PooledObject.objects.filter(consent__study=gone.study).update(removed_at=timezone.now())
    removal.sweep()
    assert [folder.exists() for folder in there] == [True, False]


def test_nothing_is_awaited_where_no_rows_came(pool: Pool) -> None:
    consent = pool.give()
    assert not revoke_consent(consent=consent, delete=True, by=pool.member.admin).awaits_proof


def test_a_node_cannot_announce_for_ever(pool: Pool, settings: Any) -> None:
    consent = pool.give()
    for _ in range(objects.MOST_OBJECTS):
        item = pool.announce(consent, sealed())
        objects.refuse_object(item=item, code="E_DIGEST", by=pool.member.node)
    assert refusal(lambda: pool.announce(consent, sealed())) == "E_POOL_LIMIT"


def test_a_node_cannot_announce_more_bytes_than_are_bearable(pool: Pool, settings: Any) -> None:
    settings.FEDSTUDY_MAX_FREIGHT = 300
    consent = pool.give()
    for _ in range(2):
        objects.refuse_object(item=pool.announce(consent, sealed(250)), code="E_DIGEST", by=pool.member.node)
    assert refusal(lambda: pool.announce(consent, sealed(250))) == "E_POOL_LIMIT"
