"""In which role somebody acts, as events of the log tell it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.utils.functional import cached_property

from accounts.roles import Role


class Standing:
    """What a person's object remembers of the roles that were looked up while it acts."""

    @cached_property
    def looked_up_roles(self) -> dict[str, frozenset[str]]:
        """By id of a study or site: the roles that give rights there ("study:pi"), where these were looked up."""
        return {}

    def note_roles(self, held: Iterable[tuple[str, UUID]]) -> None:
        """Remember all roles that the person holds, each with the id of its study or site."""
        found = dict[str, frozenset[str]]()
        for role, object_id in held:
            found[str(object_id)] = found.get(str(object_id), frozenset()) | {f"{Role(role).scope}:{role}"}
        known = self.looked_up_roles
        known |= found

    def audit_standing(self: Any, about: Collection[str]) -> dict[str, Any]:
        """What an event says of who acts: administrators, and the roles in its study and site.

        The roles are those by which their rights were found just before. Only where nothing was looked up yet, the
        database is asked: once, however many events there are.
        """
        known = self.looked_up_roles
        if about and not self.is_platform_admin and known.keys().isdisjoint(about):
            self.held_roles()
            known |= {obj: known.get(obj, frozenset()) for obj in about}
        roles = sorted({name for obj in about for name in known.get(obj, ())})
        told: dict[str, Any] = {"role": "platform administrator"} if self.is_platform_admin else {}
        return told | ({"roles": roles} if roles else {})
