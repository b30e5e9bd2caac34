"""Who is told of what, once, and what an e-mail says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from fedstudy_core.errors import Invalid
from notifications import selectors, services
from notifications.models import Notification, Preference
from notifications.services import choose_email, choose_kinds, email, mark_all_read, mark_read, notify
from portal.web.news import MOVES
from studies.enrolment.services import accept_invitation, invite_site, withdraw_site
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.reviews import answer_thread, open_thread
from studies.scripts.services import record_approval, revoke_approval, submit_version
from studies.scripts.tasks import announce_expiring
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.studies import SiteInStudy, bundle_of, new_site, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db
OnCommit = Callable[..., object]


@pytest.fixture
def part() -> SiteInStudy:
    study, pi = new_study(state="recruiting")
    part = site_in_study(study, pi)
    Notification.objects.all().delete()
    return part


def told(person: User) -> list[str]:
    return [item.kind for item in selectors.visible_to(person)]


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


def test_an_invited_site_is_told(part: SiteInStudy) -> None:
    site, admin = new_site()
    steward = holder_of(Role.STEWARD, site)
    invite_site(study=part.study, site=site, by=part.pi)
    assert (told(admin), told(steward), told(part.admin)) == (["invitation"], [], [])


def test_the_investigator_is_told_how_far_a_site_is(part: SiteInStudy) -> None:
    """Of each step that the study waits for, and not of what they did themselves."""
    site, admin = new_site()
    enrolment = invite_site(study=part.study, site=site, by=part.pi)
    assert told(part.pi) == []
    accept_invitation(enrolment=enrolment, by=admin)
    (news,) = selectors.visible_to(part.pi)
    assert (news.kind, news.link) == ("enrolment", f"/enrolments/{enrolment.pk}")
    assert news.subject == f"{site.name} takes part in “{part.study.title}”."
    withdraw_site(enrolment=enrolment, by=admin)
    assert [item.words for item in selectors.visible_to(part.pi)] == [MOVES["withdrawn"], MOVES["accepted"]]


def test_sites_that_take_part_are_told_of_versions(part: SiteInStudy) -> None:
    steward, (invited, invited_admin) = holder_of(Role.STEWARD, part.site), new_site()
    invite_site(study=part.study, site=invited, by=part.pi)
    first = new_version(part.study, part.pi)
    assert told(part.admin) == told(steward) == ["version"]
    assert "version" not in told(invited_admin)
    assert told(part.pi) == []
    sign(part, first)
    submit_version(script=first.script, bundle=bundle_of(more=b"x = 1\n"), by=part.pi)
    assert told(part.admin) == ["amendment", "version"]
    assert "replaces version 1" in selectors.visible_to(part.admin)[0].subject


def test_a_site_that_joins_later_is_told_of_what_waits_already(part: SiteInStudy) -> None:
    """Of the newest version of each script, once, and also the person who accepted."""
    first = new_version(part.study, part.pi)
    newest = submit_version(script=first.script, bundle=bundle_of(more=b"x = 1\n"), by=part.pi)
    late, admin = new_site()
    steward = holder_of(Role.STEWARD, late)
    enrolment = invite_site(study=part.study, site=late, by=part.pi)
    accept_invitation(enrolment=enrolment, by=admin)
    for person in (admin, steward):
        waiting = selectors.visible_to(person).filter(kind="version")
        assert [item.link for item in waiting] == [f"/scripts/{newest.pk}"]
        assert late.name in waiting[0].subject


def test_questions_and_answers_find_their_people(part: SiteInStudy) -> None:
    other = site_in_study(part.study, part.pi)
    version = new_version(part.study, part.pi)
    Notification.objects.all().delete()
    thread = open_thread(version=version, text="Why is the age of 93 not grouped?", by=part.admin)
    assert (told(part.pi), told(part.admin), told(other.admin)) == (["question"], [], [])
    answer_thread(thread=thread, text="It is.", by=part.pi)
    assert (told(part.admin), told(other.admin)) == (["answer"], [])
    answer_thread(thread=thread, text="We asked that too.", by=other.admin)
    answer_thread(thread=thread, text="Thank you.", by=part.admin)
    assert told(other.admin) == ["answer"]
    assert not any("93" in item.subject for item in Notification.objects.all())


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_the_investigator_is_told_of_a_decision(part: SiteInStudy, decision: str) -> None:
    sign(part, new_version(part.study, part.pi), meaning=decision)
    assert told(part.pi) == [decision]


def test_a_revocation_is_told_and_a_replacement_is_not(part: SiteInStudy) -> None:
    version = new_version(part.study, part.pi)
    sign(part, version)
    approval = sign(part, version)
    assert told(part.pi) == ["approved", "approved"]
    revoke_approval(approval=approval, by=part.admin)
    assert told(part.pi)[0] == "revoked"


def test_an_approval_that_ends_soon_is_told_once(part: SiteInStudy) -> None:
    approval = sign(part, new_version(part.study, part.pi))
    Notification.objects.all().delete()
    announce_expiring()
    assert told(part.admin) == []
    Approval.objects.filter(pk=approval.pk).update(not_after=timezone.now() + timedelta(days=13))
    announce_expiring()
    announce_expiring()
    assert told(part.admin) == ["expiring"]


def test_nobody_is_told_twice_or_of_what_was_undone(part: SiteInStudy) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        notify(people=[part.pi], kind="question", subject="x", link="/", key="k")
        raise ZeroDivisionError
    assert told(part.pi) == []
    for _ in range(2):
        notify(people=[part.pi, part.pi], kind="question", subject="x", link="/", key="k")
    assert told(part.pi) == ["question"]


def test_reading_is_ones_own(part: SiteInStudy) -> None:
    notify(people=[part.pi, part.admin], kind="question", subject="x", link="/", key="k")
    mine = selectors.visible_to(part.pi).get()
    mark_read(notification=mine, by=part.admin)
    assert selectors.unread_count(part.pi) == 1
    first = mark_read(notification=mine, by=part.pi).read_at
    assert mark_read(notification=mine, by=part.pi).read_at == first
    assert (selectors.unread_count(part.pi), selectors.unread_count(part.admin)) == (0, 1)
    assert (mark_all_read(by=part.admin), mark_all_read(by=part.admin)) == (1, 0)


@pytest.mark.parametrize("link", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:x"])
def test_links_stay_inside(part: SiteInStudy, link: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.create(person=part.pi, kind="question", subject="x", link=link, key="k")


# --- e-mail


def one(person: User) -> str:
    notify(people=[person], kind="question", subject="Secret words", link="/scripts/1", key="k")
    return str(selectors.visible_to(person).get().pk)


def test_an_email_says_that_something_waits_and_no_more() -> None:
    person = UserFactory.create()
    row = one(person)
    assert email(notification_id=row)
    assert not email(notification_id=row)
    (message,) = mail.outbox
    assert message.to == [person.email]
    assert "/scripts/1" in message.body
    assert "Secret" not in message.subject + message.body


def test_who_wants_none_gets_none() -> None:
    person = UserFactory.create()
    row = one(person)
    choose_email(by_email=False, by=person)
    assert not selectors.wants_email(person)
    assert not email(notification_id=row)
    choose_email(by_email=True, by=person)
    assert email(notification_id=row)


def test_closed_accounts_and_old_news_get_none() -> None:
    person = UserFactory.create()
    row = one(person)
    Notification.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert not email(notification_id=row)
    Notification.objects.update(created_at=timezone.now())
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert not email(notification_id=row)


def test_a_mail_server_that_is_down_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    row = one(UserFactory.create())

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(services, "send_mail", refuse)
    with pytest.raises(OSError):
        email(notification_id=row)
    assert [str(item.pk) for item in selectors.unsent(timezone.now())] == [row]
    monkeypatch.undo()
    assert email(notification_id=row)


def test_a_portal_without_a_mail_server_says_so(settings: object) -> None:
    settings.FEDSTUDY_SENDS_EMAIL = False  # type: ignore[attr-defined]
    assert not email(notification_id=one(UserFactory.create()))
    assert mail.outbox == []


def test_workers_are_woken_when_it_is_certain(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: OnCommit
) -> None:
    from notifications.tasks import send_email

    woken: list[str] = []
    monkeypatch.setattr(send_email, "delay", woken.append)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        row = one(UserFactory.create())
        assert woken == []
    assert woken == [row]


def test_kinds_are_chosen_for_the_page_and_for_mail(
    part: SiteInStudy, django_capture_on_commit_callbacks: OnCommit
) -> None:
    choose_kinds(not_on_page=["version"], not_by_email=["question", "approved"], by=part.admin)
    choose_kinds(not_on_page=["approved"], not_by_email=["approved"], by=part.pi)
    with django_capture_on_commit_callbacks(execute=True):
        version = new_version(part.study, part.pi)
        notify(people=[part.admin], kind="question", subject="Why?", link="/", key="why")
        sign(part, version)
    assert told(part.admin) == ["question"], "a version is told by e-mail alone"
    assert selectors.unread_count(part.admin) == 1
    assert told(part.pi) == []
    assert not Notification.objects.filter(person=part.pi, kind="approved").exists()
    rows = Notification.objects.filter(person=part.admin).order_by("kind").values_list("kind", "on_page", "by_email")
    assert list(rows) == [("question", True, False), ("version", False, True)]
    assert [row.kind for row in selectors.unsent(timezone.now()).filter(person=part.admin)] in (["version"], [])
    assert not selectors.unsent(timezone.now()).filter(kind="question", person=part.admin).exists()


@pytest.mark.parametrize("chosen", [["nothing"], ["factors"]])
def test_what_matters_in_any_case_stays_on_the_page(part: SiteInStudy, chosen: list[str]) -> None:
    with pytest.raises(Invalid):
        choose_kinds(not_on_page=chosen, not_by_email=[], by=part.pi)
    assert selectors.preference_of(part.pi).not_on_page == []
    with pytest.raises(IntegrityError), transaction.atomic():
        Preference.objects.create(person=part.pi, not_on_page=["factors"])
