"""Threads and checklists on a version: who writes, who reads, and what the log keeps."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid, NotFound
from studies.enrolment.services import invite_site, withdraw_site
from studies.scripts import selectors
from studies.scripts.checklist import ITEMS, save_ticks
from studies.scripts.models import ReviewComment, ReviewThread, ReviewTick, ScriptVersion
from studies.scripts.reviews import (
    LONGEST_TEXT,
    answer_thread,
    fingerprint,
    may_discuss,
    open_thread,
    reopen_thread,
    resolve_thread,
)
from studies.scripts.services import withdraw_version
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.studies import SiteInStudy, new_site, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db
SECRET = "Why is the age of 93 not grouped?"


@pytest.fixture
def part() -> SiteInStudy:
    study, pi = new_study(state="recruiting")
    return site_in_study(study, pi)


@pytest.fixture
def version(part: SiteInStudy) -> ScriptVersion:
    return new_version(part.study, part.pi)


def code_of(error: pytest.ExceptionInfo[FedStudyError]) -> str:
    return error.value.code


def test_a_site_asks_and_the_investigator_answers(part: SiteInStudy, version: ScriptVersion) -> None:
    thread = open_thread(version=version, text=f" {SECRET}\r\n", path="tiny/client.py", line=1, by=part.admin)
    answer_thread(thread=thread, text="It is, at the node.", by=part.pi)
    (seen,) = selectors.threads_visible_to(part.pi)
    said = [(item.text, item.speaks_for, item.author) for item in seen.comments.all()]
    assert said == [(SECRET, part.site.name, part.admin), ("It is, at the node.", "the investigators", part.pi)]
    assert (seen.site, seen.path, seen.line, seen.state) == (part.site, "tiny/client.py", 1, "open")


def test_the_log_holds_a_fingerprint_and_not_the_text(part: SiteInStudy, version: ScriptVersion) -> None:
    open_thread(version=version, text=SECRET, by=part.admin)
    (event,) = Event.objects.filter(action="scripts:thread:opened")
    comment = ReviewComment.objects.get()
    assert fingerprint(comment) in event.detail
    assert not any(word in event.detail for word in SECRET.split() if len(word) > 3)
    assert str(comment.pk) not in event.detail


def test_who_writes_and_who_reads(part: SiteInStudy, version: ScriptVersion) -> None:
    invited, admin_of_invited = new_site()
    invite_site(study=part.study, site=invited, by=part.pi)
    writers = [
        part.pi,
        part.admin,
        admin_of_invited,
        holder_of(Role.STEWARD, part.site),
        holder_of(Role.CO_INVESTIGATOR, part.study),
    ]
    for person in writers:
        assert may_discuss(person, part.study)
        thread = open_thread(version=version, text="Words.", kind="comment", by=person)
    auditor, stranger = holder_of(Role.AUDITOR, part.study), UserFactory.create()
    for person, error in ((auditor, Forbidden), (stranger, NotFound), (new_site()[1], NotFound)):
        assert not may_discuss(person, part.study)
        for act in (
            lambda person=person: open_thread(version=version, text="Words.", by=person),
            lambda person=person: answer_thread(thread=thread, text="Words.", by=person),
            lambda person=person: resolve_thread(thread=thread, by=person),
            lambda person=person: reopen_thread(thread=thread, by=person),
        ):
            with pytest.raises(error):
                act()
    assert selectors.threads_visible_to(auditor).count() == len(writers)
    assert not selectors.threads_visible_to(stranger).exists()


def test_a_site_that_left_writes_no_more(part: SiteInStudy, version: ScriptVersion) -> None:
    withdraw_site(enrolment=part.enrolment, by=part.admin)
    with pytest.raises(Forbidden):
        open_thread(version=version, text="Words.", by=part.admin)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": " \n "},
        {"text": "x" * (LONGEST_TEXT + 1)},
        {"text": "a\0b"},
        {"kind": "order"},
        {"path": "nothing.py"},
        {"line": 3},
        {"path": "tiny/client.py", "line": 0},
        {"path": "tiny/client.py", "line": 2**40},
    ],
)
def test_what_does_not_fit_is_refused(part: SiteInStudy, version: ScriptVersion, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refused:
        open_thread(version=version, by=part.admin, **{"text": "Words.", **wrong})  # type: ignore[arg-type]
    assert code_of(refused) == "E_INVALID"
    assert not ReviewThread.objects.exists()


def test_threads_are_resolved_and_taken_up_again(part: SiteInStudy, version: ScriptVersion) -> None:
    thread = open_thread(version=version, text="Words.", by=part.admin)
    resolved = resolve_thread(thread=thread, by=part.pi)
    assert (resolved.state, resolved.resolved_by) == ("resolved", part.pi)
    with pytest.raises(Conflict):
        resolve_thread(thread=thread, by=part.admin)
    assert reopen_thread(thread=thread, by=part.admin).resolved_at is None
    with pytest.raises(Conflict):
        reopen_thread(thread=thread, by=part.admin)
    resolve_thread(thread=thread, by=part.admin)
    answer_thread(thread=thread, text="One more thing.", by=part.pi)
    assert ReviewThread.objects.get().state == "open"
    verbs = [
        action.rpartition(":")[2]
        for action in Event.objects.filter(action__startswith="scripts:thread")
        .order_by("pk")
        .values_list("action", flat=True)
    ]
    assert verbs == ["opened", "resolved", "reopened", "resolved", "reopened", "answered"]


def test_an_archived_study_is_quiet(part: SiteInStudy, version: ScriptVersion) -> None:
    for state in ("active", "closed", "archived"):
        part.study.state = state
        part.study.save()
    with pytest.raises(Conflict):
        open_thread(version=version, text="Words.", by=part.pi)


def test_the_database_holds_threads_together(part: SiteInStudy, version: ScriptVersion) -> None:
    open_thread(version=version, text="Words.", by=part.admin)
    for change in ({"state": "resolved"}, {"kind": "order"}, {"line": 4}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ReviewThread.objects.update(**change)


# --- checklists


def tick(part: SiteInStudy, version: ScriptVersion, *items: str, by: User | None = None) -> dict[str, object]:
    ticks = save_ticks(version=version, site=part.site, items=items, by=by or part.admin)
    return {item.item: item.ticked_at for item in ticks}


def test_ticks_keep_their_time_until_they_are_taken_away(part: SiteInStudy, version: ScriptVersion) -> None:
    first = tick(part, version, "purpose", "source")
    second = tick(part, version, "source", "limits")
    assert set(second) == {"source", "limits"}
    assert second["source"] == first["source"]
    event = Event.objects.filter(action="scripts:checklist:saved").latest("pk")
    assert '"items":"limits, source"' in event.detail
    assert event.site == str(part.site.pk)


def test_each_reviewer_has_a_list_and_sites_see_their_own(part: SiteInStudy, version: ScriptVersion) -> None:
    steward, other = holder_of(Role.STEWARD, part.site), site_in_study(part.study, part.pi)
    tick(part, version, "purpose")
    tick(part, version, "limits", by=steward)
    tick(other, version, "source")
    seen = {(item.reviewer, item.item) for item in selectors.ticks_visible_to(steward)}
    assert seen == {(part.admin, "purpose"), (steward, "limits")}
    for person in (part.pi, holder_of(Role.AUDITOR, part.study), UserFactory.create()):
        assert not selectors.ticks_visible_to(person).exists()


def test_who_ticks(part: SiteInStudy, version: ScriptVersion) -> None:
    for person in (part.pi, holder_of(Role.AUDITOR, part.study), new_site()[1]):
        with pytest.raises((Forbidden, NotFound)):
            tick(part, version, "purpose", by=person)
    with pytest.raises(Invalid):
        tick(part, version, "everything")
    foreign, admin = new_site()
    with pytest.raises(Conflict):
        save_ticks(version=version, site=foreign, items=["purpose"], by=admin)
    withdraw_version(version=version, by=part.pi)
    with pytest.raises(Conflict):
        tick(part, version, "purpose")
    assert not ReviewTick.objects.exists()


def test_the_list_names_each_thing_once() -> None:
    assert len({item.key for item in ITEMS}) == len(ITEMS)
