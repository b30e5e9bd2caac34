"""Asking for a role in a study or at a site, and deciding on it.

Which studies and sites there are is not for everybody to know. So they are named by a join code, which who gives roles
there makes and hands to whom they like; a code that is wrong and one that has ended are answered alike.
"""

from __future__ import annotations

import secrets
from typing import cast
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from accounts import groups
from accounts.duplicates import refuse_duplicates
from accounts.grants import check_duties, check_may_give, grant_role
from accounts.models import AccessRequest, JoinCode, RoleGroup, Site, User
from accounts.roles import LEADERS, SITE_ROLES, STUDY_ROLES, Role
from accounts.signals import access_asked, access_decided
from accounts.states import REQUEST
from audit.services import record
from fedstudy_core.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without what is read as something else
GROUPS, GROUP = 4, 5  # 99 bits


def roles_in(obj: Model) -> tuple[Role, ...]:
    """The roles that can be asked for in a study or at a site."""
    return SITE_ROLES if isinstance(obj, Site) else STUDY_ROLES


def leading_role(obj: Model) -> Role:
    """The role of those who give the others."""
    return LEADERS["site" if isinstance(obj, Site) else "study"]


def join_code_of(obj: Model) -> JoinCode | None:
    """The code that leads to a study or site, if there is one."""
    return JoinCode.objects.filter(**_about(obj), ended_at=None).first()


@transaction.atomic
def make_join_code(*, obj: Model, by: User) -> JoinCode:
    """Make a code; the one before ends.

    Raises:
        Forbidden, NotFound: `by` gives no roles there.
    """
    end_join_code(obj=obj, by=by)
    code = "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    made = JoinCode.objects.create(code=code, content_object=obj, created_by=by)
    _record("joincode", "made", obj, by)
    return made


@transaction.atomic
def end_join_code(*, obj: Model, by: User) -> None:
    """End the code, if there is one; what was asked by it stays.

    Raises:
        Forbidden, NotFound: `by` gives no roles there.
    """
    check_may_give(role=leading_role(obj), obj=obj, by=by)
    type(obj)._default_manager.select_for_update().get(pk=obj.pk)
    if JoinCode.objects.filter(**_about(obj), ended_at=None).update(ended_at=timezone.now()):
        _record("joincode", "ended", obj, by)


def object_behind(code: str) -> Model:
    """The study or site that a code leads to.

    Raises:
        Forbidden: E_JOIN_CODE, whether it is wrong or has ended.
    """
    found = JoinCode.objects.filter(code=code.strip().upper(), ended_at=None).first()
    if found is None or found.content_object is None:
        raise Forbidden("E_JOIN_CODE")
    return cast(Model, found.content_object)


@transaction.atomic
def ask_for_role(*, code: str, role: Role, reason: str, by: User) -> AccessRequest:
    """Ask for a role; who gives it is told.

    Raises:
        Forbidden: E_JOIN_CODE.
        Invalid: E_INVALID for a role of another kind, or no reason.
        Refusal: E_DUTIES for who may not hold it. Conflict: E_EXISTS for who has it, or has asked already.
    """
    obj, reason = object_behind(code), reason.strip()
    if role not in roles_in(obj):
        raise Invalid("E_INVALID", errors=[FieldProblem("role", "E_INVALID", "There is no such role there.")])
    _check_words(reason, "reason", "Say why you ask.")
    check_duties(by, role, obj)
    with refuse_duplicates("You have asked already; it waits for an answer."):
        made = AccessRequest.objects.create(person=by, role=role.value, content_object=obj, reason=reason)
    _record("access", "asked", obj, by, made)
    access_asked.send(sender=AccessRequest, request=made)
    return made


@transaction.atomic
def accept_request(*, request: AccessRequest, by: User, answer: str = "") -> AccessRequest:
    """Give the role that was asked for.

    Raises:
        Forbidden, NotFound: `by` may not give it. Refusal, Conflict: as `grants.grant_role`, and E_STATE.
    """
    return _decide(request, "accepted", answer, by)


