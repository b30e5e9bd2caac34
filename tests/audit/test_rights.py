"""By the roles that the portal and the sequencer have, nobody changes or removes anything of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from django.db import connection
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Composed, Identifier

from audit.models import Checkpoint, Cosignature, Event, Leaf, LogKey, Succession, Tile, WitnessRefusal
from audit.sequencer import FILED
from tests.audit.logs import sequence, write_events

pytestmark = pytest.mark.django_db(transaction=True)
TREE = (Leaf, Tile, Checkpoint, LogKey, Succession)
ADDED_BY_PORTAL = (Event, Cosignature, WitnessRefusal)
ROLES = ("fedstudy", "fedstudy_log")
FORBIDDEN = (
    "UPDATE {table} SET {key} = {key}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "DROP TABLE {table}",
)


@pytest.fixture(params=ROLES)
def database(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    settings = connection.settings_dict
    with psycopg.connect(host=settings["HOST"], user=request.param, dbname=settings["NAME"]) as opened:
        yield opened
        opened.rollback()


def refused(database: psycopg.Connection, statement: LiteralString | Composed) -> bool:
    try:
        database.execute(statement)
    except InsufficientPrivilege:
        return True
    finally:
        database.rollback()
    return False


def test_nobody_changes_or_removes(database: psycopg.Connection) -> None:
    write_events(300)
    sequence()
    for model in (*TREE, *ADDED_BY_PORTAL):
        table, key = model._meta.db_table, model._meta.pk.attname
        for statement in FORBIDDEN:
            named = SQL(statement).format(table=Identifier(table), key=Identifier(key))
            assert refused(database, named), (table, statement)


def test_each_adds_only_what_is_its_own(database: psycopg.Connection) -> None:
    by_portal = database.info.user == "fedstudy"
    leaf = "INSERT INTO audit_leaf VALUES (0, 0, '', '')"
    event = (
        "INSERT INTO audit_event (event_id, at, actor, actor_label, action, object_type, object_id, object_label, "
        "study, site, outcome, detail) VALUES (gen_random_uuid(), now(), 'a', 'a', 'a:b:c', 'd', 'e', '', '', '', "
        "'done', '{}')"
    )
    assert refused(database, leaf) is by_portal
    assert not refused(database, event)
    assert refused(database, "DELETE FROM audit_queue") is by_portal
    assert refused(database, "SELECT FROM accounts_user") is not by_portal


def test_the_sequencer_files_words_in_indexes_that_are_not_its_own() -> None:
    write_events(3)
    settings = connection.settings_dict
    with psycopg.connect(host=settings["HOST"], user="fedstudy_log", dbname=settings["NAME"]) as opened:
        assert refused(opened, "SELECT gin_clean_pending_list('audit_event_words')")
        assert opened.execute(FILED).fetchone() == (2,), "pages of two lists that there were"
