"""Read access to the audit log, restricted to what a person may audit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import SearchQuery
from django.db.models import BooleanField, F, Func, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from audit.models import AREA, WORDS, Event

MOST_WORDS = 12
LOOKED_THROUGH = 1_000
DISORDER = timedelta(days=1)  # by how much clocks of the portal's machines may differ, and be set back
ACTOR = re.compile(r"(user|node|system):\S+")
KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")


@dataclass(frozen=True)
class Scope:
    """What somebody may audit.

    Attributes:
        studies: ids of studies whose whole log they read.
        sites: ids of sites whose part they read, in whatever study.
        platform: also what concerns no study: accounts, sites, nodes.
        person: id of somebody whose own exports of all that they read are theirs to see.
    """

    studies: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    platform: bool = False
    person: str = ""


class Reader(Protocol):
    """Somebody who knows what they may audit (`accounts.User`)."""

    def audit_scope(self) -> Scope: ...


def visible_to(user: Reader) -> QuerySet[Event]:
    """The events that the person may read."""
    return visible_in(user.audit_scope())


def visible_in(scope: Scope) -> QuerySet[Event]:
    """The events that somebody with this scope may read."""
    allowed = Q(study__in=scope.studies) | Q(site__in=scope.sites)
    if scope.platform:
        allowed |= Q(study="")
    elif scope.person and (scope.studies or scope.sites):
        allowed |= Q(object_id=scope.person, action="audit:log:exported")
    return Event.objects.filter(allowed)


@dataclass(frozen=True)
class Narrowing:
    """Which entries somebody looks for; what is None or empty leaves all.

    Attributes:
        kind: an action ("runs:run:began"), or an area ("runs").
        actor: "user:<id>", "node:<id>" or "system:<part>"; anything else is words of the actor's name.
        object: an id; anything else is words of the object's name.
        since, until: the first moment, and the first that is too late.
        text: words, each of which an entry has, or begins with.
    """

    kind: str = ""
    actor: str = ""
    object: str = ""
    study: UUID | str | None = None
    site: UUID | str | None = None
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


def narrowed(rows: QuerySet[Event], wanted: Narrowing) -> QuerySet[Event]:
    """The rows that fit."""
    exact = {"study": str(wanted.study or ""), "site": str(wanted.site or ""), "outcome": wanted.outcome}
    rows = _between(rows.filter(**{name: value for name, value in exact.items() if value}), wanted)
    if wanted.kind:
        is_action = ":" in wanted.kind
        rows = rows.filter(action=wanted.kind) if is_action else rows.alias(area=AREA).filter(area=wanted.kind)
    if wanted.actor:
        is_name = ACTOR.fullmatch(wanted.actor)
        rows = rows.filter(actor=wanted.actor) if is_name else _labelled(rows, "actor_label", wanted.actor)
    if wanted.object:
        is_id = KEY.fullmatch(wanted.object)
        rows = rows.filter(object_id=wanted.object) if is_id else _labelled(rows, "object_label", wanted.object)
    return with_words(rows, wanted.text)


def _between(rows: QuerySet[Event], wanted: Narrowing) -> QuerySet[Event]:
    """The rows of a time. Numbers and times rise together but for a moment, so numbers bound what is looked through."""
    if wanted.since:
        before = Event.objects.filter(at__lt=wanted.since - DISORDER).order_by("-at").values("pk")[:1]
        rows = rows.filter(at__gte=wanted.since, pk__gt=Coalesce(Subquery(before), 0))
    if wanted.until:
        after = Event.objects.filter(at__gte=wanted.until + DISORDER).order_by("at").values("pk")[:1]
        rows = rows.filter(at__lt=wanted.until, pk__lt=Coalesce(Subquery(after), 2**63 - 1))
    return rows


def with_words(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """The rows that have every word of a text, or a word that begins with it."""
    words = re.findall(r"\w+", text)[:MOST_WORDS]
    if not words:
        return rows
    asked = " & ".join(f"'{word}':*" for word in words)
    return rows.alias(words=WORDS).filter(words=SearchQuery(asked, search_type="raw", config="simple"))


def newest_with_words(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Of the newest `LOOKED_THROUGH` rows those that have every word."""
    newest = rows.order_by("-pk").values("pk")[:LOOKED_THROUGH]
    return with_words(Event.objects.filter(pk__in=newest), text)


def indexed_with_words(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """The rows that have every word, all found by an index of words first.

    The database takes a word to be as frequent in a part of the log as in all of it. Asked for the newest rows, it
    would look through all of them for a word that most other entries have. Of an array it makes no such guess.
    """
    found = ArraySubquery(with_words(rows, text).order_by().values("pk"))
    is_found = Func(F("pk"), found, template="(%(expressions)s))", arg_joiner=" = ANY(", output_field=BooleanField())
    return Event.objects.filter(is_found)


def _labelled(rows: QuerySet[Event], column: str, text: str) -> QuerySet[Event]:
    """The rows with a text in a label; the index of words finds them."""
    return with_words(rows, text).filter(**{f"{column}__icontains": text.strip()})


def for_study(study_id: UUID | str) -> QuerySet[Event]:
    return Event.objects.filter(study=str(study_id))


def for_site(site_id: UUID | str) -> QuerySet[Event]:
    return Event.objects.filter(site=str(site_id))


def for_object(object_type: str, object_id: UUID | str | int) -> QuerySet[Event]:
    """The events of one object; `object_type` is its model's name, such as "run"."""
    return Event.objects.filter(object_type=object_type, object_id=str(object_id))
