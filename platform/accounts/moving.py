"""People who move from one site to another: their rights at the old one end at once.

At the new one they get a role as everybody does, from its own people, who are told that somebody comes.
"""

from __future__ import annotations

from django.db import transaction

from accounts import groups
from accounts.grants import record_role
from accounts.models import ApiToken, RoleGroup, Site, User
from accounts.permissions import Permission, check
from accounts.roles import Role
from accounts.sessions import end_sessions
from accounts.signals import person_moved
from audit.services import record
from fedstudy_core.errors import FieldProblem, Invalid, NotFound


@transaction.atomic
def move_person(*, user: User, origin: Site, to: Site, by: User) -> list[Role]:
    """Take all roles at a site from somebody who works at another one from now on, and tell that one's admins.

    All sessions end, as some are at the old site's machines. Tokens stay while the person has a role left that they
    serve, and end with the last. Nobody is kept at a site by being its last admin: an administrator appoints another.

    Returns:
        The roles that the person had at the old site.

    Raises:
        Forbidden: E_FORBIDDEN for who is no platform administrator.
        NotFound: E_NOT_FOUND for somebody without a role at the old site.
        Invalid: E_INVALID where both are the same.
    """
    check(by, Permission.USERS_MANAGE)
    if origin.pk == to.pk:
        raise Invalid("E_INVALID", errors=[FieldProblem("to", "E_INVALID", "This is where the person is now.")])
    origin = Site.objects.select_for_update().get(pk=origin.pk)
    held = list(groups.role_groups(origin).filter(group__user=user).select_related("group"))
    if not held:
        raise NotFound("E_NOT_FOUND", f"{user.name} has no role at {origin.name}.")
    for item in held:
        item.group.user_set.remove(user)
        record_role("revoked", user, Role(item.role), origin, by)
    _end_what_lets_in(user)
    roles = [Role(item.role) for item in held]
    labels = ", ".join(role.label for role in roles)
    detail = {"person": user.name, "from_site": origin.name, "to_site": to.name, "roles": labels}
    record(action="accounts:user:moved", actor=by, obj=user, detail=detail)
    record(action="accounts:user:expected", actor=by, obj=user, site=to.pk, detail={"person": user.name})
    person_moved.send(sender=User, user=user, origin=origin, to=to, by=by)
    return roles


def _end_what_lets_in(user: User) -> None:
    end_sessions(user)
    if not RoleGroup.objects.filter(group__user=user).exists():
        ApiToken.objects.filter(user=user).delete()
