"""The audit log: written with the change it tells of, never altered, read by who may."""

from __future__ import annotations

import json

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from accounts.models import Site
from accounts.roles import Role
from audit import presenters, selectors
from audit.models import Event
from audit.services import record
from tests.factories.accounts import SiteFactory, UserFactory, holder_of, platform_admin
from tests.factories.studies import new_study

pytestmark = pytest.mark.django_db


def event(about: Site, **changes: object) -> Event:
    return record(**{"action": "demo:thing:done", "actor": "system:tests", "obj": about, **changes})  # type: ignore[arg-type]


def test_names_are_stored_beside_ids() -> None:
    site, user = SiteFactory.create(), UserFactory.create()
    found = event(site, actor=user, site=site.pk, detail={"b": 1, "a": "ü"})
    assert (found.actor, found.actor_label) == (f"user:{user.pk}", user.name)
    assert (found.object_type, found.object_id, found.object_label) == ("site", str(site.pk), site.name)
    assert (found.site, found.study) == (str(site.pk), "")
    assert event(site, site=site, study=str(site.pk)).site == str(site.pk)
    assert found.detail == '{"a":"ü","b":1}'


def test_how_somebody_writes_a_name_or_a_reason_does_not_undo_what_they_did() -> None:
    detail = {"reason": "first line\r\nsecond\x07", "sites": [{"site": "Zu\u0308rich"}], "rounds": 3}
    found = event(SiteFactory.create(), detail=detail)
    written = {"reason": "first line\nsecond\ufffd", "sites": [{"site": "Zürich"}], "rounds": 3}
    assert json.loads(found.detail) == written


@pytest.mark.parametrize("change", ["update", "delete", "save", "queryset delete"])
def test_events_cannot_be_changed_or_deleted(change: str) -> None:
    found = event(SiteFactory.create())
    with pytest.raises(DatabaseError, match="Cannot update or delete rows"), transaction.atomic():
        match change:
            case "update":
                Event.objects.filter(pk=found.pk).update(outcome="failed")
            case "delete":
                found.delete()
            case "save":
                found.actor_label = "somebody else"
                found.save()
            case _:
                Event.objects.all().delete()
    assert Event.objects.get(pk=found.pk).outcome == "done"


@pytest.mark.parametrize("action", ["", "thing", "area:subject", "Area:subject:action", "area:subject:action:more"])
def test_actions_are_area_subject_action(action: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        event(SiteFactory.create(), action=action)


def test_unknown_outcomes_are_refused() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        event(SiteFactory.create(), outcome="maybe")


def test_detail_is_canonical_or_refused() -> None:
    with pytest.raises(Exception, match="E_"):
        event(SiteFactory.create(), detail={"share": 0.5})


@pytest.mark.django_db(transaction=True)
def test_an_event_is_written_in_a_transaction_only() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        event(SiteFactory.create())


def test_an_event_vanishes_with_the_change_that_failed() -> None:
    site = SiteFactory.create()
    with pytest.raises(ValueError, match="undone"), transaction.atomic():
        event(site)
        raise ValueError("undone")
    assert not Event.objects.filter(action="demo:thing:done").exists()


def test_people_read_what_they_may_audit() -> None:
    study, pi = new_study()
    site, other = SiteFactory.create(), SiteFactory.create()
    readers = {
        "pi": pi,
        "auditor": holder_of(Role.AUDITOR, study),
        "co": holder_of(Role.CO_INVESTIGATOR, study),
        "admin": holder_of(Role.ADMIN, site),
        "steward": holder_of(Role.STEWARD, site),
        "platform": platform_admin(),
        "stranger": UserFactory.create(),
    }
    marks = {
        "study": event(site, study=study.pk, action="mark:study:only").pk,
        "both": event(site, study=study.pk, site=site.pk, action="mark:both:here").pk,
        "other": event(site, study=study.pk, site=other.pk, action="mark:both:there").pk,
        "site": event(site, site=site.pk, action="mark:site:only").pk,
        "none": event(site, action="mark:none:here").pk,
    }
    seen = {
        name: {mark for mark, pk in marks.items() if selectors.visible_to(user).filter(pk=pk).exists()}
        for name, user in readers.items()
    }
    assert seen == {
        "pi": {"study", "both", "other"},
        "auditor": {"study", "both", "other"},
        "co": set(),
        "admin": {"both", "site"},
        "steward": {"both", "site"},
        "platform": {"site", "none"},
        "stranger": set(),
    }


def test_a_closed_account_reads_nothing() -> None:
    study, pi = new_study()
    pi.is_active = False
    pi.save()
    assert selectors.for_study(study.pk).exists()
    assert not selectors.visible_to(pi).exists()


def test_events_are_found_by_object_and_site() -> None:
    site = SiteFactory.create()
    found = event(site, site=site.pk)
    assert list(selectors.for_object("site", site.pk)) == [found]
    assert list(selectors.for_site(site.pk)) == [found]


def test_sentences_of_every_known_action_are_whole() -> None:
    for action in presenters.SENTENCES:
        text = presenters.sentence(Event(action=action, actor_label="tests", object_label="Demo Hospital"))
        assert text[0].isupper(), action
        assert text.endswith("."), action
        assert "{" not in text, action


def test_a_sentence_names_who_and_what() -> None:
    site, user = SiteFactory.create(name="Demo Hospital"), UserFactory.create(name="Ada Demo")
    detail = {"person": "Bo Demo", "role_label": "data steward"}
    found = event(site, actor=user, action="accounts:role:granted", detail=detail)
    assert presenters.sentence(found) == "Ada Demo made Bo Demo data steward of Demo Hospital."
    assert presenters.detail_of(found) == json.loads(found.detail) == detail


def test_an_action_without_words_is_read_from_its_name() -> None:
    found = event(SiteFactory.create(name="Demo Hospital"), action="some_area:big_thing:put_away")
    assert presenters.sentence(found) == "Tests: big thing put away (Demo Hospital)."
