"""One's own account: tabs, tokens, and where one is signed in."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from uuid import UUID

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts import factors
from accounts.models import ApiToken, User
from accounts.scopes import TokenScope
from accounts.sessions import SignedIn
from portal.web.presenters.navigation import Link

# What browsers and systems call themselves; the first that fits. The rest of such a line says nothing to people.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", gettext_noop("an iPhone")),
    ("iPad", gettext_noop("an iPad")),
    ("Windows", "Windows"),
    ("Mac OS X", gettext_noop("a Mac")),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Place:
    """A place where somebody is signed in, in words."""

    id: UUID
    name: str
    address: str
    started_at: dt.datetime
    seen_at: dt.datetime
    is_current: bool


@dataclass(frozen=True)
class OwnToken:
    """A token in words; ``hint`` is how it begins."""

    id: UUID
    name: str
    hint: str
    scopes: str
    last_used_at: dt.datetime | None
    expires_at: dt.datetime

    @property
    def key(self) -> str:
        """The name of the confirmation on the page."""
        return f"token-{self.id}"


@dataclass(frozen=True)
class AppToAdd:
    """An app for codes that is to be added: its key in groups, and the QR code as an image."""

    secret: str
    picture: str


@dataclass(frozen=True)
class Factor:
    """A second factor in words."""

    id: int
    name: str
    kind: str
    created_at: dt.datetime
    last_used_at: dt.datetime | None

    @property
    def key(self) -> str:
        """The name of the confirmation on the page."""
        return f"factor-{self.id}"


def account_tabs(current: str) -> list[Link]:
    """The tabs of the account's pages."""
    names = [
        ("account", _("Profile")),
        ("account-password", _("Password")),
        ("account-factors", _("Second factors")),
        *([("account-sso", _("Single sign-on"))] if settings.FEDSTUDY_SINGLE_SIGN_ON.issuer else []),
        ("account-tokens", _("API tokens")),
        ("account-sessions", _("Sessions")),
        ("access", _("Access requests")),
    ]
    return [Link(label, reverse(f"web:{name}"), current=name == current) for name, label in names]


def token_rows(tokens: Iterable[ApiToken]) -> list[OwnToken]:
    """Tokens as their owner sees them."""
    return [
        OwnToken(
            id=token.pk,
            name=token.name,
            hint=token.token_key,
            scopes=", ".join(TokenScope(scope).value for scope in token.scopes),
            last_used_at=token.last_used_at,
            expires_at=token.expiry,
        )
        for token in tokens
    ]


def app_to_add(user: User, secret: str) -> AppToAdd:
    """What an app for codes wants to know."""
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    picture = base64.b64encode(svg.encode()).decode("ascii")
    return AppToAdd(" ".join(wrap(secret, 4)), f"data:image/svg+xml;base64,{picture}")


def factor_rows(found: Iterable[Authenticator]) -> list[Factor]:
    """Second factors as their owner sees them."""
    names = {factors.APP: _("App for codes"), factors.PASSKEY: _("Passkey")}
    return [
        Factor(
            id=item.pk,
            name=str(item) if item.type == factors.PASSKEY else _("App"),
            kind=names[Authenticator.Type(item.type)],
            created_at=item.created_at,
            last_used_at=item.last_used_at,
        )
        for item in found
    ]


def places(found: Iterable[SignedIn], current: UUID | None) -> list[Place]:
    """Where somebody is signed in."""
    return [
        Place(
            id=item.id,
            name=agent_name(item),
            address=item.address,
            started_at=item.started_at,
            seen_at=item.seen_at,
            is_current=item.id == current,
        )
        for item in found
    ]


def agent_name(item: SignedIn) -> str:
    """What is signed in: "Firefox on Linux", or a program by the name that it gives itself."""
    if item.kind == "program":
        return _("A program ({agent})").format(agent=item.agent) if item.agent else _("A program")
    browser = next((name for sign, name in BROWSERS if sign in item.agent), _("A browser"))
    system = next((_(name) for sign, name in SYSTEMS if sign in item.agent), "")
    return _("{browser} on {system}").format(browser=browser, system=system) if system else browser
