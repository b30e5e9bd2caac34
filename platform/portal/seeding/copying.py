"""Many rows of one table by COPY, the fastest way in on which constraints and triggers hold."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.color import no_style
from django.db import connection
from django.db.models import AutoField, Field, Model
from psycopg import sql

Row = tuple[Any, ...]
Names = tuple[str, ...]


def copy(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]], **common: Any) -> int:
    """Add rows and return how many they were.

    Args:
        rows: made without a question to the database, which is busy with taking them in.
        names: the columns (`attname`) that differ from row to row, in their order; JSON as `psycopg.types.json.Jsonb`.
        common: what all rows have; every other column gets its field's default, once for all rows.
    """
    same = model(**common)
    fields = [field for field in model._meta.concrete_fields if field.attname not in names and not _is_counted(field)]
    tail = [field.get_db_prep_save(getattr(same, field.attname), connection) for field in fields]
    columns = [_column(model, name) for name in names] + [field.column or "" for field in fields]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table), sql.SQL(", ").join([sql.Identifier(column) for column in columns])
    )
    done = 0
    with connection.cursor() as cursor, cursor.copy(statement) as target:
        for row in rows:
            target.write_row((*row, *tail))
            done += 1
    return done


def count_on(*models: type[Model]) -> None:
    """Let the database number new rows of these tables after those that were copied in with their numbers."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


class Chance:
    """Made-up values, the same ones in every database: hashes, ids, choices."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up figures, no secrets
        self.choices = self._random.choices
        self.uniform = self._random.uniform
        self.below = self._random.randrange

    def id(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def sha256(self) -> str:
        """The hexadecimal of nothing in particular."""
        return f"{self._random.getrandbits(256):064x}"

    def salt(self) -> bytes:
        """32 bytes."""
        return self._random.randbytes(32)


def _is_counted(field: Field[Any, Any]) -> bool:
    return isinstance(field, AutoField) and field.primary_key


def _column(model: type[Model], name: str) -> str:
    return next(field.column or "" for field in model._meta.concrete_fields if field.attname == name)
