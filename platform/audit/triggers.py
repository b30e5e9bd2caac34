"""Triggers that hold always: those of django-pgtrigger without its switch.

Its own ask a setting of the session whether they are to be passed over, which whoever has a session may set. They ask
in a block that catches an error, a subtransaction for each row; the end of each is looked up in the list of all rows
whose triggers are still to come, so that a million rows in one statement took hours.
"""

from __future__ import annotations

import pgtrigger
from django.db import models
from pgtrigger import compiler


class AlwaysSql(compiler.UpsertTriggerSql):
    """What makes a trigger and its function. Migrations name it: what is made differently gets another class."""

    def get_template(self) -> str:
        return """
            CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER LANGUAGE plpgsql AS $$
                {declare}
                BEGIN
                    {func}
                END;
            $$;
            DROP TRIGGER IF EXISTS {pgid} ON {table};
            CREATE TRIGGER {pgid}
                {when} {operation} ON {table}
                {referencing}
                FOR EACH {level} {condition}
                EXECUTE FUNCTION {execute};
            COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';
        """


class _Always(pgtrigger.Trigger):
    def compile(self, model: models.Model) -> compiler.Trigger:
        made = super().compile(model)
        given = {name: value for name, value in made.sql.kwargs.items() if name != "ignore_func_name"}
        return compiler.Trigger(name=made.name, sql=AlwaysSql(**given))


class Trigger(_Always):
    """Runs its `func`."""


class Protect(_Always, pgtrigger.Protect):
    """Refuses its operations."""


class FSM(_Always, pgtrigger.FSM):
    """Refuses moves of its field that are not among its transitions."""
