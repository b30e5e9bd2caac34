"""What the portal's role and the sequencer's role may do in the database. Neither owns anything in it.

Triggers refuse to change or remove rows of the log. Somebody who has the portal's password could turn triggers off
for rows of tables that its role owned; so it owns none, and has no right to change or remove these rows either.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

PORTAL = "fedstudy"
SEQUENCER = "fedstudy_log"
ADDED_BY_PORTAL = "audit_event, audit_cosignature, audit_witnessrefusal"
QUEUE = "audit_queue"
ADDED_BY_SEQUENCER = "audit_leaf, audit_tile, audit_checkpoint, audit_logkey, audit_succession"
THERE = "SELECT count(*) FROM pg_roles WHERE rolname IN (%s, %s) AND rolname <> current_user"
STATEMENTS = (
    f"GRANT USAGE ON SCHEMA public TO {PORTAL}, {SEQUENCER}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {PORTAL}",
    f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {PORTAL}",
    f"REVOKE INSERT, UPDATE, DELETE ON {ADDED_BY_SEQUENCER} FROM {PORTAL}",
    f"REVOKE UPDATE, DELETE ON {ADDED_BY_PORTAL}, {QUEUE} FROM {PORTAL}",
    f"GRANT SELECT ON {ADDED_BY_PORTAL} TO {SEQUENCER}",
    f"GRANT INSERT ON audit_event TO {SEQUENCER}",  # that the log goes on under another name is an event
    f"GRANT USAGE, SELECT ON SEQUENCE audit_event_id_seq TO {SEQUENCER}",
    f"GRANT SELECT, INSERT, DELETE ON {QUEUE} TO {SEQUENCER}",
    f"GRANT SELECT, INSERT ON {ADDED_BY_SEQUENCER} TO {SEQUENCER}",
    f"GRANT USAGE, SELECT ON SEQUENCE audit_tile_id_seq, audit_logkey_id_seq, audit_succession_id_seq TO {SEQUENCER}",
)


def grant_rights(using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Give both roles what they need, after every migration; where one role does everything, there is nothing to do."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(THERE, [PORTAL, SEQUENCER])
        if cursor.fetchone()[0] == 2:
            for statement in STATEMENTS:
                cursor.execute(statement)
