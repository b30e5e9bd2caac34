"""Read access to nodes, restricted to what a person may see."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.selectors import visible_sites
from nodes.registry.models import ONLINE, Node


def visible_to(user: User) -> QuerySet[Node]:
    """The nodes of the person's sites; all of them for platform administrators."""
    return Node.objects.filter(site__in=visible_sites(user))


def active_nodes(site_id: UUID) -> QuerySet[Node]:
    """The site's confirmed nodes."""
    return Node.objects.filter(site=site_id, state="active")


def online_nodes() -> QuerySet[Node]:
    """The active nodes that were heard of in the last 30 seconds."""
    return Node.objects.filter(Q(state="active"), last_seen_at__gt=timezone.now() - ONLINE)
