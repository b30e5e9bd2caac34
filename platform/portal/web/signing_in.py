"""Between the password and the second factor: who is about to come in is known, and reaches nothing else yet."""

from __future__ import annotations

from contextlib import suppress

from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import factors
from accounts.identities import link_identity
from accounts.models import User
from accounts.sessions import note_ways
from audit.services import record
from fedstudy_core.errors import Conflict

PENDING = "pending"
LINK = "link"
GOOD_FOR_S = 600
SINGLE_SIGN_ON = "single sign-on"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def needs_factor(user: User) -> bool:
    """Whether a password alone does not let the person in."""
    return factors.are_required() or factors.has_factor(user)


def has_nothing_to_show(user: User) -> bool:
    """Whether the person could not be asked here again who they are: they have neither password nor second factor."""
    return not user.has_usable_password() and not factors.has_factor(user)


def wait_for_factor(request: HttpRequest, user: User, goes_to: str, *, shown: str = "password") -> None:
    """Remember who said the right password, or was shown to be themselves otherwise, for ten minutes."""
    request.session.cycle_key()
    pending = {"user": str(user.pk), "at": timezone.now().timestamp(), "next": goes_to, "shown": shown}
    request.session[PENDING] = pending


def who_waits(request: HttpRequest) -> User | None:
    """Who said the right password and is not in yet."""
    pending = request.session.get(PENDING)
    if pending is None or timezone.now().timestamp() - pending["at"] > GOOD_FOR_S:
        return None
    return User.objects.filter(pk=pending["user"], is_active=True).first()


def offer_link(request: HttpRequest, user: User, **identity: str) -> None:
    """Remember, for ten minutes, who showed by single sign-on that this person's e-mail address is theirs.

    Args:
        identity: issuer, subject, email.
    """
    request.session[LINK] = {"user": str(user.pk), "at": timezone.now().timestamp(), "identity": identity}


def take_link(request: HttpRequest, user: User) -> None:
    """Link what was offered, to the person whom it was offered to and who has just signed in otherwise."""
    offered = request.session.pop(LINK, None)
    if offered is None or offered["user"] != str(user.pk):
        return
    if timezone.now().timestamp() - offered["at"] <= GOOD_FOR_S:
        with suppress(Conflict):
            link_identity(**offered["identity"], by=user)


@transaction.atomic
def let_in(request: HttpRequest, user: User, *, way: str, has_factor: bool = False) -> str:
    """Sign somebody in; returns where they wanted to go.

    Args:
        way: what they have just shown: "password", "code", "passkey", "single sign-on".
        has_factor: they showed a second factor elsewhere.
    """
    pending = request.session.pop(PENDING, {})
    take_link(request, user)
    login(request, user, backend=BACKEND)
    before = [pending["shown"]] if pending.get("user") == str(user.pk) and "shown" in pending else []
    note_ways(request.session, list(dict.fromkeys([*before, way])), has_factor=has_factor)
    record(action="accounts:session:opened", actor=user, obj=user, detail={"by": way} if way == SINGLE_SIGN_ON else {})
    return str(pending.get("next") or "/")
