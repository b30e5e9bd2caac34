"""Read access to studies, restricted to what a person may see."""

from __future__ import annotations

from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet

from accounts.models import RoleGroup, User
from accounts.permissions import Permission, can
from accounts.roles import Role
from studies.lifecycle.models import Study, StudyGroupObjectPermission


def visible_to(user: User) -> QuerySet[Study]:
    """The studies in which the person has a role, or to which one of their sites is invited."""
    return studies_with(user, Permission.STUDY_VIEW)


def without_investigator(user: User) -> QuerySet[Study]:
    """The studies that nobody leads who can sign in, for those who may appoint somebody; none for others."""
    if not can(user, Permission.INVESTIGATOR_APPOINT):
        return Study.objects.none()
    kind = ContentType.objects.get_for_model(Study)
    led = RoleGroup.objects.filter(content_type=kind, role=Role.PI.value, group__user__is_active=True)
    return Study.objects.exclude(pk__in=led.values("object_id"))


def staffed_by(user: User) -> QuerySet[Study]:
    """The studies whose people the person sees: those that they see, and those to which they may appoint somebody."""
    return visible_to(user) | without_investigator(user)


def studies_with(user: User, permission: Permission) -> QuerySet[Study]:
    """The studies in which the person has the permission."""
    if not user.is_active:
        return Study.objects.none()
    granted = StudyGroupObjectPermission.objects.filter(group__user=user, permission__codename=permission.codename)
    return Study.objects.filter(pk__in=granted.values("content_object"))
