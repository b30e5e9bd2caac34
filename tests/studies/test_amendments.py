"""A version that replaces another: what ends, when, and for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import Event
from fedstudy_core.times import format_time
from studies.scripts import selectors
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.services import record_approval, submit_version, withdraw_version
from tests.factories.studies import SiteInStudy, bundle_of, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def part() -> SiteInStudy:
    study, pi = new_study(state="recruiting")
    return site_in_study(study, pi)


@pytest.fixture
def first(part: SiteInStudy) -> ScriptVersion:
    return new_version(part.study, part.pi)


def amend(
    part: SiteInStudy, version: ScriptVersion, *, replaces: bool = True, text: bytes = b"x = 1\n"
) -> ScriptVersion:
    fab = bundle_of(more=text)
    return submit_version(script=version.script, bundle=fab, replaces_previous=replaces, by=part.pi)


def sign(part: SiteInStudy, version: ScriptVersion, **changes: object) -> Approval:
    return record_approval(
        version=version,
        site=part.site,
        node_id=part.node.pk,
        dataset=part.dataset,
        envelope=part.envelope(version, **changes),
        trusted=part.trusted,
        by=part.node,
    )


def in_force(*versions: ScriptVersion) -> list[int]:
    return [len(selectors.approvals_in_force(version, timezone.now())) for version in versions]


def test_a_new_version_ends_nothing_until_a_site_signs_it(part: SiteInStudy, first: ScriptVersion) -> None:
    other = site_in_study(part.study, part.pi)
    mine, theirs = sign(part, first), sign(other, first)
    second = amend(part, first)
    assert second.replaces == first
    assert in_force(first, second) == [2, 0]
    sign(part, second)
    assert in_force(first, second) == [1, 1]
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.state, mine.revoked_reason) == ("revoked", "replaced by version 2")
    assert theirs.state == "valid"
    assert Event.objects.filter(action="scripts:approval:revoked").count() == 1


def test_a_rejected_amendment_leaves_the_old_approval(part: SiteInStudy, first: ScriptVersion) -> None:
    sign(part, first)
    second = amend(part, first)
    sign(part, second, meaning="rejected")
    assert in_force(first, second) == [1, 0]


def test_an_amendment_signed_for_later_leaves_the_old_approval(part: SiteInStudy, first: ScriptVersion) -> None:
    sign(part, first)
    second = amend(part, first)
    sign(part, second, not_before=format_time(timezone.now() + timedelta(days=1)))
    assert in_force(first, second) == [1, 0]


def test_a_version_beside_another_ends_nothing(part: SiteInStudy, first: ScriptVersion) -> None:
    sign(part, first)
    second = amend(part, first, replaces=False)
    assert second.replaces is None
    sign(part, second)
    assert in_force(first, second) == [1, 1]


def test_what_was_replaced_before_ends_too(part: SiteInStudy, first: ScriptVersion) -> None:
    sign(part, first)
    third = amend(part, amend(part, first), text=b"x = 2\n")
    assert selectors.replaced_versions(third) == [ScriptVersion.objects.get(number=2).pk, first.pk]
    sign(part, third)
    assert in_force(first, third) == [0, 1]


def test_a_version_that_was_taken_back_is_not_replaced(part: SiteInStudy, first: ScriptVersion) -> None:
    withdraw_version(version=amend(part, first), by=part.pi)
    assert amend(part, first, text=b"x = 2\n").replaces == first


def test_taking_the_old_version_back_ends_its_approvals_at_once(part: SiteInStudy, first: ScriptVersion) -> None:
    sign(part, first)
    second = amend(part, first)
    withdraw_version(version=first, by=part.pi)
    assert in_force(first, second) == [0, 0]


def test_the_version_that_a_site_approved_last(part: SiteInStudy, first: ScriptVersion) -> None:
    second = amend(part, first)
    assert selectors.last_approved(second, [part.site.pk]) is None
    sign(part, first)
    third = amend(part, second, text=b"x = 2\n")
    assert selectors.last_approved(third, [part.site.pk]) == first
    sign(part, second)
    assert selectors.last_approved(third, [part.site.pk]) == second
    assert selectors.last_approved(first, [part.site.pk]) is None
    assert selectors.last_approved(third, []) is None


def test_no_version_replaces_itself(first: ScriptVersion) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ScriptVersion.objects.filter(pk=first.pk).update(replaces=first)


def test_the_log_says_what_is_replaced(part: SiteInStudy, first: ScriptVersion) -> None:
    amend(part, first)
    assert '"replaces":1' in Event.objects.filter(action="scripts:version:submitted").latest("pk").detail
