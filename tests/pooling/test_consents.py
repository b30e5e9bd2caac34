"""What sites consent to, as the portal keeps it, and every way in which it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import FedStudyError, Forbidden, NotFound
from fedstudy_core.keys import generate
from nodes.registry.models import Node
from nodes.registry.services import revoke_node
from studies.enrolment.degree import degree_of
from studies.enrolment.models import Enrolment
from studies.enrolment.services import change_level, withdraw_site
from studies.pooling import objects, selectors, states
from studies.pooling.consents import expire_consents, record_consent, record_deletion, record_revocation, revoke_consent
from studies.pooling.models import PoolConsent, PooledObject, PooledTable, PoolKey, PoolNode
from studies.pooling.services import end_pool_node, name_pool_node, register_key
from tests.factories.accounts import holder_of
from tests.factories.pools import Pool, enrolment_of, key_statement, member_of, new_pool, now_text, recipient, sealed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def pool() -> Pool:
    return new_pool()


def refusal(call: Callable[[], object]) -> str:
    """The code by which a call is refused; nothing is written by it."""
    before = Event.objects.count(), PoolConsent.objects.count(), PooledObject.objects.count(), PoolKey.objects.count()
    with pytest.raises(FedStudyError) as refused:
        call()
    after = Event.objects.count(), PoolConsent.objects.count(), PooledObject.objects.count(), PoolKey.objects.count()
    assert after == before
    return refused.value.code


def told(action: str) -> Event:
    return Event.objects.filter(action=f"pooling:{action}").latest("pk")


def news(pool: Pool) -> int:
    return selectors.news_for(pool.centre.node.pk) or 0


def test_a_study_has_one_pool_node_of_a_site_that_takes_part(pool: Pool) -> None:
    named = {"study": pool.study, "by": pool.pi}

    def name(member: Any, **more: Any) -> PoolNode:
        return name_pool_node(**named | {"site": member.site, "node": member.node, "node_name": "node"} | more)

    assert name(pool.centre) == pool.pool, "the same once more changes nothing"
    assert refusal(lambda: name(pool.member)) == "E_EXISTS"
    assert refusal(lambda: name(pool.centre, by=holder_of(Role.CO_INVESTIGATOR, pool.study))) == "E_FORBIDDEN"
    other = new_pool()
    assert refusal(lambda: name(other.centre)) == "E_NOT_READY"
    assert refusal(lambda: name(pool.centre, site=pool.member.site)) == "E_NODE"
    Node.objects.filter(pk=pool.centre.node.pk).update(state="frozen")
    assert refusal(lambda: name(pool.centre, node=Node.objects.get(pk=pool.centre.node.pk))) == "E_NODE"


def test_a_key_is_wanted_for_every_other_site_until_it_is_there() -> None:
    pool = new_pool(key=False)
    centre = pool.centre.node.pk
    assert [row.site for row in selectors.keys_wanted(centre)] == [pool.member.site]
    before, third = news(pool), member_of(pool.study, pool.pi)
    assert news(pool) > before, "a site that takes part from now on is news"
    assert {row.site for row in selectors.keys_wanted(centre)} == {pool.member.site, third.site}
    assert list(selectors.keys_wanted(third.node.pk)) == []

    def register(**changes: Any) -> PoolKey:
        values: dict[str, Any] = {
            "pool": pool.pool, "site": pool.member.site, "recipient": pool.recipient,
            "envelope": key_statement(pool), "trusted": pool.centre.itself, "by": pool.centre.node,
        }  # fmt: skip
        return register_key(**values | changes)

    assert refusal(lambda: register(by=third.node)) == "E_NO_POOL"
    assert refusal(lambda: register(site=third.site)) == "E_CONSENT"
    assert refusal(lambda: register(recipient=recipient())) == "E_CONSENT"
    assert refusal(lambda: register(trusted=third.itself)) == "E_NO_TRUSTED_SIGNATURE"
    assert register() == register()
    assert [row.site for row in selectors.keys_wanted(centre)] == [third.site]
    pool.recipient = recipient()
    assert refusal(lambda: register(recipient=pool.recipient, envelope=key_statement(pool))) == "E_EXISTS"


def test_a_consent_is_kept_as_two_people_signed_it(pool: Pool) -> None:
    envelope = pool.consent()
    member = pool.member
    kept = record_consent(site=member.site, envelope=envelope, trusted=member.trusted, by=member.node)
    again = record_consent(site=member.site, envelope=envelope, trusted=member.trusted, by=member.node)
    kept.refresh_from_db()
    assert (again, bytes(kept.envelope), kept.level, kept.state) == (kept, envelope, "F3", "valid")
    event = told("consent:given")
    assert (event.site, event.study) == (str(member.site.pk), str(pool.study.pk))
    assert '"people":["Ada Admin","Stella Steward"]' in event.detail
    assert Event.objects.filter(action="pooling:consent:given").count() == 1
    assert selectors.has_consent(pool.study.pk, member.site.pk, "F3")
    assert not selectors.has_consent(pool.study.pk, member.site.pk, "F4")
    assert not selectors.has_consent(pool.study.pk, pool.centre.site.pk, "F3")


WRONG: dict[str, tuple[Callable[[Pool], dict[str, Any]], str]] = {
    "another study": (lambda pool: {"study": str(new_pool().study.pk)}, "E_NOT_READY"),
    "another site": (lambda pool: {"site": str(pool.centre.site.pk)}, "E_AUDIENCE"),
    "another node": (lambda pool: {"node": str(pool.centre.node.pk)}, "E_AUDIENCE"),
    "another key": (
        lambda pool: {"pool": {"node": str(pool.centre.node.pk), "recipient": recipient()}}, "E_CONSENT"
    ),
    "another pool node": (
        lambda pool: {"pool": {"node": str(pool.member.node.pk), "recipient": pool.recipient}}, "E_CONSENT"
    ),
    "another dataset": (
        lambda pool: {"dataset": {"id": str(pool.member.dataset.pk), "fingerprint": "0" * 64}}, "E_DATASET"
    ),
    "a column that the study does not have": (
        lambda pool: {
            "columns": ["age", "postcode"],
            "profile": {"age": {"action": "keep"}, "postcode": {"action": "keep"}},
        },
        "E_POOL_COLUMNS",
    ),
    "a time that is over": (
        lambda pool: {"issued_at": now_text(days=-3), "not_after": now_text(days=-1)}, "E_CONSENT_EXPIRED"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code"), WRONG.values(), ids=WRONG)
def test_a_consent_about_something_else_is_refused(
    changes: Callable[[Pool], dict[str, Any]], code: str, pool: Pool
) -> None:
    told = changes(pool)
    assert refusal(lambda: pool.give(**told)) == code


def test_both_people_sign_and_neither_leads_the_study(pool: Pool) -> None:
    steward = pool.member.people.pop("Stella Steward")
    envelope = None
    pool.member.people["Stella Steward"] = generate()
    envelope = pool.consent()
    pool.member.people["Stella Steward"] = steward
    member = pool.member
    hand_in = {"site": member.site, "trusted": member.trusted, "by": member.node}
    assert refusal(lambda: record_consent(envelope=envelope, **hand_in)) == "E_SIGNERS"
    pool.pi.name = "Ada Admin"
    pool.pi.save()
    assert refusal(pool.give) == "E_APPROVER"


def test_without_a_pool_node_or_its_key_nobody_consents() -> None:
    pool = new_pool(key=False)
    assert refusal(pool.give) == "E_NO_POOL"


def test_a_newer_consent_takes_the_place_of_the_one_before(pool: Pool) -> None:
    first = pool.give()
    item, old_words = pool.send(first), pool.consent()
    second = pool.give(level="F4", filter=[])
    first.refresh_from_db()
    item.refresh_from_db()
    assert (first.state, item.state, second.state) == ("replaced", "revoked", "valid")
    member = pool.member
    late = {"site": member.site, "envelope": old_words, "trusted": member.trusted, "by": member.node}
    assert refusal(lambda: record_consent(**late)) == "E_CONSENT"


def test_the_end_of_a_consent_that_was_replaced_leaves_the_newer_ones_table_alone(pool: Pool) -> None:
    """Renewed for the same rows, the table is the same dataset as before."""
    first, table, node = pool.give(), pool.table(), pool.centre.node
    objects.note_table(dataset=table, consents=[first.sha256], by=node)
    second = pool.give()
    assert not PooledTable.objects.get().is_good
    objects.note_table(dataset=table, consents=[second.sha256], by=node)
    enrolment = Enrolment.objects.get(study=pool.study, site=pool.member.site)
    change_level(enrolment=enrolment, level="F3", by=pool.member.admin)
    revoke_consent(consent=first, by=pool.member.admin)
    assert PooledTable.objects.get().is_good
    enrolment.refresh_from_db()
    assert enrolment.level == "F3"
    revoke_consent(consent=second, by=pool.member.admin)
    assert not PooledTable.objects.get().is_good


def test_an_object_comes_only_under_a_consent_and_as_it_says(pool: Pool) -> None:
    consent = pool.give()
    content = sealed()
    other = recipient()
    assert refusal(lambda: pool.announce(consent, content, recipients=[other])) == "E_CONSENT"
    wider = [["age", "int64"], ["outcome", "bool"], ["city", "string"]]
    assert refusal(lambda: pool.announce(consent, content, columns=wider)) == "E_POOL_COLUMNS"
    assert refusal(lambda: pool.announce(consent, content, k=9)) == "E_POOL_K"
    item = pool.announce(consent, content)
    assert pool.announce(consent, content) == item
    assert refusal(lambda: pool.announce(consent, sealed())) == "E_EXISTS"
    before = news(pool)
    objects.complete_object(item=item, by=pool.member.node)
    assert news(pool) > before
    assert list(selectors.objects_for_pool(pool.centre.node.pk)) == [item]
    assert list(selectors.objects_for_pool(pool.member.node.pk)) == []
    revoke_consent(consent=consent, by=pool.member.admin)
    assert refusal(lambda: pool.announce(consent, sealed())) == "E_NO_CONSENT"


def by_a_person(pool: Pool, consent: PoolConsent) -> object:
    return revoke_consent(consent=consent, reason="enough", by=pool.member.admin)


def by_the_node(pool: Pool, consent: PoolConsent) -> object:
    return record_revocation(envelope=pool.revocation(consent), trusted=pool.member.revokers, by=pool.member.node)


def by_leaving(pool: Pool, consent: PoolConsent) -> object:
    return withdraw_site(enrolment=enrolment_of(pool.member), by=pool.member.admin)


def by_losing_the_node(pool: Pool, consent: PoolConsent) -> object:
    return revoke_node(node=pool.member.node, by=pool.member.admin)


def by_the_end_of_the_pool(pool: Pool, consent: PoolConsent) -> object:
    return end_pool_node(pool=pool.pool, reason="the grant ended", by=pool.pi)


def by_losing_the_pool_node(pool: Pool, consent: PoolConsent) -> object:
    return revoke_node(node=pool.centre.node, by=pool.centre.admin)


def by_time(pool: Pool, consent: PoolConsent) -> object:
    PoolConsent.objects.filter(pk=consent.pk).update(not_after=timezone.now() - timedelta(seconds=1))
    assert not selectors.has_consent(pool.study.pk, pool.member.site.pk, "F3"), "at once, before the task looks"
    return expire_consents(timezone.now())


ENDS = [
    by_a_person,
    by_the_node,
    by_leaving,
    by_losing_the_node,
    by_the_end_of_the_pool,
    by_losing_the_pool_node,
    by_time,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_however_a_consent_ends_nothing_uses_the_rows_any_more(end: Callable[..., object], pool: Pool) -> None:
    consent = pool.give()
    item, table = pool.send(consent), pool.table()
    noted = objects.note_table(dataset=table, consents=[consent.sha256], by=pool.centre.node)
    assert noted.is_good
    before = news(pool)
    end(pool, consent)
    consent.refresh_from_db()
    item.refresh_from_db()
    noted.refresh_from_db()
    assert consent.state == ("expired" if end is by_time else "revoked")
    assert (item.state, noted.is_good, news(pool) > before) == ("revoked", False, True)
    assert not selectors.has_consent(pool.study.pk, pool.member.site.pk, "F3")
    again = PoolConsent.objects.get(pk=consent.pk)
    assert [row.pk for row in selectors.objects_for_pool(pool.centre.node.pk)] == [item.pk], "it is told to drop them"
    assert again.ended_at is not None


def test_only_the_sites_own_people_and_node_revoke(pool: Pool) -> None:
    consent = pool.give()
    assert refusal(lambda: revoke_consent(consent=consent, by=pool.pi)) == "E_FORBIDDEN"
    stranger = new_pool().pi
    assert refusal(lambda: revoke_consent(consent=consent, by=stranger)) == "E_NOT_FOUND"
    other = {"envelope": pool.revocation(consent), "trusted": pool.member.revokers, "by": pool.centre.node}
    assert refusal(lambda: record_revocation(**other)) == "E_NO_CONSENT"
    wrong = {**other, "by": pool.member.node, "trusted": pool.centre.revokers}
    assert refusal(lambda: record_revocation(**wrong)) == "E_NO_TRUSTED_SIGNATURE"
    steward = holder_of(Role.STEWARD, pool.member.site)
    assert revoke_consent(consent=consent, by=steward).state == "revoked"
    signed = {**other, "by": pool.member.node}
    assert record_revocation(**signed).revocation is not None, "what the node signs later is kept too"


def test_rows_are_deleted_when_the_pool_node_signed_that_their_key_is_gone(
    pool: Pool, django_capture_on_commit_callbacks: Any, tmp_path: Any
) -> None:
    consent = pool.give()
    item = pool.send(consent)
    folder = tmp_path / "pool" / str(item.pk)
    assert folder.is_dir()
    with django_capture_on_commit_callbacks(execute=True):
        revoke_consent(consent=consent, delete=True, by=pool.member.admin)
    assert not folder.exists(), "the encrypted rows are gone at once"
    centre = pool.centre

    def hand_in(**changes: Any) -> PoolConsent:
        return record_deletion(envelope=pool.deletion(consent, **changes), trusted=centre.itself, by=centre.node)

    item.completed_at = timezone.now()
    assert refusal(lambda: hand_in(objects=[])) == "E_CONSENT"
    assert refusal(lambda: hand_in(recipient=recipient())) == "E_CONSENT"
    deleted = hand_in()
    item.refresh_from_db()
    key = PoolKey.objects.get(recipient=pool.recipient)
    assert (deleted.state, item.state, key.state) == ("deleted", "deleted", "destroyed")
    detail = told("consent:deleted").detail
    assert item.sha256 in detail and pool.recipient in detail and "backups_until" in detail
    assert hand_in().pk == deleted.pk, "once more changes nothing"
    assert [row.site for row in selectors.keys_wanted(centre.node.pk)] == [pool.member.site], "a new key is wanted"


def test_a_table_with_rows_that_ended_is_not_taken(pool: Pool) -> None:
    consent = pool.give()
    pool.send(consent)
    table = pool.table()
    node = pool.centre.node
    assert refusal(lambda: objects.note_table(dataset=table, consents=["0" * 64], by=node)) == "E_CONSENT"
    mine = {"dataset": pool.member.dataset, "consents": [consent.sha256], "by": pool.member.node}
    assert refusal(lambda: objects.note_table(**mine)) == "E_NO_POOL"
    revoke_consent(consent=consent, by=pool.member.admin)
    late = {"dataset": table, "consents": [consent.sha256], "by": node}
    assert refusal(lambda: objects.note_table(**late)) == "E_CONSENT_REVOKED"


def test_rows_are_counted_while_they_may_be_used(pool: Pool) -> None:
    consent = pool.give()
    assert selectors.pooled_rows(pool.study) == {}
    pool.send(consent)
    assert selectors.pooled_rows(pool.study) == {pool.member.site.pk: 80}
    revoke_consent(consent=consent, by=pool.member.admin)
    assert selectors.pooled_rows(pool.study) == {}


def test_a_consent_is_seen_by_its_site_and_by_who_sees_datasets(pool: Pool) -> None:
    consent = pool.give()
    seeing = [
        pool.pi,
        pool.member.admin,
        holder_of(Role.AUDITOR, pool.study),
        holder_of(Role.STEWARD, pool.member.site),
    ]
    assert all(consent in selectors.consents_visible_to(person) for person in seeing)
    others = [pool.centre.admin, new_pool().pi]
    assert not any(consent in selectors.consents_visible_to(person) for person in others)


def test_states_that_may_be_revoked() -> None:
    assert states.REVOCABLE == ("valid", "replaced", "expired")


def test_a_consent_that_was_revoked_does_not_come_back(pool: Pool) -> None:
    envelope, member = pool.consent(), pool.member
    hand_in = {"site": member.site, "envelope": envelope, "trusted": member.trusted, "by": member.node}
    revoke_consent(consent=record_consent(**hand_in), by=member.admin)
    assert refusal(lambda: record_consent(**hand_in)) == "E_CONSENT_REVOKED"
    with pytest.raises((Forbidden, NotFound)):
        record_consent(**{**hand_in, "by": pool.centre.node})


def test_a_site_goes_to_a_level_at_which_rows_are_pooled_by_its_consent(pool: Pool) -> None:
    enrolment, admin = enrolment_of(pool.member), pool.member.admin
    assert refusal(lambda: change_level(enrolment=enrolment, level="F3", by=admin)) == "E_NO_CONSENT"
    pool.send(pool.give())
    assert refusal(lambda: change_level(enrolment=enrolment, level="F4", by=admin)) == "E_NO_CONSENT"
    assert change_level(enrolment=enrolment, level="F3", by=admin).level == "F3"
    objects.note_table(dataset=pool.table(), consents=[PoolConsent.objects.get().sha256], by=pool.centre.node)
    rows = Enrolment.objects.filter(study=pool.study).select_related("site", "dataset")
    found = degree_of(pool.study, list(rows))
    # the middle of the band of 100 to 499 rows, of which 80 do not stay; the pool's table is no site's data
    assert found.value == pytest.approx((299.5 - 80) / 299.5)
    assert [item.site for item in found.sites] == [pool.member.site.name]
