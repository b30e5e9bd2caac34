"""Notifications in words, and their kinds, for choosing among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from notifications.models import ALWAYS, KINDS, Notification, Preference
from notifications.words import told

WORDS = {
    "invitation": (gettext_noop("Invitations"), gettext_noop("Your site is invited to a study.")),
    "version": (gettext_noop("Scripts to review"), gettext_noop("A new script waits for your site's review.")),
    "amendment": (gettext_noop("Amendments"), gettext_noop("A script that your site approved is replaced.")),
    "question": (gettext_noop("Questions"), gettext_noop("Somebody asks about a script.")),
    "answer": (gettext_noop("Answers"), gettext_noop("Somebody answers in a review.")),
    "expiring": (gettext_noop("Approvals that end"), gettext_noop("An approval of your site ends soon.")),
    "approved": (
        gettext_noop("Approvals"),
        gettext_noop("A site approved a script of your study, or consented to pool rows."),
    ),
    "rejected": (gettext_noop("Rejections"), gettext_noop("A site rejected a script of your study.")),
    "revoked": (gettext_noop("Revocations"), gettext_noop("A site took an approval or pooled rows back.")),
    "factors": (gettext_noop("Second factors"), gettext_noop("Somebody removed yours.")),
    "arrival": (gettext_noop("People who come"), gettext_noop("Somebody comes to your site from another one.")),
    "moved": (gettext_noop("Moves"), gettext_noop("You were moved to another site.")),
    "access": (gettext_noop("Requests for roles"), gettext_noop("Somebody asks for a role that you give.")),
    "release": (gettext_noop("Releases of models"), gettext_noop("Somebody asks for a release, or it was decided.")),
    "webhook": (gettext_noop("Webhooks"), gettext_noop("A webhook of your study was switched off.")),
    "log": (
        gettext_noop("The log"),
        gettext_noop("A site's node found that the log is not the one that it saw before."),
    ),
    "level": (
        gettext_noop("Levels of participation"),
        gettext_noop("A site of your study shares more or less from now on."),
    ),
    "enrolment": (
        gettext_noop("Sites' answers"),
        gettext_noop("A site of your study takes part, is ready, declined or withdrew."),
    ),
    "run": (gettext_noop("Runs that end"), gettext_noop("A run of your study is completed, or failed.")),
    "decided": (
        gettext_noop("Answers to your requests"),
        gettext_noop("A role that you asked for was given or refused."),
    ),
}


@dataclass(frozen=True)
class NewsRow:
    """One thing that the reader is told, in their language; what was told before there was one is English."""

    id: UUID
    text: str
    created_at: datetime
    is_new: bool


def news_rows(found: Iterable[Notification]) -> list[NewsRow]:
    """Notifications in their order."""
    return [
        NewsRow(
            id=row.pk,
            text=told(row.words, row.facts) if row.words else row.subject,
            created_at=row.created_at,
            is_new=row.read_at is None,
        )
        for row in found
    ]


@dataclass(frozen=True)
class KindRow:
    """A kind of notification, and how the reader is told of it; ``is_fixed`` where the page shows it in any case."""

    kind: str
    label: str
    meaning: str
    on_page: bool
    by_email: bool
    is_fixed: bool


def kind_rows(said: Preference) -> list[KindRow]:
    """All kinds, in their order."""
    return [
        KindRow(kind, *words_of(kind), kind not in said.not_on_page, kind not in said.not_by_email, kind in ALWAYS)
        for kind in KINDS
    ]


def words_of(kind: str) -> tuple[str, str]:
    """What a kind is called, and when it is told."""
    known = WORDS.get(kind)
    return (_(known[0]), _(known[1])) if known else (kind.replace("_", " ").capitalize(), "")
