"""The database's own rules hold for every session, whatever it sets."""

from __future__ import annotations

import pgtrigger
import pytest
from django.db import ProgrammingError, connection, transaction

from audit.models import Event
from audit.services import record
from studies.lifecycle.models import Study
from tests.factories.accounts import SiteFactory
from tests.factories.studies import new_study

pytestmark = pytest.mark.django_db
FUNCTIONS = """
SELECT relname, tgname, prosrc FROM pg_trigger
JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_class ON pg_class.oid = tgrelid
WHERE tgname LIKE 'pgtrigger_%'
"""


def test_a_session_cannot_switch_them_off() -> None:
    record(action="demo:thing:done", actor="system:tests", obj=SiteFactory.create())
    study, _ = new_study()
    with pgtrigger.ignore("audit.Event:append_only", "lifecycle.Study:state_moves"):
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            Event.objects.all().delete()
        with pytest.raises(ProgrammingError, match="Invalid transition"), transaction.atomic():
            Study.objects.filter(pk=study.pk).update(state="completed")


def test_none_asks_anything_for_each_row() -> None:
    """A block that catches errors is a subtransaction, whose end goes through all rows that are still to come."""
    with connection.cursor() as cursor:
        cursor.execute(FUNCTIONS)
        found = cursor.fetchall()
    assert len(found) == len(pgtrigger.registered())
    assert [name for table, name, source in found if "ignore" in source or "EXCEPTION WHEN" in source] == []
