"""Giving and taking back roles, with the separation of duties that holds everywhere.

A person holds one role in an object; platform administrators hold none. What depends on who is enrolled where is
refused by `studies.enrolment`, which listens to `role_granting`.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import transaction
from django.db.models import Model

from accounts import groups
from accounts.models import Site, User
from accounts.permissions import Permission, can, check
from accounts.roles import LEADERS, Role
from accounts.signals import role_granting
from audit.services import record
from fedstudy_core.errors import Conflict, Invalid, NotFound, Refusal

M = TypeVar("M", bound=Model)


@transaction.atomic
def grant_role(*, user: User, role: Role, obj: Model, by: User) -> None:
    """Give a person a role in a study or at a site.

    A study's creator becomes its first principal investigator. Where nobody who can sign in leads a site or a study, a
    platform administrator appoints somebody. Otherwise investigators and site admins grant roles themselves.

    Raises:
        Forbidden, NotFound: `by` may not grant this role.
        Refusal: E_DUTIES when the role cannot go with another one; E_STATE for a closed account.
        Conflict: E_EXISTS when the person holds the role.
    """
    _check_scope(role, obj)
    obj = _locked(obj)
    if not (_begins(by, user, role, obj) or (role is LEADERS[role.scope] and may_appoint(by, obj))):
        _check_may_grant(by, obj)
    if not user.is_active:
        raise Refusal("E_STATE", "This account is closed.")
    check_duties(user, role, obj)
    role_granting.send(sender=type(obj), user=user, role=role, obj=obj)
    groups.group_for(role, obj).user_set.add(user)
    record_role("granted", user, role, obj, by)


@transaction.atomic
def revoke_role(*, user: User, role: Role, obj: Model, by: User) -> None:
    """Take a role back.

    Raises:
        Forbidden, NotFound: `by` may not do this, or the person does not hold the role.
        Refusal: E_STATE for the last principal investigator of a study or admin of a site.
    """
    _check_scope(role, obj)
    obj = _locked(obj)
    _check_may_grant(by, obj)
    group = groups.group_for(role, obj)
    if not group.user_set.filter(pk=user.pk).exists():
        raise NotFound("E_NOT_FOUND", f"{user.name} is not {role.label} here.")
    if role is LEADERS[role.scope] and not groups.holders(role, obj).exclude(pk=user.pk).exists():
        raise Refusal("E_STATE", f"This is the last {role.label}; give somebody else the role first.")
    group.user_set.remove(user)
    record_role("revoked", user, role, obj, by)


def _check_scope(role: Role, obj: Model) -> None:
    if (role.scope == "site") != isinstance(obj, Site):
        raise Invalid("E_INVALID", f"The role {role.label} is held in a {role.scope}.")


def _locked(obj: M) -> M:
    return type(obj)._default_manager.select_for_update().get(pk=obj.pk)


def check_may_give(*, role: Role, obj: Model, by: User) -> None:
    """Refuse who may not give a role in an object. Raises Forbidden, NotFound; Invalid for a role of another kind."""
    _check_scope(role, obj)
    if not (role is LEADERS[role.scope] and may_appoint(by, obj)):
        _check_may_grant(by, obj)


def may_appoint(by: User, obj: Model) -> bool:
    """Whether a person may give a study or a site somebody who leads it, because nobody who can sign in does."""
    is_site = isinstance(obj, Site)
    if not can(by, Permission.SITES_MANAGE if is_site else Permission.INVESTIGATOR_APPOINT):
        return False
    return not groups.holders(LEADERS["site" if is_site else "study"], obj).exists()


def _begins(by: User, user: User, role: Role, obj: Model) -> bool:
    """Whether a study's creator takes the lead of it, which they do once: before anybody has had a role in it."""
    creates = by.is_active and by.pk == user.pk == getattr(obj, "created_by_id", None)
    return creates and role is Role.PI and not groups.role_groups(obj).exists()


def _check_may_grant(by: User, obj: Model) -> None:
    check(by, Permission.SITE_PEOPLE if isinstance(obj, Site) else Permission.STUDY_GRANT, obj)


def check_duties(user: User, role: Role, obj: Model) -> None:
    """Refuse a role that does not go with what somebody is. Raises Refusal (E_DUTIES), Conflict (E_EXISTS)."""
    if user.is_platform_admin:
        raise Refusal("E_DUTIES", "A platform administrator holds no role in studies and at sites.")
    held = groups.role_groups(obj).filter(group__user=user).values_list("role", flat=True).first()
    if held == role.value:
        raise Conflict("E_EXISTS", f"{user.name} is {role.label} already.")
    if held is not None:
        raise Refusal("E_DUTIES", f"{user.name} is {Role(held).label} here; one person holds one role.")


def record_role(verb: str, user: User, role: Role, obj: Model, by: User) -> None:
    """Note in the log that a role was "granted" or "revoked"."""
    record(
        action=f"accounts:role:{verb}",
        actor=by,
        obj=obj,
        study=None if isinstance(obj, Site) else obj.pk,
        site=obj.pk if isinstance(obj, Site) else None,
        detail={"user": str(user.pk), "person": user.name, "role": role.value, "role_label": role.label},
    )
