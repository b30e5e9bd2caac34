"""Whenever the sequencer is killed, the log has no gap and nothing twice; the next one goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.db import connection

from audit.models import Event
from tests.audit.logs import assert_whole, write_events

pytestmark = pytest.mark.django_db(transaction=True)


def test_killed_at_every_statement_nothing_is_lost_or_doubled() -> None:
    write_events(290)
    here = connection.settings_dict
    url = f"postgresql://{here['USER']}@/{here['NAME']}?host={quote(here['HOST'], safe='')}"
    environment = {**os.environ, "FEDSTUDY_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    command = [sys.executable, "-m", "tests.audit.killed"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    assert_whole()
    assert Event.objects.count() == 290
