"""What may be done, which role may do it, and the two questions that everybody asks: `can` and `check`.

A role's permissions stand in the database as guardian object permissions of the role's group, one group an object and
a role (`study:<id>:pi`); `accounts.services` writes them from the table here. Site people see the studies their site
is invited to because the site's groups receive `SITE_PEOPLE_IN_STUDY` on that study (`studies.enrolment`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from django.db.models import Model
from guardian.utils import get_group_obj_perms_model

from accounts.roles import Role
from fedstudy_core.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from uuid import UUID

Found = TypeVar("Found")


class Permission(StrEnum):
    """One thing that may be done; the part before the dot says to what kind of object."""

    STUDY_CREATE = "platform.create_study"
    USERS_MANAGE = "platform.manage_users"
    SITES_MANAGE = "platform.manage_sites"
    HEALTH_VIEW = "platform.view_health"
    INVESTIGATOR_APPOINT = "platform.appoint_investigator"

    STUDY_VIEW = "study.view"
    STUDY_EDIT = "study.edit"
    STUDY_AMEND = "study.amend"
    STUDY_MOVE = "study.move"
    STUDY_INVITE = "study.invite"
    STUDY_GRANT = "study.grant_roles"
    DICTIONARY_PUBLISH = "study.publish_dictionary"
    DATASETS_VIEW = "study.view_datasets"
    SCRIPT_SUBMIT = "study.submit_script"
    SCRIPT_READ = "study.read_script"
    RUN_START = "study.start_run"
    RUN_STOP = "study.stop_run"
    RESULTS_VIEW = "study.view_results"
    MODEL_DOWNLOAD = "study.download_model"
    RELEASE_REQUEST = "study.request_release"
    AUDIT_VIEW = "study.view_audit"
    WEBHOOKS_MANAGE = "study.manage_webhooks"

    SITE_VIEW = "site.view"
    SITE_PEOPLE = "site.manage_people"
    INVITATION_ANSWER = "site.answer_invitation"
    LEVEL_CHANGE = "site.change_level"
    SITE_WITHDRAW = "site.withdraw"
    DATASET_REGISTER = "site.register_dataset"
    SITE_DATASETS_VIEW = "site.view_datasets"
    SCRIPT_APPROVE = "site.approve_script"
    APPROVAL_REVOKE = "site.revoke_approval"
    RELEASE_COSIGN = "site.cosign_release"
    NODE_ENROL = "site.enrol_node"
    NODE_REVOKE = "site.revoke_node"
    SITE_RESULTS_VIEW = "site.view_results"
    SITE_AUDIT_VIEW = "site.view_audit"

    @property
    def scope(self) -> str:
        """ "platform", "study" or "site"."""
        return self.value.partition(".")[0]

    @property
    def codename(self) -> str:
        """The name under which Django stores it."""
        return self.value.replace(".", "_")


def of_scope(scope: str) -> tuple[tuple[str, str], ...]:
    """The permissions of a kind of object, as `Meta.permissions` wants them."""
    return tuple((item.codename, item.value) for item in Permission if item.scope == scope)


P = Permission
ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.PI: frozenset(item for item in P if item.scope == "study"),
        Role.CO_INVESTIGATOR: frozenset(
            {
                P.STUDY_VIEW,
                P.STUDY_EDIT,
                P.DICTIONARY_PUBLISH,
                P.DATASETS_VIEW,
                P.SCRIPT_SUBMIT,
                P.SCRIPT_READ,
                P.RESULTS_VIEW,
            }
        ),
        Role.AUDITOR: frozenset({P.STUDY_VIEW, P.DATASETS_VIEW, P.SCRIPT_READ, P.RESULTS_VIEW, P.AUDIT_VIEW}),
        Role.ADMIN: frozenset(item for item in P if item.scope == "site") - {P.DATASET_REGISTER, P.RELEASE_COSIGN},
        Role.STEWARD: frozenset(
            {
                P.SITE_VIEW,
                P.SITE_WITHDRAW,
                P.SITE_DATASETS_VIEW,
                P.SCRIPT_APPROVE,
                P.APPROVAL_REVOKE,
                P.RELEASE_COSIGN,
                P.NODE_REVOKE,
                P.SITE_RESULTS_VIEW,
                P.SITE_AUDIT_VIEW,
            }
        ),
    }
)
SITE_PEOPLE_IN_STUDY = frozenset({P.STUDY_VIEW, P.SCRIPT_READ, P.RESULTS_VIEW})
PLATFORM_ADMIN = frozenset({P.USERS_MANAGE, P.SITES_MANAGE, P.HEALTH_VIEW, P.INVESTIGATOR_APPOINT})
PLATFORM_ADMIN_AT_SITES = frozenset({P.SITE_VIEW, P.NODE_REVOKE})
EVERYBODY_ELSE = frozenset({P.STUDY_CREATE})
NODE = frozenset({P.DATASET_REGISTER, P.SCRIPT_APPROVE, P.APPROVAL_REVOKE})
VIEW = {"study": P.STUDY_VIEW, "site": P.SITE_VIEW}


@runtime_checkable
class SiteAgent(Protocol):
    """A node that acts for its site; it hands on what people decided at the hospital's console."""

    pk: Any
    site_id: UUID

    @property
    def may_act(self) -> bool: ...


