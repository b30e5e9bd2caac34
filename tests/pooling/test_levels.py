"""The level of a site whose consent to pool rows ends: nobody trains on its rows, until it chooses again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Event
from studies.enrolment.models import LevelChange
from studies.enrolment.services import change_level, withdraw_site
from studies.pooling.consents import expire_consents, revoke_consent
from studies.pooling.models import PoolConsent
from tests.factories.pools import Pool, enrolment_of, new_pool

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def pool() -> Pool:
    """The site pools at F3."""
    made = new_pool()
    made.give()
    change_level(enrolment=enrolment_of(made.member), level="F3", by=made.member.admin)
    return made


def level(pool: Pool) -> str:
    return enrolment_of(pool.member).level


def last_change() -> Event:
    return Event.objects.filter(action="enrolment:level:changed").latest("pk")


def test_the_level_of_a_site_falls_with_its_consent(pool: Pool) -> None:
    revoke_consent(consent=PoolConsent.objects.get(), reason="The council asked", by=pool.member.admin)
    assert level(pool) == "F0"
    assert '"reason":"its consent to pool rows ended: The council asked"' in last_change().detail
    assert LevelChange.objects.latest("at").by == pool.member.admin
    assert change_level(enrolment=enrolment_of(pool.member), level="F2", by=pool.member.admin).level == "F2"


def test_nobody_chose_the_level_of_a_site_whose_consent_ran_out(pool: Pool) -> None:
    PoolConsent.objects.update(not_after=timezone.now() - timedelta(seconds=1))
    assert expire_consents(timezone.now()) == 1
    assert (level(pool), LevelChange.objects.latest("at").by) == ("F0", None)


def test_a_newer_consent_leaves_the_level(pool: Pool) -> None:
    pool.give()
    assert level(pool) == "F3"


def test_a_site_that_pools_at_no_level_keeps_the_one_it_chose(pool: Pool) -> None:
    change_level(enrolment=enrolment_of(pool.member), level="F1", by=pool.member.admin)
    before = last_change()
    revoke_consent(consent=PoolConsent.objects.get(), by=pool.member.admin)
    assert (level(pool), last_change()) == ("F1", before)


def test_a_site_that_left_keeps_its_last_level(pool: Pool) -> None:
    withdraw_site(enrolment=enrolment_of(pool.member), by=pool.member.admin)
    assert PoolConsent.objects.get().state == "revoked"
    assert level(pool) == "F3"
