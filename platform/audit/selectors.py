"""Read access to the audit log, restricted to what a person may audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.models import Event


@dataclass(frozen=True)
class Scope:
    """What somebody may audit.

    Attributes:
        studies: ids of studies whose whole log they read.
        sites: ids of sites whose part they read, in whatever study.
        platform: also what concerns no study: accounts, sites, nodes.
    """

    studies: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    platform: bool = False


class Reader(Protocol):
    """Somebody who knows what they may audit (`accounts.User`)."""

    def audit_scope(self) -> Scope: ...


def visible_to(user: Reader) -> QuerySet[Event]:
    """The events that the person may read."""
    scope = user.audit_scope()
    allowed = Q(study__in=scope.studies) | Q(site__in=scope.sites)
    if scope.platform:
        allowed |= Q(study="")
    return Event.objects.filter(allowed)


def for_study(study_id: UUID | str) -> QuerySet[Event]:
    return Event.objects.filter(study=str(study_id))


def for_site(site_id: UUID | str) -> QuerySet[Event]:
    return Event.objects.filter(site=str(site_id))


def for_object(object_type: str, object_id: UUID | str | int) -> QuerySet[Event]:
    """The events of one object; `object_type` is its model's name, such as "run"."""
    return Event.objects.filter(object_type=object_type, object_id=str(object_id))
