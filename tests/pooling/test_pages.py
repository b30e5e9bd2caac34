"""The pages of pooled rows: what each person reads, and the buttons that end a consent."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.roles import Role
from notifications.models import Notification
from studies.pooling.models import PoolConsent, PoolNode
from tests.factories.accounts import holder_of
from tests.factories.pools import Pool, enrolment_of, new_pool
from tests.web.markup import assert_sound

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def pool() -> Pool:
    made = new_pool()
    made.send(made.give())
    return made


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def read(person: User, address: str) -> str:
    answer = browser(person).get(address)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert_sound(page, whole=True)
    return " ".join(html.unescape(page).split())


def test_the_study_says_who_pools_what(pool: Pool) -> None:
    consent = PoolConsent.objects.get()
    shown = read(pool.pi, f"/studies/{pool.study.pk}/pool")
    assert '<td class="fs-number">80</td>' in shown
    assert f'href="/pool-consents/{consent.pk}"' in shown
    assert pool.pool.node_name in shown
    others = read(pool.centre.admin, f"/studies/{pool.study.pk}/pool")
    assert pool.member.site.name in others
    assert "/pool-consents/" not in others, "another site's people read no terms"
    assert "End it" not in others


def test_a_consent_reads_as_what_was_signed(pool: Pool) -> None:
    consent = PoolConsent.objects.get()
    shown = read(pool.member.admin, f"/pool-consents/{consent.pk}")
    for words in (
        "age >= 40", "in bands of 10", "as it is", "1(e)", "2(j)", "Ethics vote 12/2026", "Ada Admin", "Stella Steward",
        "site admin", "At least 10 patients share the same values of age.", "Rows of smaller groups stay.", "66 %",
        consent.sha256[:10],
    ):  # fmt: skip
        assert words in shown, words
    assert "Consent to pool rows" in read(pool.member.admin, f"/enrolments/{enrolment_of(pool.member).pk}")
    assert "Revoke and delete" not in read(pool.pi, f"/pool-consents/{consent.pk}")


def test_the_site_revokes_and_the_investigator_is_told(pool: Pool) -> None:
    consent = PoolConsent.objects.get()
    address = f"/pool-consents/{consent.pk}"
    answer = browser(pool.member.admin).post(f"{address}/revoke", {"reason": "The council asked"})
    assert answer.status_code == 302
    consent.refresh_from_db()
    assert (consent.state, consent.reason, consent.delete_asked_at) == ("revoked", "The council asked", None)
    told = Notification.objects.filter(person=pool.pi, key=f"consent:{consent.pk}:revoked").get()
    assert (told.kind, told.link) == ("revoked", address)
    shown = read(pool.member.admin, address)
    assert "Nothing uses these rows any more" in shown
    assert "The council asked" in shown
    assert browser(holder_of(Role.STEWARD, pool.member.site)).post(f"{address}/delete-rows").status_code == 302
    consent.refresh_from_db()
    assert consent.delete_asked_at is not None
    for reader in (pool.member.admin, holder_of(Role.AUDITOR, pool.study)):
        page = read(reader, address)
        assert "The pool node has not confirmed its deletion yet" in page
        assert "Removed here" in page
    assert "Deletion not confirmed by the pool node yet" in read(pool.pi, f"/studies/{pool.study.pk}/pool")


def test_deleting_asks_again_who_it_is(pool: Pool, settings: Any) -> None:
    settings.FEDSTUDY_STEP_UP_S = -1
    consent = PoolConsent.objects.get()
    answer = browser(pool.member.admin).post(f"/pool-consents/{consent.pk}/delete-rows")
    assert answer.status_code == 403
    consent.refresh_from_db()
    assert consent.state == "valid"


def test_the_investigator_names_a_pool_node_and_ends_it(pool: Pool) -> None:
    study = f"/studies/{pool.study.pk}/pool"
    pi = browser(pool.pi)
    taken = pi.post(f"{study}/node", {"node": str(pool.member.node.pk)})
    assert taken.status_code == 400
    assert "E_EXISTS" in taken.content.decode()
    assert pi.post(f"{study}/end", {"reason": "The grant ended"}).status_code == 302
    assert PoolConsent.objects.get().state == "revoked"
    assert pi.post(f"{study}/node", {"node": str(pool.member.node.pk)}).status_code == 302
    assert PoolNode.objects.get(state="named").node_id == str(pool.member.node.pk)
    assert browser(pool.member.admin).post(f"{study}/end").status_code == 403