def can(user: Any, permission: Permission, obj: Model | None = None) -> bool:
    """Whether a person, or a node for its own site, may do this to the object (None for the whole platform)."""
    if isinstance(user, SiteAgent):
        return permission in NODE and user.may_act and obj is not None and obj.pk == user.site_id
    if not getattr(user, "is_active", False):
        return False
    if permission.scope == "platform":
        if user.is_platform_admin:
            return permission in PLATFORM_ADMIN
        return permission in EVERYBODY_ELSE and not _only_watches(user)
    if obj is None:
        raise ValueError(f"{permission} is asked of an object")
    if user.is_platform_admin and permission in PLATFORM_ADMIN_AT_SITES:
        return True
    return permission.codename in _given(user, obj)


# What was looked up of people's rights, where nothing changes them meanwhile; None where something may.
_seen: ContextVar[dict[Hashable, Any] | None] = ContextVar("rights that were looked up", default=None)


@contextmanager
def rights_stand() -> Iterator[None]:
    """While somebody only reads: their roles, and what they may do to an object, are looked up once."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def looked_up(key: Hashable, look_up: Callable[[], Found]) -> Found:
    """What was found of a person's rights before while they stand (`rights_stand`), else what is found now."""
    seen = _seen.get()
    if seen is None:
        return look_up()
    if key not in seen:
        seen[key] = look_up()
    found: Found = seen[key]
    return found


def _given(user: Any, obj: Model) -> frozenset[str]:
    """The codenames of what a person's groups may do to an object; in one query, which tells events of their roles."""

    def look_up() -> frozenset[str]:
        held = get_group_obj_perms_model(obj)._default_manager.filter(group__user=user, content_object=obj)
        rows = list(held.values_list("permission__codename", "group__name"))
        user.note_roles({role_of_group(name) for _, name in rows}, asked=[str(obj.pk)])
        return frozenset(codename for codename, _ in rows)

    return looked_up((user.pk, obj.pk), look_up)


def role_of_group(name: str) -> tuple[str, str]:
    """The role for which a group stands, and where: "study:pi" and the id for "study:<id>:pi" (`accounts.groups`).

    What gives rights in a study may be a role at a site that takes part in it.
    """
    scope, _, rest = name.partition(":")
    object_id, _, role = rest.rpartition(":")
    return f"{scope}:{role}", object_id


def _only_watches(user: Any) -> bool:
    """Whether a person's roles are all those of hospitals and auditors: duties that do not go with leading a study."""
    held = {role for role, _ in user.held_roles()}
    return bool(held) and held <= {Role.ADMIN, Role.STEWARD, Role.AUDITOR}


class Denied(Forbidden):
    """Somebody may not do this to a thing that they know of; whoever answers them has it noted (`accounts.refusals`).

    Attributes:
        permission: what they lack.
        obj: the study or site; None for the whole platform.
        reason: a sentence about this very case; empty where there is none but that they lack it.
    """

    def __init__(self, permission: Permission, obj: Model | None = None, reason: str = "") -> None:
        super().__init__("E_FORBIDDEN", reason or f"Your role does not allow this ({permission.value}).")
        self.reason = reason
        self.permission = permission
        self.obj = obj


def check(user: Any, permission: Permission, obj: Model | None = None) -> None:
    """Refuse what the user may not do.

    Raises:
        NotFound: E_NOT_FOUND, when the user may not even know that the object exists.
        Denied: E_FORBIDDEN otherwise.
    """
    if can(user, permission, obj):
        return
    view = VIEW.get(permission.scope)
    if view is not None and not isinstance(user, SiteAgent) and not can(user, view, obj):
        raise NotFound("E_NOT_FOUND", f"There is no such {permission.scope}, or it is not yours to see.")
    raise Denied(permission, obj)


def check_for_site(user: Any, permission: Permission, site: Model, study: Model) -> None:
    """Refuse who does not speak for a site in a study: as forbidden to those who know of the site by the study.

    Raises:
        NotFound: E_NOT_FOUND, when the user sees neither of them.
        Denied: E_FORBIDDEN otherwise.
    """
    try:
        check(user, permission, site)
    except NotFound:
        check(user, Permission.STUDY_VIEW, study)
        raise Denied(permission, site, "Only the site's own people answer for it.") from None
