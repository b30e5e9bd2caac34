"""What administrators see of the platform: people, nodes, the queue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from accounts.directory import Account
from accounts.models import User
from accounts.roles import HeldRole, Role
from nodes.registry.models import Node
from nodes.registry.versions import standing_of
from portal.waiting import Waiting
from portal.web.presenters.studies import presence_of

PARTS = {
    "database": gettext_noop("Database"),
    "redis": gettext_noop("Redis"),
    "workers": gettext_noop("Workers"),
    "outside": gettext_noop("E-mail and webhooks"),
    "superlink": gettext_noop("SuperLink"),
    "log": gettext_noop("Log"),
    "disk": gettext_noop("Disk"),
    "nodes": gettext_noop("Nodes"),
}


@dataclass(frozen=True)
class AccountRow:
    """A person in the list of people."""

    href: str
    name: str
    email: str
    state: str
    roles: tuple[str, ...]
    created_at: dt.datetime


@dataclass(frozen=True)
class RoleRow:
    """A role of a person; ``href`` is the object's page, where administrators see it."""

    role: str
    kind: str
    name: str
    href: str


@dataclass(frozen=True)
class WaitingRow:
    """What waits for a person in one role, in sentences."""

    role: str
    name: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class NodeLine:
    """A node in the list of all nodes."""

    href: str
    name: str
    site: str
    state: str
    presence: str
    version: str
    standing: str
    sandbox: str
    last_seen_at: dt.datetime | None


def account_rows(people: Iterable[User], roles: Mapping[UUID, Mapping[Role, int]]) -> list[AccountRow]:
    """People as the list shows them."""
    return [
        AccountRow(
            href=reverse("web:platform-person", args=[person.pk]),
            name=person.name,
            email=person.email,
            state=state_of(person),
            roles=_roles(person, roles.get(person.pk, {})),
            created_at=person.created_at,
        )
        for person in people
    ]


def state_of(person: User) -> str:
    """Whether an account is "open" or "closed"."""
    return "open" if person.is_active else "closed"


def _roles(person: User, held: Mapping[Role, int]) -> tuple[str, ...]:
    counted = (f"{_(role.label).capitalize()}{f' × {number}' if number > 1 else ''}" for role, number in held.items())
    return (*([_("Platform administrator")] if person.is_platform_admin else []), *counted)


def role_rows(account: Account) -> list[RoleRow]:
    """The roles of a person by object; administrators see sites, and of studies the title."""
    return [
        RoleRow(_(item.role.label).capitalize(), item.kind, item.name, _page_of(item))
        for item in sorted(account.roles, key=lambda item: (item.kind, item.name))
    ]


def waiting_rows(found: Iterable[Waiting]) -> list[WaitingRow]:
    """What waits for a person, in sentences; roles in which nothing waits are left out."""
    rows = ((item, tuple(_sentences(item))) for item in found)
    return [
        WaitingRow(_(item.held.role.label).capitalize(), item.held.name, sentences)
        for item, sentences in rows
        if sentences
    ]


def _sentences(item: Waiting) -> Iterator[str]:
    if item.leads_alone:
        words = _("Nobody else is {role} here: afterwards an administrator appoints somebody.")
        yield words.format(role=_(item.held.role.label))
    elif not item.others:
        yield _("Nobody else is {role} here.").format(role=_(item.held.role.label))
    if item.invitations:
        yield ngettext(
            "{number} invitation to a study without an answer.",
            "{number} invitations to a study without an answer.",
            item.invitations,
        ).format(number=item.invitations)
    if item.signatures:
        yield ngettext(
            "{number} version of a script without a signature of the site.",
            "{number} versions of a script without a signature of the site.",
            item.signatures,
        ).format(number=item.signatures)
    if item.keys:
        nodes = ", ".join(_("“{name}”").format(name=name) for name in item.keys)
        words = _("Signs at {nodes} by a key of their own: the site takes it back by “fedstudy-node trust remove”.")
        yield words.format(nodes=nodes)


def _page_of(held: HeldRole) -> str:
    return reverse("web:site", args=[held.id]) if held.kind == "site" else ""


def node_lines(nodes: Iterable[Node], portal: str) -> list[NodeLine]:
    """Nodes with how their version stands to the portal's."""
    return [
        NodeLine(
            href=f"{reverse('web:site', args=[node.site_id])}#node-{node.pk}",
            name=node.name,
            site=node.site.name,
            state=node.state,
            presence=presence_of(node),
            version=node.agent_version,
            standing=standing_of(node.agent_version, portal) if node.agent_version else "",
            sandbox=node.sandbox,
            last_seen_at=node.last_seen_at,
        )
        for node in nodes
    ]
