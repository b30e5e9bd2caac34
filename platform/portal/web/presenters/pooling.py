"""Pooled rows in words: who pools what, on what terms, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fedstudy_core.times import parse_time
from nodes.registry.models import Node
from portal.web.presenters.levels import Level, level_of
from studies.pooling.models import PoolConsent, PooledObject


@dataclass(frozen=True)
class SiteRow:
    """A site that pools rows, or did. `href` is empty for who may not read its consent; `rows` None without any."""

    site: str
    href: str
    level: Level
    state: str
    rows: int | None
    not_after: dt.datetime
    awaits_proof: bool


@dataclass(frozen=True)
class Proof:
    """What is missing until a site knows that its rows are gone.

    Attributes:
        why: what became due: the site asked, or retention is over.
        heard_at: when the pool node was heard of last.
        key_in_use: a newer consent's rows are sealed with the same key.
    """

    why: str
    heard_at: dt.datetime | None
    key_in_use: bool


@dataclass(frozen=True)
class Signature:
    """Who signed a consent, by the words of the statement."""

    name: str
    role: str
    at: dt.datetime
    meaning: str


@dataclass(frozen=True)
class Terms:
    """A consent as people read it: each column with what becomes of it, the rows, the reasons, the limits."""

    level: Level
    columns: list[tuple[str, str]]
    kept: list[str]
    conditions: list[str]
    training: str
    rest: str
    groups: str
    purpose: str
    legal: list[tuple[str, str]]
    signatures: list[Signature]
    recipient: str
    dataset: str


def site_row(consent: PoolConsent, rows: int | None, *, is_readable: bool) -> SiteRow:
    """A line of the table of sites."""
    return SiteRow(
        site=consent.site.name,
        href=reverse("web:pool-consent", args=[consent.pk]) if is_readable else "",
        level=level_of(consent.level),
        state=consent.standing,
        rows=rows,
        not_after=consent.not_after,
        awaits_proof=consent.awaits_proof,
    )


def proof_of(consent: PoolConsent) -> Proof | None:
    """What is missing of the proof that a consent's rows are gone; None where nothing is."""
    if not consent.awaits_proof:
        return None
    asked = consent.delete_asked_at is not None
    node = Node.objects.filter(pk=consent.key.pool_node.node_id).first()
    return Proof(
        why=_("Deletion was asked for.") if asked else _("The time for which the rows may be held is over."),
        heard_at=node.last_seen_at if node else None,
        key_in_use=consent.key.consents.filter(state="valid").exists(),
    )


def terms_of(consent: PoolConsent) -> Terms:
    """What was signed, in words."""
    said = consent.statement
    basis, leaving = said["legal_basis"], set(said["columns"])
    legal = [(_("Article 6"), basis["gdpr6"]), (_("Article 9"), basis["gdpr9"]), (_("Note"), basis.get("note", ""))]
    return Terms(
        level=level_of(consent.level),
        columns=[(name, action_text(said["profile"][name])) for name in said["columns"]],
        kept=sorted(name for name in said["profile"] if name not in leaving),
        conditions=[_condition(item) for item in said["filter"]],
        training=_("Of these, the {share} % that models are trained on; the rows that they are tested on stay.").format(
            share=f"{100 * float(said['holdout']['train']):g}"
        ),
        rest=_("Other rows for training stay, and train nothing: at F3 the site’s own node only tests models.")
        if consent.level == "F3"
        else "",
        groups=_groups(said["k"]),
        purpose=_("This study"),
        legal=[(label, text) for label, text in legal if text],
        signatures=[_signature(item["name"], item["role"], said["issued_at"]) for item in said["approvers"]],
        recipient=said["pool"]["recipient"],
        dataset=said["dataset"]["fingerprint"],
    )


def _signature(name: str, role: str, at: str) -> Signature:
    return Signature(name, _(role), parse_time(at), _("consents"))


def action_text(action: Mapping[str, Any]) -> str:
    """What becomes of a column before it leaves."""
    match action["action"]:
        case "keep":
            return _("as it is")
        case "round":
            return _rounded(action["digits"])
        case "band":
            return _("in bands of {width}").format(width=action["width"])
        case "top":
            return _("at most {at}").format(at=action["at"])
        case "shift_days":
            return _("dates moved by up to {most} days, secretly").format(most=action["most"])
        case other:
            return str(other)


def _rounded(digits: int) -> str:
    if digits > 0:
        return ngettext("rounded, {digits} decimal", "rounded, {digits} decimals", digits).format(digits=digits)
    return _("rounded to multiples of {step}").format(step=10**-digits)


def _condition(item: Mapping[str, Any]) -> str:
    value = item["value"]
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{item['column']} {item['op']} {shown}"


def _groups(k: Mapping[str, Any]) -> str:
    words = ngettext(
        "At least {least} patient shares the same values of {columns}.",
        "At least {least} patients share the same values of {columns}.",
        k["least"],
    ).format(least=k["least"], columns=", ".join(k["columns"]))
    rest = _("Rows of smaller groups stay.") if k.get("suppress") else _("With a smaller group nothing is sent.")
    return f"{words} {rest}"


def object_of(consent: PoolConsent) -> PooledObject | None:
    """What came under a consent, or is coming."""
    return consent.sent.exclude(state="refused").first() or consent.sent.first()
