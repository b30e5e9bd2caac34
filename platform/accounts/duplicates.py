"""Two people who add the same thing at the same moment: the second is told so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from psycopg.errors import UniqueViolation

from fedstudy_core.errors import Conflict


@contextmanager
def refuse_duplicates(detail: str) -> Iterator[None]:
    """Turn the database's refusal of a second row with the same name into one that people understand.

    Raises:
        Conflict: E_EXISTS.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        raise Conflict("E_EXISTS", detail) from error
