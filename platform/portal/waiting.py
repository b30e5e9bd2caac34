"""What waits for one person: to be known before their account is closed, or they move to another site."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q

from accounts.models import RoleGroup, User
from accounts.roles import LEADERS, HeldRole, Role
from nodes.registry.models import Node
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.scripts.models import Approval, ScriptVersion

Counted = Mapping[UUID, int]


@dataclass(frozen=True)
class Waiting:
    """What waits in one role of a person.

    Attributes:
        others: how many other people who can sign in hold the same role.
        leads_alone: whether nobody else can lead the study or site.
        invitations: of the site to studies, without an answer.
        signatures: newest versions of scripts without a decision of the site.
        keys: names of the site's nodes that still take the signature of somebody of this name.
    """

    held: HeldRole
    others: int
    leads_alone: bool
    invitations: int = 0
    signatures: int = 0
    keys: tuple[str, ...] = ()


def waiting_for(user: User) -> list[Waiting]:
    """What waits for a person, role by role; in a fixed number of queries."""
    roles = user.roles
    sites = {held.id for held in roles if held.kind == "site"}
    others = _others(user)
    invited, unsigned, keys = _invited(sites), _unsigned(sites), _keys(sites, user.name)
    return [
        Waiting(
            held=held,
            others=others[held.id, held.role],
            leads_alone=held.role is LEADERS[held.kind] and not others[held.id, held.role],
            invitations=invited.get(held.id, 0) if held.role is Role.ADMIN else 0,
            signatures=unsigned.get(held.id, 0),
            keys=keys.get(held.id, ()),
        )
        for held in roles
    ]


def _others(user: User) -> Counter[tuple[UUID, Role]]:
    own = RoleGroup.objects.filter(group__user=user).values("pk")
    number = Count("group__user", filter=Q(group__user__is_active=True) & ~Q(group__user=user))
    rows = RoleGroup.objects.filter(pk__in=own).annotate(others=number).values_list("object_id", "role", "others")
    return Counter({(object_id, Role(role)): others for object_id, role, others in rows})


def _invited(sites: Collection[UUID]) -> Counted:
    rows = Enrolment.objects.filter(site__in=sites, state="invited", study__state__in=["recruiting", "active"])
    return Counter(rows.values_list("site_id", flat=True))


def _unsigned(sites: Collection[UUID]) -> Counted:
    """By site, of the studies in which it takes part: the newest version of each script, where it is not decided."""
    part = Enrolment.objects.filter(
        site__in=sites, state__in=TAKING_PART, study__state__in=["recruiting", "active"]
    ).values_list("site_id", "study_id")
    studies = defaultdict(set)
    for site, study in part:
        studies[study].add(site)
    submitted = ScriptVersion.objects.filter(script__study__in=studies, state="submitted")
    newest = submitted.order_by("script_id", "-number").distinct("script_id").values_list("pk", "script__study_id")
    versions = dict(newest)
    decided = set(
        Approval.objects.filter(version__in=versions, site__in=sites, state="valid").values_list(
            "version_id", "site_id"
        )
    )
    return Counter(site for pk, study in versions.items() for site in studies[study] if (pk, site) not in decided)


def _keys(sites: Collection[UUID], name: str) -> dict[UUID, tuple[str, ...]]:
    """A node knows who signs there by a name that its own people wrote."""
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    nodes = Node.objects.filter(site__in=sites, state__in=["active", "frozen"]).order_by("name")
    for site, node, approvers in nodes.values_list("site_id", "name", "approvers"):
        if any(item.get("name", "").casefold() == name.casefold() for item in approvers):
            found[site].append(node)
    return {site: tuple(names) for site, names in found.items()}
