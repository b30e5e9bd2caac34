"""Who looks at a page: the studies they lead, the sites they speak for, and the roles to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.roles import Role
from portal.web.presenters.waits import Reader


@dataclass(frozen=True)
class Access:
    """A person's roles by object, in the shape that pages need.

    Attributes:
        studies: study id to the role held in it.
        sites: site id to the role held at it.
    """

    studies: Mapping[UUID, Role]
    sites: Mapping[UUID, Role]
    is_platform_admin: bool

    @property
    def reader(self) -> Reader:
        leads = [study for study, role in self.studies.items() if role is Role.PI]
        return Reader(leads=frozenset(leads), sites=frozenset(self.sites))

    @property
    def is_steward(self) -> bool:
        return Role.STEWARD in self.sites.values()

    @property
    def sees_sites(self) -> bool:
        return self.is_platform_admin or bool(self.sites)

    @property
    def sees_log(self) -> bool:
        reads = any(role in (Role.PI, Role.AUDITOR) for role in self.studies.values())
        return self.is_platform_admin or bool(self.sites) or reads

    @property
    def roles(self) -> list[str]:
        """The kinds of roles that the person holds, for the account menu."""
        held = dict.fromkeys([*self.studies.values(), *self.sites.values()])
        return [*([_("platform administrator")] if self.is_platform_admin else []), *(_(role.label) for role in held)]

    def role_in(self, study: UUID) -> str:
        """The role in a study as words; people of its sites have none of their own there."""
        role = self.studies.get(study)
        return _(role.label).capitalize() if role else _("Through your site") if self.sites else _("Reader")


def access_of(user: User) -> Access:
    """The roles of a person."""
    held = [(Role(role), object_id) for role, object_id in user.held_roles()]
    return Access(
        studies={object_id: role for role, object_id in held if role.scope == "study"},
        sites={object_id: role for role, object_id in held if role.scope == "site"},
        is_platform_admin=user.is_platform_admin,
    )
