"""Kinds of notifications in words, for choosing among them."""

from __future__ import annotations

from dataclasses import dataclass

from notifications.models import ALWAYS, KINDS, Preference

WORDS = {
    "invitation": ("Invitations", "Your site is invited to a study."),
    "version": ("Scripts to review", "A new script waits for your site's review."),
    "amendment": ("Amendments", "A script that your site approved is replaced."),
    "question": ("Questions", "Somebody asks about a script."),
    "answer": ("Answers", "Somebody answers in a review."),
    "expiring": ("Approvals that end", "An approval of your site ends soon."),
    "approved": ("Approvals", "A site approved a script of your study."),
    "rejected": ("Rejections", "A site rejected a script of your study."),
    "revoked": ("Revocations", "A site took an approval back."),
    "factors": ("Second factors", "Somebody removed yours."),
    "arrival": ("People who come", "Somebody comes to your site from another one."),
    "moved": ("Moves", "You were moved to another site."),
    "access": ("Requests for roles", "Somebody asks for a role that you give."),
    "release": ("Releases of models", "Somebody asks for a release, or it was decided."),
    "webhook": ("Webhooks", "A webhook of your study was switched off."),
    "log": ("The log", "A site's node found that the log is not the one that it saw before."),
    "decided": ("Answers to your requests", "A role that you asked for was given or refused."),
}


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
    return WORDS.get(kind, (kind.replace("_", " ").capitalize(), ""))
