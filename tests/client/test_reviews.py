"""Reviews, notifications and one's own account, by the client, on a portal of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fedstudy_client import FedStudyProblem
from tests.api.world import PASSWORD, World
from tests.client.portals import Portal

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(nobody_tried_yet: None) -> Iterator[Portal]:
    with ExitStack() as stack:
        yield Portal(stack)


def test_a_review_from_the_question_to_the_answer(world: World, portal: Portal) -> None:
    ada, pi = portal.client(world.site_admin.email), portal.client(world.pi.email)
    version = pi.versions.get(world.version.pk)
    thread = ada.reviews.open(version, "Why this seed?", path="tiny/client.py", line=1)
    assert (thread.kind, thread.state, thread.opened_by.name) == ("question", "open", world.site_admin.name)
    assert pi.reviews.answer(thread, "So that it can be repeated.").author.name == world.pi.name
    assert [comment["text"] for comment in ada.reviews.get(thread).comments][-1] == "So that it can be repeated."
    assert pi.reviews.resolve(thread).state == "resolved"
    assert ada.reviews.reopen(thread).state == "open"
    assert [item.id for item in pi.reviews.list(version)] == [thread.id]
    items = [item["key"] for item in ada.reviews.checklist(version).items]
    ticked = ada.reviews.tick(version, world.site.pk, items[:2])
    assert {tick["item"] for tick in ticked.ticks} == set(items[:2])
    with pytest.raises(FedStudyProblem, match="No version came before"):
        pi.reviews.changes(version)

    (told,) = pi.notifications.list(unread=True)[:1]
    assert "Why" in told.subject or told.kind == "question"
    assert pi.notifications.mark_read(told).read_at is not None
    pi.notifications.mark_all_read()
    assert pi.notifications.list(unread=True) == []
    assert pi.notifications.by_email()
    assert not pi.notifications.choose_email(False)


def test_one_s_own_account(world: World, portal: Portal) -> None:
    pi, elsewhere = portal.client(world.pi.email), portal.client(world.pi.email)
    assert pi.account.rename("Pat P. Investigator").name == "Pat P. Investigator"
    assert pi.account.choose_time_zone("Europe/Zurich").time_zone == "Europe/Zurich"
    assert (pi.account.choose_language("de").language, pi.me().name) == ("de", "Pat P. Investigator")
    with pytest.raises(FedStudyProblem, match="E_INVALID"):
        pi.account.choose_time_zone("Mars/Olympus")
    assert pi.account.factors() == []
    with pytest.raises(FedStudyProblem, match="E_NOT_FOUND"):
        pi.account.remove_factor(1)
    assert sorted(session.is_current for session in pi.account.sessions()) == [False, True]
    other = next(session for session in pi.account.sessions() if not session.is_current)
    pi.account.end_session(other)
    with pytest.raises(FedStudyProblem, match="E_AUTHENTICATION"):
        elsewhere.me()
    pi.account.end_other_sessions()
    pi.account.change_password(current=PASSWORD, new=f"{PASSWORD} again")
    assert [session.is_current for session in pi.account.sessions()] == [True]


def test_files_and_schedules_of_a_run(world: World, portal: Portal) -> None:
    pi = portal.client(world.pi.email)
    run = pi.runs.get(world.run.pk)
    assert pi.runs.files(run) == []
    with pytest.raises(FedStudyProblem, match="E_NOT_FOUND"):
        pi.runs.file(run, "0" * 64)
    made = pi.runs.schedule(run, "ready", sites_needed=1)
    assert pi.runs.get_schedule(made).state == "active"
