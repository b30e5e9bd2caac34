"""People, sites with a node each, and the groups that hold roles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as Grantable
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from guardian.utils import get_group_obj_perms_model
from psycopg.types.json import Jsonb

from accounts.models import RoleGroup, Site, User
from accounts.permissions import ROLE_PERMISSIONS, Permission
from accounts.roles import Role
from fedstudy_core.keys import generate, public_text
from nodes.registry.keys import NodeKeys, console_approver
from nodes.registry.models import Node
from portal.seeding.copying import Chance, Names, copy, count_on
from portal.seeding.shape import Shape

MAIL = "scale.example"


@dataclass(frozen=True)
class Person:
    """Somebody made up."""

    id: UUID
    email: str
    name: str


@dataclass(frozen=True)
class SeededSite:
    """A site with its people and its node."""

    id: UUID
    name: str
    number: int
    admin: Person
    steward: Person
    node: UUID
    keys: NodeKeys
    approval_key: Ed25519PrivateKey

    @property
    def approver(self) -> dict[str, Any]:
        """Who signs for the site, as its node tells."""
        return console_approver(self.admin.name, self.keys.approval_key)


@dataclass(frozen=True)
class Cast:
    """All people and sites."""

    admin: Person
    investigators: list[Person]
    co_investigators: list[Person]
    auditors: list[Person]
    sites: list[SeededSite]

    @property
    def everybody(self) -> list[Person]:
        of_sites = [person for site in self.sites for person in (site.admin, site.steward)]
        return [self.admin, *self.investigators, *self.co_investigators, *self.auditors, *of_sites]


def make_cast(shape: Shape) -> Cast:
    """People and sites by number: `investigator-1@scale.example` is the first investigator."""
    chance = Chance("people")

    def people(kind: str, count: int) -> list[Person]:
        words = kind.replace("-", " ").capitalize()
        return [
            Person(chance.id(), f"{kind}-{number}@{MAIL}", f"{words} {number:03} (synthetic)")
            for number in range(1, count + 1)
        ]

    admins, stewards = people("site-admin", shape.sites), people("steward", shape.sites)
    return Cast(
        admin=people("administrator", 1)[0],
        investigators=people("investigator", shape.investigators),
        co_investigators=people("co-investigator", shape.investigators),
        auditors=people("auditor", shape.auditors),
        sites=[_site(chance, number, *pair) for number, pair in enumerate(zip(admins, stewards, strict=True), start=1)],
    )


def _site(chance: Chance, number: int, admin: Person, steward: Person) -> SeededSite:
    approval, flower = generate(), ec.generate_private_key(ec.SECP384R1()).public_key()
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    keys = NodeKeys(
        identity_key=public_text(generate().public_key()),
        flower_key=flower.public_bytes(*form).decode("ascii"),
        approval_key=public_text(approval.public_key()),
    )
    name = f"Hospital {number:03} (synthetic)"
    return SeededSite(chance.id(), name, number, admin, steward, chance.id(), keys, approval)


def write_people(cast: Cast, password: str | None, since: datetime) -> None:
    """Accounts, all with the same password; None for accounts that nobody can sign in to."""
    names = ("id", "email", "name", "is_platform_admin")
    rows = ((person.id, person.email, person.name, person is cast.admin) for person in cast.everybody)
    copy(User, names, rows, password=make_password(password), created_at=since)


def write_sites(cast: Cast, since: datetime) -> None:
    """Sites and their nodes, which were heard of last before the portal was measured."""
    names: Names = ("id", "name", "short_name", "city")
    rows = ((site.id, site.name, f"hospital-{site.number}", f"Town {site.number:03}") for site in cast.sites)
    copy(Site, names, rows, country="Nowhere", created_at=since)
    names = (
        "id", "site_id", "name", "identity_key", "flower_key", "approval_key", "words", "approvers", "confirmed_by_id",
        "created_by_id", "flower_node_id",
    )  # fmt: skip
    copy(
        Node, names, map(_node, cast.sites), state="active", agent_version="0.1.0", sandbox="S3", created_at=since,
        enrolled_at=since, confirmed_at=since, last_seen_at=since + timedelta(days=1),
    )  # fmt: skip


def _node(site: SeededSite) -> tuple[Any, ...]:
    keys, by = site.keys, site.admin.id
    told = Jsonb([site.approver])
    name, number = f"node-{site.number:03}", str(site.number)
    public = (keys.identity_key, keys.flower_key, keys.approval_key, keys.words)
    return (site.node, site.id, name, *public, told, by, by, number)


@dataclass
class Groups:
    """The groups of roles that are to be written, by number."""

    kinds: dict[type[Model], ContentType] = field(default_factory=dict)
    groups: list[tuple[int, str]] = field(default_factory=list)
    held: list[tuple[int, str, int, UUID]] = field(default_factory=list)
    members: list[tuple[UUID, int]] = field(default_factory=list)
    given: dict[type[Model], list[tuple[int, UUID, Collection[Permission]]]] = field(default_factory=dict)

    def add(self, role: Role, model: type[Model], obj: UUID, people: Iterable[Person]) -> int:
        """The group of a role in an object, with its permissions and its people."""
        number = len(self.groups) + 1
        kind = self.kinds.setdefault(model, ContentType.objects.get_for_model(model))
        self.groups.append((number, f"{role.scope}:{obj}:{role.value}"))
        self.held.append((number, role.value, kind.pk, obj))
        self.members += [(person.id, number) for person in people]
        self.give(number, model, obj, ROLE_PERMISSIONS[role])
        return number

    def give(self, number: int, model: type[Model], obj: UUID, permissions: Collection[Permission]) -> None:
        """Let a group do more to an object."""
        self.given.setdefault(model, []).append((number, obj, permissions))

    def write(self) -> None:
        """All of them at once, with the object permissions that guardian reads."""
        copy(Group, ("id", "name"), self.groups)
        copy(RoleGroup, ("group_id", "role", "content_type_id", "object_id"), self.held)
        copy(User.groups.through, ("user_id", "group_id"), self.members)
        for model, rows in self.given.items():
            table = get_group_obj_perms_model(model)  # type: ignore[arg-type]  # a class will do
            copy(table, ("permission_id", "group_id", "content_object_id"), list(_granted(self.kinds[model], rows)))
        count_on(Group)


def _granted(
    kind: ContentType, rows: Sequence[tuple[int, UUID, Collection[Permission]]]
) -> Iterator[tuple[int, int, UUID]]:
    known = dict(Grantable.objects.filter(content_type=kind).values_list("codename", "pk"))
    for group, obj, permissions in rows:
        yield from ((known[permission.codename], group, obj) for permission in permissions)
