"""The sites' signed statements as the portal keeps them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import FedStudyError, Forbidden, Refusal
from fedstudy_core.keys import generate, key_id
from fedstudy_core.statement import sign_statement
from fedstudy_core.times import format_time
from nodes.registry.services import revoke_node, set_approvers
from studies.dictionary.services import register_dataset
from studies.scripts import selectors
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.services import (
    record_approval,
    record_revocation,
    revoke_approval,
    submit_version,
    withdraw_version,
)
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.registry import active_node
from tests.factories.studies import SiteInStudy, bundle_of, dataset_facts, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def part() -> SiteInStudy:
    return site_in_study(*new_study(state="recruiting"))


@pytest.fixture
def version(part: SiteInStudy) -> ScriptVersion:
    return new_version(part.study, part.pi)


def hand_in(part: SiteInStudy, version: ScriptVersion, **changes: Any) -> Approval:
    arguments: dict[str, Any] = {
        "version": version,
        "site": part.site,
        "node_id": part.node.pk,
        "dataset": part.dataset,
        "envelope": part.envelope(version),
        "trusted": part.trusted,
        "by": part.node,
    }
    return record_approval(**{**arguments, **changes})


def refusal_of(part: SiteInStudy, version: ScriptVersion, **changes: Any) -> FedStudyError:
    before = Approval.objects.count(), Event.objects.count()
    with pytest.raises(FedStudyError) as refused:
        hand_in(part, version, **changes)
    assert (Approval.objects.count(), Event.objects.count()) == before
    return refused.value


def in_force(version: ScriptVersion) -> list[Approval]:
    return list(selectors.approvals_in_force(version, timezone.now()))


def test_an_approval_is_kept_as_it_was_signed(part: SiteInStudy, version: ScriptVersion) -> None:
    envelope = part.envelope(version)
    approval = hand_in(part, version, envelope=envelope)
    approval = Approval.objects.get(pk=approval.pk)
    assert bytes(approval.envelope) == envelope
    assert (approval.decision, approval.state, approval.approver_name) == ("approved", "valid", "Demo Admin")
    assert approval.statement["script"]["sha256"] == version.sha256
    assert approval.key_id in part.trusted
    assert in_force(version) == [approval]
    told = Event.objects.get(action="scripts:approval:recorded")
    assert (told.actor, told.site, told.study) == (f"node:{part.node.pk}", str(part.site.pk), str(part.study.pk))


def test_the_record_says_when_the_site_wrote_the_statement(part: SiteInStudy, version: ScriptVersion) -> None:
    now = timezone.now().replace(microsecond=0)
    times = {"issued_at": format_time(now), "not_before": format_time(now - timedelta(minutes=5))}
    approval = hand_in(part, version, envelope=part.envelope(version, **times))
    assert (approval.signed_at, approval.not_before) == (now, now - timedelta(minutes=5))
    assert list(selectors.approvals_in_force(version, now - timedelta(minutes=4))) == [approval]


def test_the_key_that_signed_is_named(part: SiteInStudy, version: ScriptVersion) -> None:
    assert hand_in(part, version).key_id == part.signer["key"]


def test_the_same_statement_again_changes_nothing(part: SiteInStudy, version: ScriptVersion) -> None:
    envelope = part.envelope(version)
    assert hand_in(part, version, envelope=envelope) == hand_in(part, version, envelope=envelope)
    assert Event.objects.filter(action="scripts:approval:recorded").count() == 1


def test_site_people_may_hand_in_what_their_node_signed(part: SiteInStudy, version: ScriptVersion) -> None:
    assert hand_in(part, version, by=part.admin).state == "valid"
    assert hand_in(part, version, by=holder_of(Role.STEWARD, part.site)).state == "valid"


@pytest.mark.parametrize("who", ["pi", "auditor", "other site's admin", "stranger"])
def test_others_hand_in_nothing(part: SiteInStudy, version: ScriptVersion, who: str) -> None:
    person: User = {
        "pi": lambda: part.pi,
        "auditor": lambda: holder_of(Role.AUDITOR, part.study),
        "other site's admin": lambda: site_in_study(part.study, part.pi).admin,
        "stranger": UserFactory.create,
    }[who]()
    assert refusal_of(part, version, by=person).code == "E_NOT_FOUND"


def test_a_node_hands_in_its_own_statements_only(part: SiteInStudy, version: ScriptVersion) -> None:
    second, _ = active_node(part.site, part.admin, name="second")
    assert refusal_of(part, version, by=second).code == "E_FORBIDDEN"
    other = site_in_study(part.study, part.pi)
    assert refusal_of(part, version, by=other.node).code == "E_FORBIDDEN"


OTHER = str(uuid.UUID(int=7))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("E_STUDY", {"study": OTHER}),
        ("E_AUDIENCE", {"site": OTHER}),
        ("E_AUDIENCE", {"node": OTHER}),
        ("E_BUNDLE", {"script": {"sha256": "0" * 64, "size": 10}}),
        ("E_DATASET", {"dataset": {"id": OTHER, "fingerprint": "f" * 64}}),
    ],
)
def test_a_statement_about_something_else_is_refused(
    part: SiteInStudy, version: ScriptVersion, code: str, changes: dict[str, Any]
) -> None:
    assert refusal_of(part, version, envelope=part.envelope(version, **changes)).code == code


def test_a_statement_on_other_data_is_refused(part: SiteInStudy, version: ScriptVersion) -> None:
    other = {"id": str(part.dataset.pk), "fingerprint": "0" * 64}
    assert refusal_of(part, version, envelope=part.envelope(version, dataset=other)).code == "E_DATASET"
    elsewhere = site_in_study(part.study, part.pi)
    assert refusal_of(part, version, dataset=elsewhere.dataset).code == "E_DATASET"


def test_a_size_of_another_script_is_refused(part: SiteInStudy, version: ScriptVersion) -> None:
    script = {"sha256": version.sha256, "size": version.size + 1}
    assert refusal_of(part, version, envelope=part.envelope(version, script=script)).code == "E_BUNDLE"


@pytest.mark.parametrize(
    ("code", "begin", "end"),
    [("E_EXPIRED", -10, -1), ("E_TOO_LONG", 0, 181), ("E_EXPIRED", 5, 5), ("E_EXPIRED", 5, 4)],
)
def test_validity_has_bounds(part: SiteInStudy, version: ScriptVersion, code: str, begin: int, end: int) -> None:
    now = timezone.now()
    times = {
        "issued_at": format_time(now + timedelta(days=min(begin, end))),
        "not_before": format_time(now + timedelta(days=begin)),
        "not_after": format_time(now + timedelta(days=end)),
    }
    assert refusal_of(part, version, envelope=part.envelope(version, **times)).code == code


def test_a_statement_for_later_is_kept_but_not_in_force(part: SiteInStudy, version: ScriptVersion) -> None:
    later = format_time(timezone.now() + timedelta(days=1))
    approval = hand_in(part, version, envelope=part.envelope(version, not_before=later))
    assert in_force(version) == []
    at = timezone.now() + timedelta(days=2)
    assert list(selectors.approvals_in_force(version, at)) == [approval]
    assert not selectors.approvals_in_force(version, at + timedelta(days=100)).exists()


def test_a_signature_of_another_key_is_refused(part: SiteInStudy, version: ScriptVersion) -> None:
    stranger = generate()
    envelope = sign_statement(part.statement(version), stranger)
    assert refusal_of(part, version, envelope=envelope).code == "E_NO_TRUSTED_SIGNATURE"
    as_ours = envelope.replace(key_id(stranger.public_key()).encode(), next(iter(part.trusted)).encode())
    assert refusal_of(part, version, envelope=as_ours).code == "E_SIG"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_altered_byte_is_refused(part: SiteInStudy, version: ScriptVersion, data: st.DataObject) -> None:
    envelope = bytearray(part.envelope(version))
    place = data.draw(st.integers(0, len(envelope) - 1))
    envelope[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FedStudyError):
        hand_in(part, version, envelope=bytes(envelope))
    assert not Approval.objects.exists()


@pytest.mark.parametrize("state", ["version", "study", "dataset"])
def test_nothing_is_approved_that_is_over(part: SiteInStudy, version: ScriptVersion, state: str) -> None:
    if state == "version":
        withdraw_version(version=version, by=part.pi)
    elif state == "study":
        part.study.state = "closed"
        part.study.save()
    else:
        facts = dataset_facts(fingerprint="e" * 64)
        register_dataset(study=part.study, site=part.site, node_id=part.node.pk, facts=facts, by=part.node)
    assert refusal_of(part, version).code == "E_STATE"


def test_a_rejection_is_kept_and_never_in_force(part: SiteInStudy, version: ScriptVersion) -> None:
    approval = hand_in(part, version, envelope=part.envelope(version, meaning="rejected"))
    assert (approval.decision, approval.state) == ("rejected", "valid")
    assert in_force(version) == []


def test_the_newest_statement_counts(part: SiteInStudy, version: ScriptVersion) -> None:
    first = hand_in(part, version)
    second = hand_in(part, version)
    assert in_force(version) == [second]
    first.refresh_from_db()
    assert (first.state, first.revoked_reason) == ("revoked", "replaced by a newer statement")
    hand_in(part, version, envelope=part.envelope(version, meaning="rejected"))
    assert in_force(version) == []
    assert selectors.latest_word(version, part.node.pk) == Approval.objects.get(decision="rejected")


def test_a_revoked_statement_does_not_come_back(part: SiteInStudy, version: ScriptVersion) -> None:
    envelope = part.envelope(version)
    approval = hand_in(part, version, envelope=envelope)
    revoked = revoke_approval(approval=approval, reason="Too early.", by=part.admin)
    assert (revoked.state, revoked.revoked_reason, revoked.revocation) == ("revoked", "Too early.", None)
    assert revoked.revoked_at is not None
    assert in_force(version) == []
    assert refusal_of(part, version, envelope=envelope).code == "E_REVOKED"
    events = Event.objects.count()
    revoke_approval(approval=approval, by=part.admin)
    assert Event.objects.count() == events


def test_who_revokes(part: SiteInStudy, version: ScriptVersion) -> None:
    approval = hand_in(part, version)
    other = site_in_study(part.study, part.pi)
    second, _ = active_node(part.site, part.admin, name="second")
    for person in (part.pi, other.admin, part.node, UserFactory.create()):
        with pytest.raises(FedStudyError) as refused:
            revoke_approval(approval=approval, by=person)
        assert refused.value.code in ("E_FORBIDDEN", "E_NOT_FOUND")
    for node in (other.node, second):
        with pytest.raises(Forbidden, match="E_FORBIDDEN"):
            record_revocation(approval=approval, envelope=b"", trusted=part.trusted, by=node)
    assert revoke_approval(approval=approval, by=holder_of(Role.STEWARD, part.site)).state == "revoked"


def test_a_revoked_node_ends_its_approvals(part: SiteInStudy, version: ScriptVersion) -> None:
    approval = hand_in(part, version)
    revoke_node(node=part.node, by=part.admin)
    approval.refresh_from_db()
    assert (approval.state, approval.revoked_reason) == ("revoked", "the node was revoked")


def test_in_force_needs_the_version_and_the_data(part: SiteInStudy, version: ScriptVersion) -> None:
    approval = hand_in(part, version)
    other = submit_version(script=version.script, bundle=bundle_of(more=b"x = 1\n"), by=part.pi)
    assert (in_force(version), in_force(other)) == ([approval], [])
    facts = dataset_facts(report={"checked": True, "passed": False, "findings": []})
    register_dataset(study=part.study, site=part.site, node_id=part.node.pk, facts=facts, by=part.node)
    assert in_force(version) == []
    register_dataset(study=part.study, site=part.site, node_id=part.node.pk, facts=dataset_facts(), by=part.node)
    assert in_force(version) == [approval]
    withdraw_version(version=version, by=part.pi)
    assert in_force(version) == []


def test_who_sees_approvals(part: SiteInStudy, version: ScriptVersion) -> None:
    approval = hand_in(part, version)
    other = site_in_study(part.study, part.pi)
    for person in (part.pi, part.admin, other.admin, holder_of(Role.AUDITOR, part.study)):
        assert list(selectors.approvals_visible_to(person)) == [approval]
    assert not selectors.approvals_visible_to(UserFactory.create()).exists()


@pytest.mark.parametrize(
    "change", [{"decision": "perhaps"}, {"revoked_at": timezone.now()}, {"not_after": "2000-01-01T00:00Z"}]
)
def test_the_database_holds_approvals_together(
    part: SiteInStudy, version: ScriptVersion, change: dict[str, Any]
) -> None:
    approval = hand_in(part, version)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(**change)


@pytest.mark.parametrize("name", ["demo investigator", "by address"])
def test_who_signs_is_not_who_leads(part: SiteInStudy, version: ScriptVersion, name: str) -> None:
    told = {**part.node.approvers[0], "name": part.pi.email if name == "by address" else name}
    part.node = set_approvers(node=part.node, approvers=[told])
    with pytest.raises(Refusal, match="leads this study"):
        hand_in(part, version, envelope=part.envelope(version))


def test_a_name_that_the_node_did_not_pin_signs_nothing(part: SiteInStudy, version: ScriptVersion) -> None:
    envelope = part.envelope(version, approvers=[{**part.signer, "name": "Somebody Else"}])
    with pytest.raises(Refusal, match="E_SIGNERS"):
        hand_in(part, version, envelope=envelope)
