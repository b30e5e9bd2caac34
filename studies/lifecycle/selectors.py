"""Read access to studies, restricted to what a person may see."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.models import User
from accounts.permissions import Permission
from studies.lifecycle.models import Study, StudyGroupObjectPermission


def visible_to(user: User) -> QuerySet[Study]:
    """The studies in which the person has a role, or to which one of their sites is invited."""
    return studies_with(user, Permission.STUDY_VIEW)


def studies_with(user: User, permission: Permission) -> QuerySet[Study]:
    """The studies in which the person has the permission."""
    if not user.is_active:
        return Study.objects.none()
    granted = StudyGroupObjectPermission.objects.filter(group__user=user, permission__codename=permission.codename)
    return Study.objects.filter(pk__in=granted.values("content_object"))