@transaction.atomic
def refuse_request(*, request: AccessRequest, by: User, answer: str) -> AccessRequest:
    """Refuse, and say why.

    Raises:
        Forbidden, NotFound: `by` may not give the role. Invalid: E_INVALID without an answer. Conflict: E_STATE.
    """
    _check_words(answer.strip(), "answer", "Say why, so that the person knows.")
    return _decide(request, "refused", answer, by)


@transaction.atomic
def withdraw_request(*, request: AccessRequest, by: User) -> AccessRequest:
    """Take one's own request back.

    Raises:
        NotFound: E_NOT_FOUND for somebody else's. Conflict: E_STATE.
    """
    request = AccessRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
    if request.person_id != by.pk:
        raise NotFound("E_NOT_FOUND")
    REQUEST.move(request, "withdrawn")
    request.save(update_fields=["state"])
    _record("access", "withdrawn", cast(Model, request.content_object), by, request)
    return request


def requests_of(user: User) -> QuerySet[AccessRequest]:
    """What somebody asked for."""
    return _shown(AccessRequest.objects.filter(person=user))


def requests_to(user: User) -> QuerySet[AccessRequest]:
    """What others ask of somebody who gives roles; open or decided."""
    leads = RoleGroup.objects.filter(group__user=user, role__in=[role.value for role in LEADERS.values()])
    return _shown(AccessRequest.objects.filter(object_id__in=leads.values("object_id")))


def requests_seen_by(user: User) -> QuerySet[AccessRequest]:
    """What somebody asked for, and what is asked of them."""
    return requests_to(user) | requests_of(user)


def _shown(rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """Requests with what is shown of them."""
    return rows.select_related("person", "decided_by").prefetch_related("content_object")


def request_seen_by(user: User, id: UUID) -> AccessRequest:
    """One of these.

    Raises:
        NotFound: E_NOT_FOUND.
    """
    found = requests_seen_by(user).filter(pk=id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such request, or it is not yours to see.")
    return found


def deciders(obj: Model) -> QuerySet[User]:
    """Who gives roles in a study or at a site."""
    return groups.holders(leading_role(obj), obj)


def _decide(request: AccessRequest, state: str, answer: str, by: User) -> AccessRequest:
    request = AccessRequest.objects.select_for_update(of=("self",)).select_related("person").get(pk=request.pk)
    obj, role = cast(Model, request.content_object), Role(request.role)
    check_may_give(role=role, obj=obj, by=by)
    if request.person_id == by.pk:
        raise Conflict("E_STATE", "Somebody else decides on what you ask for.")
    REQUEST.move(request, state)
    if state == "accepted":
        grant_role(user=request.person, role=role, obj=obj, by=by)
    request.answer, request.decided_by, request.decided_at = answer.strip()[:500], by, timezone.now()
    request.save(update_fields=["state", "answer", "decided_by", "decided_at"])
    _record("access", state, obj, by, request)
    access_decided.send(sender=AccessRequest, request=request)
    return request


def _check_words(text: str, field: str, detail: str) -> None:
    if not 1 <= len(text) <= 500:
        problem = FieldProblem(field, "E_INVALID", "Say it in 1 to 500 characters.")
        raise Invalid("E_INVALID", detail, errors=[problem])


def _about(obj: Model) -> dict[str, object]:
    return {"content_type": ContentType.objects.get_for_model(obj), "object_id": obj.pk}


def _record(subject: str, verb: str, obj: Model, by: User, request: AccessRequest | None = None) -> None:
    is_site = isinstance(obj, Site)
    detail = {"person": request.person.name, "role_label": Role(request.role).label} if request else {}
    record(
        action=f"accounts:{subject}:{verb}",
        actor=by,
        obj=obj,
        study=None if is_site else obj.pk,
        site=obj.pk if is_site else None,
        detail=detail,
    )
