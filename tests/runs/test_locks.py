"""Who changes a study and who drives a run of it do not wait for each other in a circle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from accounts.permissions import Permission
from accounts.roles import Role
from federation.runs.models import Run
from studies.lifecycle.services import lock_for_change
from tests.factories.accounts import holder_of
from tests.races import LONGEST_S, code_of
from tests.runs import scene as scenes

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def write_twice(run: Run) -> None:
    """As a driver does. Of a row that was written twice, PostgreSQL looks at the study once more as it commits."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
    for epoch in (1, 2):
        Run.objects.filter(pk=run.pk).update(epoch=epoch)


def test_a_driver_commits_while_somebody_changes_the_study() -> None:
    run = scenes.build(rounds=1).run
    investigator = holder_of(Role.PI, run.study)
    with transaction.atomic():
        lock_for_change(run.study, Permission.STUDY_EDIT, investigator)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(code_of, lambda: write_twice(run)).result(timeout=LONGEST_S) == ""
    run.refresh_from_db()
    assert run.epoch == 2
