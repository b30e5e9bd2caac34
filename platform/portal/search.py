"""Finding things by words: studies, sites, scripts, runs and accounts, each only among those that the person may see.

A word finds what begins with it, in no language's forms; an id finds its thing. One query a kind, whatever there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat, Replace

from accounts.models import User
from accounts.selectors import visible_accounts, visible_sites
from federation.runs.selectors import runs_for
from studies.lifecycle.selectors import visible_to as studies_for
from studies.scripts.selectors import versions_visible_to

LONGEST = 200
MOST_WORDS = 8
FOUND = 10
CONFIG = "simple"


@dataclass(frozen=True)
class Hit:
    """Something that was found; `detail` says where it belongs."""

    kind: str
    id: UUID
    title: str
    detail: str


@dataclass(frozen=True)
class Kind:
    """What is searched: the rows that a person may see, the words they are found by, and how one is told."""

    rows: Callable[[User], QuerySet[Any]]
    words: Any
    told: Callable[[Any], tuple[str, str]]
    ordering: tuple[str, ...]


# An address is one word to PostgreSQL; people look for its parts.
_SPACE, _AT, _DOT = (Value(sign, output_field=TextField()) for sign in (" ", "@", "."))
_ADDRESS = Replace(Replace(Cast("email", TextField()), _AT, _SPACE), _DOT, _SPACE)
_PERSON = Concat(Cast("name", TextField()), _SPACE, _ADDRESS)
KINDS: Mapping[str, Kind] = {
    "study": Kind(
        studies_for,
        SearchVector("title", "summary", "aims", config=CONFIG),
        lambda row: (row.title, row.state),
        ("-created_at", "pk"),
    ),
    "site": Kind(
        visible_sites,
        SearchVector("name", "short_name", "city", "country", config=CONFIG),
        lambda row: (row.name, ", ".join(part for part in (row.city, row.country) if part)),
        ("name", "pk"),
    ),
    "script": Kind(
        lambda user: versions_visible_to(user).defer("bundle", "files", "findings"),
        SearchVector("script__name", "sha256", config=CONFIG),
        lambda row: (str(row), row.script.study.title),
        ("-submitted_at", "pk"),
    ),
    "run": Kind(
        runs_for,
        SearchVector("label", "version__script__name", config=CONFIG),
        lambda row: (row.label, row.study.title),
        ("-created_at", "pk"),
    ),
    "person": Kind(
        visible_accounts,
        SearchVector(_PERSON, config=CONFIG),
        lambda row: (row.name, row.email),
        ("name", "pk"),
    ),
}


def search(user: User, text: str, *, kind: str = "") -> list[Hit]:
    """What the words find among what the person may see, at most 10 of a kind; nothing without words.

    Args:
        kind: one of KINDS; all of them when empty.
    """
    id_, query = _id(text), _query(text)
    if id_ is None and query is None:
        return []
    chosen = {kind: KINDS[kind]} if kind else KINDS
    return [hit for name, one in chosen.items() for hit in _found(user, name, one, id_, query)]


def _found(user: User, name: str, kind: Kind, id_: UUID | None, query: SearchQuery | None) -> list[Hit]:
    rows = kind.rows(user)
    rows = rows.filter(pk=id_) if id_ else rows.annotate(words=kind.words).filter(words=query)
    return [Hit(name, row.pk, *kind.told(row)) for row in rows.order_by(*kind.ordering)[:FOUND]]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def _query(text: str) -> SearchQuery | None:
    """Every word, as the beginning of one; letters and digits only, so that nobody writes the query's own signs."""
    words = re.findall(r"[^\W_]+", text[:LONGEST])[:MOST_WORDS]
    return SearchQuery(" & ".join(f"{word}:*" for word in words), config=CONFIG, search_type="raw") if words else None
