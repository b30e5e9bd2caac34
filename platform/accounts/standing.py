"""In which role somebody acts, as events of the log tell it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.utils.functional import cached_property


class Standing:
    """What a person's object remembers of the roles that were looked up while it acts."""

    asked_for_all_roles = False

    @cached_property
    def looked_up_roles(self) -> dict[str, frozenset[str]]:
        """By id of a study or site: the roles that give rights there ("study:pi"), where these were looked up."""
        return {}

    def note_roles(self, held: Iterable[tuple[str, str]], asked: Collection[str] = ()) -> None:
        """Remember roles that the person holds.

        Args:
            held: each role ("study:pi") with the id of its study or site.
            asked: ids of studies and sites about which was asked, so that having no role there is remembered too.
        """
        found = dict.fromkeys(asked, frozenset[str]())
        for role, object_id in held:
            found[object_id] = found.get(object_id, frozenset()) | {role}
        known = self.looked_up_roles
        known |= found

    def audit_standing(self: Any, about: Collection[str]) -> dict[str, Any]:
        """What an event says of who acts: administrators, and the roles in its study and site.

        The roles are those by which their rights were found just before. Where those in one of the two were not looked
        up, the database is asked for all: once, however many events there are.
        """
        known = self.looked_up_roles
        if not (self.is_platform_admin or self.asked_for_all_roles) and set(about) - known.keys():
            as_they_acted = dict(known)
            self.held_roles()
            known |= as_they_acted
            self.asked_for_all_roles = True
        roles = sorted({name for obj in about for name in known.get(obj, ())})
        told: dict[str, Any] = {"role": "platform administrator"} if self.is_platform_admin else {}
        return told | ({"roles": roles} if roles else {})
