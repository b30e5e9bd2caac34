"""Pages of long lists by key: the page after a row stays the same while rows come and go, and costs the same far down.

A page is found by the values of its neighbour in the list's order, by an index, so nothing is skipped or counted. Such
a key travels as opaque text.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy

M = TypeVar("M", bound=Model)
LONGEST_KEY = 2_000


class UnknownKey(ValueError):
    """A text that is no key of this list."""


@dataclass(frozen=True)
class Page(Generic[M]):
    """Rows of a list in its order.

    Attributes:
        newer, older: the keys of the pages before and after this one in the list's order; empty at its ends.
    """

    rows: list[M]
    newer: str = ""
    older: str = ""

    def __iter__(self) -> Iterator[M]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Keyset:
    """A list's order: columns that are never null, "-" before those that fall; the last one is unique."""

    ordering: tuple[str, ...]

    def page(self, rows: QuerySet[M], size: int, *, after: str = "", before: str = "") -> Page[M]:
        """A page of at most `size` rows: the first one, or the one next to a key; `before` counts where both are given.

        Args:
            after: `older` of the page before this one.
            before: `newer` of the page after this one.

        Raises:
            UnknownKey: for a key that this list did not give out.
        """
        if before:
            found = list(self._beside(rows, before, back=True)[: size + 1])
            shown = found[:size][::-1]
            return self._page(shown, has_newer=len(found) > size, has_older=True)
        found = list((self._beside(rows, after) if after else rows.order_by(*self.ordering))[: size + 1])
        return self._page(found[:size], has_newer=bool(after), has_older=len(found) > size)

    def _page(self, shown: list[M], *, has_newer: bool, has_older: bool) -> Page[M]:
        if not shown:
            return Page([])
        newer = self.key(shown[0]) if has_newer else ""
        return Page(shown, newer, self.key(shown[-1]) if has_older else "")

    def key(self, row: Model) -> str:
        """The place of a row in the list, as text."""
        values = [str(getattr(row, self._name(column))) for column in self.ordering]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode("ascii").rstrip("=")

    def _beside(self, rows: QuerySet[M], key: str, *, back: bool = False) -> QuerySet[M]:
        """The rows beyond a key, those next to it first."""
        values = self._values(rows.model, key)
        falls = [column.startswith("-") != back for column in self.ordering]
        names = [self._name(column) for column in self.ordering]
        steps = list(zip(names, falls, values, strict=True))
        order = [OrderBy(F(name), descending=fall) for name, fall, _ in steps]
        return rows.filter(_beyond(steps)).order_by(*order)

    def _values(self, model: type[Model], key: str) -> list[Any]:
        try:
            if len(key) > LONGEST_KEY:
                raise ValueError("too long")
            texts = json.loads(base64.b64decode(key + "=" * (-len(key) % 4), altchars=b"-_", validate=True))
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError("no list of texts")
            pairs = zip(self.ordering, texts, strict=True)
            return [_value(model, self._name(column), text) for column, text in pairs]
        except (binascii.Error, ValueError, ValidationError, OverflowError, RecursionError) as error:
            raise UnknownKey(key[:80]) from error

    @staticmethod
    def _name(column: str) -> str:
        return column.removeprefix("-")


def _value(model: type[Model], name: str, text: str) -> Any:
    """A column's value as the database can compare it. Raises ValidationError, or ValueError for what is no text."""
    if "\0" in text.encode().decode():
        raise ValueError("no text that a database keeps")
    field = model._meta.get_field(name)
    value = field.to_python(text)  # type: ignore[union-attr]
    field.run_validators(value)  # type: ignore[union-attr]
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("a time without its zone")
    return value


def _beyond(steps: Sequence[tuple[str, bool, Any]]) -> Q:
    """Rows after a place in lexicographic order; the bound on the first column alone lets its index find them."""
    (name, falls, value), *others = steps
    strictly = Q(**{f"{name}__{'lt' if falls else 'gt'}": value})
    if not others:
        return strictly
    return Q(**{f"{name}__{'lte' if falls else 'gte'}": value}) & (strictly | _beyond(others))
