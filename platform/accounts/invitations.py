"""Inviting somebody who has no account yet to a role in a study or at a site, by a single-use link."""

from __future__ import annotations

import secrets
from typing import cast
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.grants import check_may_give, grant_role
from accounts.identities import link_identity
from accounts.models import Invitation, Site, User
from accounts.roles import Role
from accounts.services import open_account
from accounts.signals import person_invited
from audit.services import record
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound, Refusal

MOST_OPEN = 100
UNKNOWN = gettext_noop("The portal does not know this link. Look whether all of it was copied, to its last character.")


def open_invitations(obj: Model) -> QuerySet[Invitation]:
    """The invitations to a study or site whose links still work, the newest first."""
    about = {"content_type": ContentType.objects.get_for_model(obj), "object_id": obj.pk}
    return Invitation.objects.filter(**about, used_at=None, revoked_at=None, expires_at__gt=timezone.now())


@transaction.atomic
def invite_person(*, email: str, role: Role, obj: Model, by: User) -> tuple[Invitation, str]:
    """Invite somebody; the link's token is returned this once. An earlier link to the same person ends.

    Raises:
        Forbidden, NotFound: `by` may not give this role.
        Invalid: E_INVALID for what is no e-mail address.
        Conflict: E_EXISTS for somebody who has an account: they get the role itself.
        Refusal: E_STATE for too many open invitations.
    """
    check_may_give(role=role, obj=obj, by=by)
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        problem = FieldProblem("email", "E_INVALID", "This is not an e-mail address.")
        raise Invalid("E_INVALID", errors=[problem]) from error
    if User.objects.filter(email=email).exists():
        raise Conflict("E_EXISTS", "This person has an account; give them the role.")
    for earlier in open_invitations(obj).filter(email=email).select_for_update():
        _end(earlier, obj, by)
    if open_invitations(obj).count() >= MOST_OPEN:
        raise Refusal("E_STATE", f"{MOST_OPEN} invitations wait here already; revoke some first.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    made = Invitation.objects.create(
        digest=digest(token.encode()),
        email=email,
        role=role.value,
        content_object=obj,
        invited_by=by,
        created_at=now,
        expires_at=now + Invitation.LIFE,
    )
    _record("made", made, obj, by)
    person_invited.send(sender=Invitation, invitation=made, token=token)
    return made, token


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: User) -> None:
    """End a link that nobody has used.

    Raises:
        Forbidden, NotFound: `by` may not give this role.
        NotFound: E_NOT_FOUND for one that is not open.
    """
    obj = cast(Model, invitation.content_object)
    check_may_give(role=Role(invitation.role), obj=obj, by=by)
    found = open_invitations(obj).select_for_update().filter(pk=invitation.pk).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "This invitation is over.")
    _end(found, obj, by)


def invitation_of(token: str) -> Invitation:
    """The open invitation of a link.

    Raises:
        Forbidden: E_INVITATION, in the same words whether it was used, has expired or was revoked; of a link that never
            was it says so, which tells nothing of others, as nobody guesses one.
    """
    found = Invitation.objects.filter(digest=digest(token.encode())).first()
    if found is None:
        raise Forbidden("E_INVITATION", UNKNOWN)
    if not found.is_open or found.content_object is None:
        raise Forbidden("E_INVITATION")
    return found


@transaction.atomic
def take_up_invitation(*, token: str, name: str, password: str) -> User:
    """Open the invited person's account and give them the role, once.

    Raises:
        Forbidden: E_INVITATION as `invitation_of`, and where who invited may not give the role any more.
        Invalid: E_INVALID with problems by field.
        Conflict: E_EXISTS for an address that has an account by now.
    """
    Invitation.objects.select_for_update().filter(digest=digest(token.encode())).first()
    return _take_up(invitation_of(token), name, password)


@transaction.atomic
def take_up_by_identity(*, invitation: UUID, name: str, issuer: str, subject: str, email: str) -> User:
    """The same by single sign-on: the account has no password, and lets in who has just shown to be that identity.

    Args:
        invitation: whose link was shown in the session that comes back from the provider.
        email: of the identity; the account's own is the one that was invited.

    Raises:
        Forbidden, Invalid: as `take_up_invitation`.
        Conflict: E_EXISTS also for an identity that is linked to an account.
    """
    found = Invitation.objects.select_for_update().filter(pk=invitation).first()
    if found is None or not found.is_open or found.content_object is None:
        raise Forbidden("E_INVITATION")
    user = _take_up(found, name, None)
    link_identity(issuer=issuer, subject=subject, email=email, by=user)
    return user


def _take_up(invitation: Invitation, name: str, password: str | None) -> User:
    obj, role = cast(Model, invitation.content_object), Role(invitation.role)
    user = open_account(invitation.email, name, password)
    try:
        grant_role(user=user, role=role, obj=obj, by=invitation.invited_by)
    except (Forbidden, NotFound) as error:
        raise Forbidden("E_INVITATION") from error
    invitation.used_at = timezone.now()
    invitation.save(update_fields=["used_at"])
    _record("taken_up", invitation, obj, user)
    return user


def _end(invitation: Invitation, obj: Model, by: User) -> None:
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])
    _record("revoked", invitation, obj, by)


def _record(verb: str, invitation: Invitation, obj: Model, by: User) -> None:
    is_site = isinstance(obj, Site)
    record(
        action=f"accounts:invitation:{verb}",
        actor=by,
        obj=obj,
        study=None if is_site else obj.pk,
        site=obj.pk if is_site else None,
        detail={"email": invitation.email, "role_label": Role(invitation.role).label},
    )
