"""Which version of the agent each node runs, and how it stands to the portal's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from packaging.version import InvalidVersion, Version

from nodes.registry.models import Node

STANDINGS = ("current", "behind", "ahead", "unknown")


@dataclass(frozen=True)
class Spread:
    """How many nodes run a version; `standing` is one of STANDINGS."""

    version: str
    standing: str
    nodes: int


def standing_of(version: str, portal: str) -> str:
    """How an agent's version stands to the portal's: one of STANDINGS; "unknown" for what is no version."""
    try:
        own, other = Version(version), Version(portal)
    except InvalidVersion:
        return "unknown"
    return "current" if own == other else "behind" if own < other else "ahead"


def spread(nodes: QuerySet[Node], portal: str) -> list[Spread]:
    """The versions of nodes that have enrolled and are not revoked, the most frequent first; in one query."""
    counted = nodes.exclude(state__in=["expected", "revoked"]).order_by().values_list("agent_version")
    rows = counted.annotate(number=Count("pk")).order_by("-number", "agent_version")
    return [Spread(version, standing_of(version, portal), number) for version, number in rows]


def running(nodes: QuerySet[Node], versions: Iterable[Spread], standing: str) -> QuerySet[Node]:
    """Those of the nodes whose version stands so."""
    named = [item.version for item in versions if item.standing == standing]
    return nodes.exclude(state__in=["expected", "revoked"]).filter(agent_version__in=named)


def narrowed_nodes(nodes: QuerySet[Node], portal: str, *, state: str = "", version: str = "") -> QuerySet[Node]:
    """Those of the nodes that are in a state, and whose version stands so (one of STANDINGS)."""
    found = running(nodes, spread(nodes, portal), version) if version else nodes
    return found.filter(state=state) if state else found
