"""Under which circumstances an event was written, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.roles import LABELS, Role

METHODS = {
    "session": gettext_noop("signed in on a page"),
    "program session": gettext_noop("signed in by a program"),
    "token": gettext_noop("by a token of the API"),
    "node key": gettext_noop("signed by the node's key"),
    "none": gettext_noop("not signed in"),
    "system": gettext_noop("by the portal itself"),
}
WAYS = {
    "password": gettext_noop("password"),
    "code": gettext_noop("code"),
    "passkey": gettext_noop("passkey"),
    "single sign-on": gettext_noop("single sign-on"),
}
ROLES = {"platform administrator": gettext_noop("platform administrator"), "node": gettext_noop("node")}
LEVELS = {1: gettext_noop("one factor"), 2: gettext_noop("two factors")}


def circumstances_of(context: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of a heading and words; none for events of before there was a context."""
    return tuple((name, value) for name, value in _pairs(context) if value)


def _pairs(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield _("Signed in"), _auth(context.get("auth", {}))
    yield _("Standing"), _standing(context.get("actor", {}))
    yield _("Came from"), _source(context.get("source", {}))
    yield _("Request"), str(context.get("request", ""))
    software = context.get("software", "")
    yield _("Software"), _("portal {version}").format(version=software) if software else ""


def _auth(auth: Mapping[str, Any]) -> str:
    method = str(auth.get("method", ""))
    parts = [_(METHODS[method]) if method in METHODS else method]
    if ways := auth.get("ways"):
        named = _(" and ").join(_(WAYS[way]) if way in WAYS else str(way) for way in ways)
        parts[0] = _("{method} with {ways}").format(method=parts[0], ways=named)
    if level := LEVELS.get(auth.get("aal", 0)):
        parts.append(_(level))
    if "session" in auth:
        parts.append(_("session {pseudonym}").format(pseudonym=auth["session"]))
    if "part" in auth:
        parts.append(str(auth["part"]))
    return ", ".join(part for part in parts if part)


def _standing(actor: Mapping[str, Any]) -> str:
    role = str(actor.get("role", ""))
    words = _(ROLES[role]) if role in ROLES else role
    if "site" in actor:
        words = _("{role} of site {site}").format(role=words, site=actor["site"])
    held = [_role(str(name)) for name in actor.get("roles", ())]
    return ", ".join([words, *held] if words else held)


def _role(name: str) -> str:
    """A role such as "study:pi", in the study or at the site of the event."""
    scope, _colon, role = name.partition(":")
    if role not in LABELS:
        return name
    where = _("{role} of the study") if scope == "study" else _("{role} of the site")
    return where.format(role=_(LABELS[Role(role)]))


def _source(source: Mapping[str, Any]) -> str:
    address = _("source {pseudonym}").format(pseudonym=source["address"]) if "address" in source else ""
    agent = _("program {pseudonym}").format(pseudonym=source["agent"]) if "agent" in source else ""
    return ", ".join(part for part in (address, agent) if part)
