"""Acts that want to know that it is still the person: a second factor, or the password of who has none, lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from accounts.identities import replaces_password
from accounts.models import User
from accounts.sessions import VERIFIED

Condition = Callable[[User, Mapping[str, Any]], bool]


def _always(person: User, sent: Mapping[str, Any]) -> bool:
    return True


def _archives(person: User, sent: Mapping[str, Any]) -> bool:
    return sent.get("to") == "archived"


def _is_a_first(person: User, sent: Mapping[str, Any]) -> bool:
    """A password in place of none: nothing else shows that it is the person, whatever is sent as the present one."""
    return not person.has_usable_password()


def _offers_a_first(person: User, sent: Mapping[str, Any]) -> bool:
    return _is_a_first(person, sent) and not replaces_password(person)


# Method and address to when it is asked, by whose act it is and what is sent.
ACTS: Mapping[tuple[str, str], Condition] = MappingProxyType(
    {
        # a site's word, and its nodes
        ("POST", "web:enrolment-answer"): _always,
        ("POST", "api:accept"): _always,
        ("POST", "api:withdraw"): _always,
        ("POST", "web:node-confirm"): _always,
        ("POST", "api:node-confirm"): _always,
        ("POST", "web:node-revoke"): _always,
        ("POST", "api:node-revoke"): _always,
        # pooled rows that are deleted for good
        ("POST", "web:pool-consent-delete"): _always,
        ("POST", "api:pool-consent-delete"): _always,
        # a model that leaves
        ("POST", "web:run-release"): _always,
        ("POST", "api:run-releases"): _always,
        ("POST", "web:release-answer"): _always,
        ("POST", "api:release-cosign"): _always,
        ("POST", "api:release-refuse"): _always,
        # people and their roles
        ("POST", "web:study-people"): _always,
        ("POST", "api:study-people"): _always,
        ("POST", "web:study-role-revoke"): _always,
        ("DELETE", "api:study-person"): _always,
        ("POST", "web:study-investigator"): _always,
        ("POST", "web:site-people"): _always,
        ("POST", "api:site-people"): _always,
        ("POST", "web:site-role-revoke"): _always,
        ("DELETE", "api:site-person"): _always,
        ("POST", "web:study-invitations"): _always,
        ("POST", "api:study-invitations"): _always,
        ("POST", "web:site-invitations"): _always,
        ("POST", "api:site-invitations"): _always,
        ("POST", "web:access-accept"): _always,
        ("POST", "api:access-accept"): _always,
        ("POST", "api:users"): _always,
        ("PATCH", "api:user"): _always,
        ("DELETE", "api:user-factors"): _always,
        ("POST", "api:user-move"): _always,
        ("POST", "web:platform-person-move"): _always,
        ("POST", "web:platform-person-new"): _always,
        ("POST", "web:platform-person-close"): _always,
        ("POST", "web:platform-person-reopen"): _always,
        ("POST", "web:platform-person-factors"): _always,
        # the end of a study
        ("POST", "web:study-transition"): _archives,
        ("POST", "api:study-transition"): _archives,
        # what lets oneself in
        ("GET", "web:account-password"): _offers_a_first,  # so that no password is carried along in the question
        ("POST", "web:account-password"): _is_a_first,
        ("POST", "api:own-password"): _is_a_first,
        ("GET", "web:account-factors"): _always,  # its form goes with what the session holds
        ("POST", "web:account-factors"): _always,
        ("POST", "web:account-factor-remove"): _always,
        ("DELETE", "api:own-factor"): _always,
        ("POST", "web:account-sso-link"): _always,
        ("POST", "web:account-sso-unlink"): _always,
        ("DELETE", "api:own-identity"): _always,
        ("POST", "web:account-recovery"): _always,
        ("POST", "web:account-tokens"): _always,
        ("POST", "api:own-tokens"): _always,
    }
)


def is_act(method: str | None, name: str, person: User, sent: Callable[[], Mapping[str, Any]]) -> bool:
    """Whether a request is such an act; what it sends is read only where there may be one."""
    condition = ACTS.get((str(method), name))
    return condition is not None and condition(person, sent())


def is_fresh(moment: datetime) -> bool:
    """Whether a person who showed at a moment that it was them need not do so again."""
    return timezone.now() - moment <= timedelta(seconds=settings.FEDSTUDY_STEP_UP_S)


def is_fresh_in(session: SessionBase) -> bool:
    """Whether the person of a browser's session showed lately that it is them."""
    return timezone.now().timestamp() - session.get(VERIFIED, 0) <= settings.FEDSTUDY_STEP_UP_S


def note_shown(session: SessionBase) -> None:
    """Note in a browser's session that the person showed that it is them; the session gets a new key."""
    session[VERIFIED] = timezone.now().timestamp()
    session.cycle_key()
