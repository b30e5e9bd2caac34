"""The groups behind roles, and the object permissions that they hold (by guardian)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as Grantable
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from guardian.core import ObjectPermissionChecker
from guardian.utils import get_group_obj_perms_model

from accounts.models import RoleGroup, Site, User
from accounts.permissions import ROLE_PERMISSIONS, Permission
from accounts.roles import SITE_ROLES, Role
from audit.services import record


def group_for(role: Role, obj: Model) -> Group:
    """The group of a role in an object, with the permissions that the table gives the role."""
    found = RoleGroup.objects.filter(**_key(role, obj)).select_related("group").first()
    if found is not None:
        return found.group
    group = Group.objects.create(name=f"{role.scope}:{obj.pk}:{role.value}")
    RoleGroup.objects.create(group=group, **_key(role, obj))
    give(group, ROLE_PERMISSIONS[role], obj)
    return group


def groups_of_site(site: Site) -> list[Group]:
    """The groups of all roles at a site."""
    return [group_for(role, site) for role in SITE_ROLES]


def role_groups(obj: Model) -> QuerySet[RoleGroup]:
    """The role groups of one study or site."""
    return RoleGroup.objects.filter(content_type=ContentType.objects.get_for_model(obj), object_id=obj.pk)


def holders(role: Role, obj: Model) -> QuerySet[User]:
    """The people who hold a role in an object and can still sign in."""
    groups = role_groups(obj).filter(role=role.value).values("group")
    return User.objects.filter(is_active=True, groups__in=groups)


def give(group: Group, permissions: Iterable[Permission], obj: Model) -> None:
    """Give a group permissions on an object."""
    _add(group, {permission.codename for permission in permissions}, obj)


def take(group: Group, permissions: Iterable[Permission], obj: Model) -> None:
    """Take permissions on an object away from a group."""
    _remove(group, {permission.codename for permission in permissions}, obj)


def synchronise() -> int:
    """Bring every role's permissions in line with the table; returns how many groups had others. In a transaction."""
    changed = 0
    for held in RoleGroup.objects.select_related("group").prefetch_related("content_object"):
        obj = held.content_object
        if obj is None:
            continue
        wanted = {permission.codename for permission in ROLE_PERMISSIONS[Role(held.role)]}
        present = {str(codename) for codename in ObjectPermissionChecker(held.group).get_perms(obj)}
        if wanted != present:
            _add(held.group, wanted - present, obj)
            _remove(held.group, present - wanted, obj)
            _record_permissions(Role(held.role), obj, given=wanted - present, taken=present - wanted)
            changed += 1
    return changed


def _record_permissions(role: Role, obj: Model, *, given: Collection[str], taken: Collection[str]) -> None:
    record(
        action="accounts:role:changed",
        actor="system:upgrade",
        obj=obj,
        study=None if isinstance(obj, Site) else obj.pk,
        site=obj.pk if isinstance(obj, Site) else None,
        detail={"role": role.value, "role_label": role.label, "given": sorted(given), "taken": sorted(taken)},
    )


def _add(group: Group, codenames: Collection[str], obj: Model) -> None:
    """In one statement; guardian's own `assign_perm` takes several for each permission."""
    rows = Grantable.objects.filter(content_type=ContentType.objects.get_for_model(obj), codename__in=codenames)
    table = get_group_obj_perms_model(obj)
    given = [table(permission=row, group=group, content_object=obj) for row in rows]
    if len(given) != len(codenames):
        raise LookupError(f"the database lacks permissions on {obj._meta.verbose_name}: is it migrated?")
    table._default_manager.bulk_create(given, ignore_conflicts=True)


def _remove(group: Group, codenames: Collection[str], obj: Model) -> None:
    held = get_group_obj_perms_model(obj)._default_manager.filter(group=group, content_object=obj)
    held.filter(permission__codename__in=codenames).delete()


def _key(role: Role, obj: Model) -> dict[str, object]:
    return {"role": role.value, "content_type": ContentType.objects.get_for_model(obj), "object_id": obj.pk}
