"""Read access to people and sites, restricted to what a person may see."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from django.db.models import F, Model, QuerySet

from accounts.groups import role_groups
from accounts.models import Site, SiteGroupObjectPermission, User
from accounts.permissions import Permission
from accounts.roles import Role
from fedstudy_core.errors import NotFound


class Holder(TypedDict):
    """A person and a role that they hold."""

    user: User
    role: Role


def visible_sites(user: User) -> QuerySet[Site]:
    """The sites at which the person holds a role; all of them for platform administrators."""
    if user.is_active and user.is_platform_admin:
        return Site.objects.all()
    return sites_with(user, Permission.SITE_VIEW)


def sites_with(user: User, permission: Permission) -> QuerySet[Site]:
    """The sites at which one of the person's roles gives the permission."""
    if not user.is_active:
        return Site.objects.none()
    granted = SiteGroupObjectPermission.objects.filter(group__user=user, permission__codename=permission.codename)
    return Site.objects.filter(pk__in=granted.values("content_object"))


def visible_accounts(user: User) -> QuerySet[User]:
    """The accounts that the person manages: all of them for platform administrators, none for others."""
    if user.is_active and user.is_platform_admin:
        return User.objects.all()
    return User.objects.none()


def role_holders(obj: Model) -> list[Holder]:
    """Who holds which role in a study or at a site, by role and name."""
    held = User.objects.filter(groups__role_group__in=role_groups(obj))
    rows = held.annotate(held_role=F("groups__role_group__role"))
    found: list[Holder] = [{"user": user, "role": Role(user.held_role)} for user in rows]
    order = list(Role)
    return sorted(found, key=lambda holder: (order.index(holder["role"]), holder["user"].name, holder["user"].email))


def person_named(text: str) -> User:
    """The person with this id or e-mail address.

    Raises:
        NotFound: E_NOT_FOUND.
    """
    try:
        found = User.objects.filter(pk=UUID(text)).first()
    except ValueError:
        found = User.objects.filter(email=text.strip().lower()).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no account with this id or e-mail address.")
    return found
