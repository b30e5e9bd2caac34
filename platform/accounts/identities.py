"""Who people are at the provider of single sign-on.

An account is found by the issuer's own name for a person alone. An e-mail address, verified or not, never lets in: it
only says whose account a link is offered for, to somebody who then signs in to that account as well.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.duplicates import refuse_duplicates
from accounts.models import Identity, User
from audit.services import record
from fedstudy_core.errors import NotFound, Refusal


def identities_of(user: User) -> QuerySet[Identity]:
    """The person's links, the oldest first."""
    return Identity.objects.filter(user=user).order_by("linked_at", "pk")


def person_behind(issuer: str, subject: str) -> User | None:
    """The person whom an issuer calls so, if they are linked and can sign in; notes that it was used."""
    found = Identity.objects.filter(issuer=issuer, subject=subject, user__is_active=True).select_related("user").first()
    if found is None:
        return None
    Identity.objects.filter(pk=found.pk).update(last_used_at=timezone.now())
    return found.user


def owner_of(email: str) -> User | None:
    """Whose account a verified e-mail address belongs to, if they have no link yet."""
    return User.objects.filter(email=email.strip().lower(), is_active=True, identities=None).first()


@transaction.atomic
def link_identity(*, issuer: str, subject: str, email: str, by: User) -> Identity:
    """Let somebody in by an identity that they have just shown.

    Raises:
        Conflict: E_EXISTS for one that is linked, to whomever.
    """
    with refuse_duplicates("This identity is linked to an account already."):
        made = Identity.objects.create(user=by, issuer=issuer, subject=subject, email=email[:254])
    record(action="accounts:identity:linked", actor=by, obj=by, detail={"issuer": issuer, "email": made.email})
    return made


@transaction.atomic
def unlink_identity(*, id: UUID, by: User) -> None:
    """Take away one of the person's own links.

    Raises:
        NotFound: E_NOT_FOUND.
        Refusal: E_STATE for the last one of somebody who has no password.
    """
    held = list(identities_of(User.objects.select_for_update().get(pk=by.pk)))
    found = next((item for item in held if item.pk == id), None)
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such link, or it is not yours.")
    if len(held) == 1 and not by.has_usable_password():
        raise Refusal("E_STATE", "You have no password: without this link you could not sign in any more.")
    record(action="accounts:identity:unlinked", actor=by, obj=by, detail={"issuer": found.issuer, "email": found.email})
    found.delete()


def replaces_password(user: User) -> bool:
    """Whether a person comes in by single sign-on alone; administrators do not, lest nobody gets in without it."""
    sso = settings.FEDSTUDY_SINGLE_SIGN_ON
    return bool(sso.issuer and sso.replaces_password and not user.is_platform_admin and identities_of(user).exists())
