"""The database of processes that share the tests: one of them makes it by all migrations, the others copy it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

COPY = "made"


@contextmanager
def made_once(note: Path) -> Iterator[None]:
    """Make this process's database inside. Whoever is first leaves a copy of it to the others, and its name in `note`;
    they wait for that."""
    with note.open("a+") as known:
        fcntl.flock(known, fcntl.LOCK_EX)
        known.seek(0)
        if name := known.read():
            connection.settings_dict["TEST"]["TEMPLATE"] = name
            yield
            return
        yield
        connection.creation.clone_test_db(COPY)
        known.write(connection.creation.get_test_db_clone_settings(COPY)["NAME"])
