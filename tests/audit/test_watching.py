"""Every change writes its event in the same transaction: the suite is watched for it, and this is seen to work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from accounts.roles import Role
from accounts.services import create_site, grant_role
from audit.models import Event, Queued
from federation.runs.services import start_run, stop_run
from nodes.registry.services import expect_node, revoke_node
from studies.enrolment.services import withdraw_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study
from studies.scripts.approvals import revoke_approval
from studies.scripts.services import create_script, withdraw_version
from tests.api.world import World
from tests.audit.services import functions
from tests.audit.untold import ROW, UNTOLD_WRITES
from tests.audit.watching import Write, domain_tables, is_untold, watched
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def every_change_is_an_event() -> None:
    """These tests do it themselves: some make a change that is not told."""


class Undone(Exception):
    """What a transaction is given up with."""


CHANGES: dict[str, Callable[[World], Any]] = {
    "a study": lambda at: create_study(title="Another", by=at.pi),
    "a site": lambda at: create_site(name="Another site", short_name="another", by=at.admin),
    "a role": lambda at: grant_role(user=at.stranger, role=Role.AUDITOR, obj=at.study, by=at.pi),
    "a node": lambda at: expect_node(site=at.site, name="another", by=at.site_admin),
    "the end of a node": lambda at: revoke_node(node=at.node, by=at.site_admin),
    "a withdrawal": lambda at: withdraw_site(enrolment=at.enrolment, by=at.site_admin),
    "a script": lambda at: create_script(study=at.study, name="Another", by=at.pi),
    "the end of a version": lambda at: withdraw_version(version=at.version, by=at.pi),
    "the end of an approval": lambda at: revoke_approval(approval=at.approval, by=at.site_admin),
    "the start of a run": lambda at: start_run(run=at.run, by=at.pi),
    "the end of a run": lambda at: stop_run(run=start_run(run=at.run, by=at.pi), reason="", by=at.pi),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_rolled_back_leaves_no_event(change: str, world: World) -> None:
    before = Event.objects.count(), Queued.objects.count()
    with pytest.raises(Undone), watched() as watch, transaction.atomic():
        CHANGES[change](world)
        assert Event.objects.count() > before[0]
        raise Undone
    assert (Event.objects.count(), Queued.objects.count()) == before
    assert watch.silent == []


def test_a_change_without_an_event_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pi = UserFactory()
    monkeypatch.setattr("studies.lifecycle.services.record", lambda **_: None)
    monkeypatch.setattr("accounts.grants.record", lambda **_: None)
    with watched() as watch, pytest.raises(Undone), transaction.atomic():
        create_study(title="Unseen", by=pi)
        raise Undone
    assert watch.silent == [], "it was rolled back"
    with watched() as watch:
        create_study(title="Unseen", by=pi)
    assert "lifecycle_study" in {write.table for write in watch.silent}
    assert any(write.by[0] == "studies.lifecycle.services.create_study" for write in watch.silent)


def test_a_change_by_one_statement_alone_is_seen() -> None:
    """As is one in a transaction after that which wrote the event."""
    study = Study(title="Another", created_by=UserFactory())
    with watched() as watch:
        study.save()
    assert watch.silent == [], "the test itself wrote it"


ANSWERED = "federation.runs.journal.note_answers"
ABSENT = "federation.runs.journal.note_absence"


@pytest.mark.parametrize(
    ("table", "columns", "by", "untold"),
    [
        ("runs_run", {"lease_until"}, ABSENT, True),
        ("runs_run", {"lease_until", "state"}, ABSENT, False),
        ("runs_participation", {"state", "answered_at"}, ANSWERED, True),
        ("runs_participation", {"state", "answered_at"}, ABSENT, False),
        ("runs_participation", {ROW}, ANSWERED, False),
        ("runs_model", {ROW}, "federation.runs.journal.close_phase", False),
        ("accounts_session", {ROW}, "portal.web.views", True),
    ],
)
def test_exceptions_are_narrow(table: str, columns: set[str], by: str, untold: bool) -> None:
    """They hold for columns of a table, and most of them for one function."""
    assert is_untold(Write(table, frozenset(columns), ("federation.runs.journal._move", by))) is untold


def test_exceptions_name_what_there_is() -> None:
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    known = functions()
    for item in UNTOLD_WRITES:
        assert item.table in domain_tables(), item
        assert set(item.columns) <= {field.column for field in models[item.table]._meta.fields} | {ROW}, item
        assert not item.by or item.by in known, item
