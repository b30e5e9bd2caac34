"""Whenever the sequencer is killed, the log has no gap and nothing twice; the next one goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import quote

import psycopg
import pytest
from django.db import OperationalError, connection

from audit import sequencer
from audit.sequencer import Sequencer
from tests.audit.logs import SIGNER, assert_whole, sequence, write_events

# What a pass cannot do without, as the killed process itself saw it.
STATEMENTS = (
    "SELECT pg_try_advisory_lock", "INSERT INTO audit_queue", "SELECT id, event_id", "COPY audit_leaf",
    'INSERT INTO "audit_tile"', "DELETE FROM audit_queue", 'INSERT INTO "audit_checkpoint"', "commit",
)  # fmt: skip

pytestmark = pytest.mark.django_db(transaction=True)


def test_killed_at_every_statement_nothing_is_lost_or_doubled() -> None:
    here = connection.settings_dict
    url = f"postgresql://{here['USER']}@/{here['NAME']}?host={quote(here['HOST'], safe='')}"
    environment = {**os.environ, "FEDSTUDY_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    command = [sys.executable, "-m", "tests.audit.killed"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] > 2 * len(STATEMENTS)
    assert told["killed"] == 2 * len(told["statements"]), "before and after each"
    for one in STATEMENTS:
        assert any(statement.startswith(one) for statement in told["statements"]), one
    assert_whole()


def test_a_database_that_goes_away_within_a_batch_is_met_as_one_between_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command begins anew after Django's errors; those of a COPY are the driver's own unless they are wrapped."""
    write_events(3)
    cut_off, leaf_of = Sequencer.begin(SIGNER), sequencer._leaf
    session, here = connection.connection.info.backend_pid, connection.settings_dict

    def ending(row: tuple[object, ...]) -> object:
        with psycopg.connect(host=here["HOST"], user=here["USER"], dbname=here["NAME"], autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [session])
        return leaf_of(row)

    with monkeypatch.context() as changed:
        changed.setattr(sequencer, "_leaf", ending)
        with pytest.raises(OperationalError):
            cut_off.place_batch()
    connection.close()
    sequence()
    assert_whole()
