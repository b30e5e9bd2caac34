"""Nodes and sites as their pages show them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any
from uuid import UUID

from django.urls import reverse

from accounts.models import Site
from nodes.registry.models import Node
from portal.web.presenters.studies import presence_of
from studies.enrolment.models import Enrolment

CLOCK_TOLERANCE_S = 2


@dataclass(frozen=True)
class NodeRow:
    """A node with what the reader may do to it."""

    id: UUID
    name: str
    state: str
    presence: str
    agent_version: str
    sandbox: str
    last_seen_at: dt.datetime | None
    enrolled_at: dt.datetime | None
    confirmed_at: dt.datetime | None
    confirmed_by: str
    rotated_at: dt.datetime | None = None
    new_words: str = ""
    paused: Mapping[str, str] | None = None
    vetoes: int = 0
    clock_off_s: int = 0
    may_confirm: bool = False
    may_renew: bool = False
    may_revoke: bool = False

    @property
    def clock_behind_s(self) -> int:
        """Seconds by which the node's clock is behind the portal's."""
        return -self.clock_off_s


@dataclass(frozen=True)
class SiteRow:
    """A site in the list of sites; the facts are those of the node seen last."""

    href: str
    name: str
    place: str
    nodes: tuple[NodeRow, ...]
    agent_version: str
    sandbox: str
    last_seen_at: dt.datetime | None


@dataclass(frozen=True)
class SiteStudy:
    """A study in which a site has a part."""

    href: str
    title: str
    state: str


@dataclass(frozen=True)
class TokenRow:
    """A one-time token inside the command that uses it."""

    node: str
    command: str


def node_rows(nodes: Iterable[Node], *, may_enrol: bool = False, may_revoke: bool = False) -> list[NodeRow]:
    """Nodes, those that need somebody first and revoked ones last."""
    order = ["frozen", "pending", "expected", "active", "revoked"]
    return [
        NodeRow(
            id=node.pk,
            name=node.name,
            state=node.state,
            presence=presence_of(node),
            agent_version=node.agent_version,
            sandbox=node.sandbox,
            last_seen_at=node.last_seen_at,
            enrolled_at=node.enrolled_at,
            confirmed_at=node.confirmed_at,
            confirmed_by=node.confirmed_by.name if node.confirmed_by else "",
            rotated_at=node.rotated_at,
            new_words=node.words if node.rotated_at and node.state == "active" else "",
            paused=node.paused,
            vetoes=len(node.status.get("vetoes", ())),
            clock_off_s=_noteworthy(node.clock_off_s),
            may_confirm=may_enrol and node.state in ("pending", "frozen"),
            may_renew=may_enrol and node.state in ("expected", "frozen"),
            may_revoke=may_revoke and node.state != "revoked",
        )
        for node in sorted(nodes, key=lambda node: (order.index(node.state), node.name))
    ]


def _noteworthy(clock_off_s: int | None) -> int:
    """Seconds by which a clock is off, where that is more than a message may take on its way."""
    return clock_off_s if clock_off_s is not None and abs(clock_off_s) > CLOCK_TOLERANCE_S else 0


def site_rows(sites: Iterable[Site], nodes: Iterable[Node]) -> list[SiteRow]:
    """Sites with the nodes that count."""
    by_site: defaultdict[Any, list[Node]] = defaultdict(list)
    for node in nodes:
        if node.state != "revoked":
            by_site[node.site_id].append(node)
    return [_site_row(site, by_site[site.pk]) for site in sites]


def _site_row(site: Site, nodes: list[Node]) -> SiteRow:
    seen = [node for node in nodes if node.last_seen_at]
    newest = max(seen, key=lambda node: node.last_seen_at or node.created_at, default=None)
    return SiteRow(
        href=reverse("web:site", args=[site.pk]),
        name=site.name,
        place=", ".join(part for part in (site.city, site.country) if part),
        nodes=tuple(node_rows(nodes)),
        agent_version=newest.agent_version if newest else "",
        sandbox=newest.sandbox if newest else "",
        last_seen_at=newest.last_seen_at if newest else None,
    )


def site_studies(enrolments: Iterable[Enrolment]) -> list[SiteStudy]:
    """The studies of a site, each with the site's part in it."""
    return [SiteStudy(reverse("web:enrolment", args=[item.pk]), item.study.title, item.state) for item in enrolments]


def token_row(node: Node, token: str, portal: str) -> TokenRow:
    """What to type at the hospital's console."""
    if node.state == "frozen":
        return TokenRow(node.name, f"fedstudy-node rotate --token {token}")
    lines = [
        f"fedstudy-node init --name {quote(node.name)}",
        f"fedstudy-node enrol --portal {quote(portal)} --token {quote(token)}",
    ]
    return TokenRow(node.name, "\n".join(lines))
