"""Telling people, once each and in the transaction of what they are told; reading; choosing; sending e-mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, override

from accounts.models import User
from audit.services import record
from fedstudy_core.errors import FieldProblem, Invalid
from notifications import selectors
from notifications.models import ALWAYS, KINDS, Notification, Preference
from notifications.signals import news_changed
from notifications.words import in_english

EMAIL_SUBJECT = gettext_noop("FedStudy: something waits for you")
LINK_SUBJECT = "FedStudy: you are invited"
LINK_TEXT = """{who} invites you to work in FedStudy. Open your account here, within seven days:

{address}

The link works once. If you do not know what this is about, let it lie.
"""
EMAIL_TEXT = gettext_noop("""Something waits for you in FedStudy:

{address}

This message says no more on purpose. To get no e-mail, change it there under Notifications.
""")


@transaction.atomic
def notify(
    *, people: Iterable[User], kind: str, subject: str, facts: Mapping[str, str] | None = None, link: str, key: str
) -> None:
    """Tell people; who was told for the same `key` before is not told again. E-mail follows once this is committed.

    Args:
        subject: a sentence that the catalogues know, with places for `facts` (`notifications.words`).
    """
    said_as = {"subject": in_english(subject, facts or {})[:300], "words": subject, "facts": dict(facts or {})}
    asked = {person.pk: person for person in people}
    said = {item.person_id: item for item in Preference.objects.filter(person__in=asked)}
    rows = []
    for pk, person in asked.items():
        on_page, by_email = _wanted(said.get(pk), kind)
        if on_page or by_email:
            told_how = {"on_page": on_page, "by_email": by_email}
            rows.append(Notification(person=person, kind=kind, link=link, key=key, **said_as, **told_how))
    told = set(
        Notification.objects.filter(key=key, person__in=[row.person_id for row in rows]).values_list(
            "person", flat=True
        )
    )
    new = [row for row in rows if row.person_id not in told]
    Notification.objects.bulk_create(new, ignore_conflicts=True)
    for row in (item for item in new if item.by_email):
        transaction.on_commit(partial(_wake, str(row.pk)), robust=True)
    news_changed.send(sender=Notification, people=[row.person_id for row in new if row.on_page])


def _wanted(said: Preference | None, kind: str) -> tuple[bool, bool]:
    """Whether somebody wants a kind on the page, and by e-mail."""
    if said is None:
        return True, True
    return kind not in said.not_on_page, said.by_email and kind not in said.not_by_email


def _wake(notification_id: str) -> None:
    from notifications.tasks import send_email

    send_email.delay(notification_id)


def mark_read(*, notification: Notification, by: User) -> Notification:
    """Note that a person read one of their notifications; what was read before stays as it is."""
    Notification.objects.filter(pk=notification.pk, person=by, read_at=None).update(read_at=timezone.now())
    news_changed.send(sender=Notification, people=[by.pk])
    notification.refresh_from_db()
    return notification


def mark_all_read(*, by: User) -> int:
    """Note that a person read all of their notifications; returns how many were new."""
    read = Notification.objects.filter(person=by, read_at=None).update(read_at=timezone.now())
    news_changed.send(sender=Notification, people=[by.pk])
    return read


@transaction.atomic
def choose_email(*, by_email: bool, by: User) -> Preference:
    """Choose whether to get e-mail."""
    preference, _ = Preference.objects.update_or_create(person=by, defaults={"by_email": by_email})
    detail = {"by_email": by_email}
    record(action="notifications:preference:chosen", actor=by, obj=by, detail=detail)
    return preference


@transaction.atomic
def choose_kinds(*, not_on_page: Collection[str], not_by_email: Collection[str], by: User) -> Preference:
    """Choose which kinds not to be told of on the page, and which not by e-mail.

    Raises:
        Invalid: E_INVALID for a kind that there is not, or that stands on the page in any case.
    """
    unknown = ({*not_on_page} | {*not_by_email}) - {*KINDS}
    if unknown or {*not_on_page} & {*ALWAYS}:
        detail = (
            f"These stand on the page in any case: {', '.join(ALWAYS)}." if not unknown else "There is no such kind."
        )
        raise Invalid("E_INVALID", errors=[FieldProblem("not_on_page", "E_INVALID", detail)])
    chosen = {"not_on_page": sorted({*not_on_page}), "not_by_email": sorted({*not_by_email})}
    preference, _ = Preference.objects.update_or_create(person=by, defaults=chosen)
    record(action="notifications:preference:chosen", actor=by, obj=by, detail=chosen)
    return preference


def send_link(*, to: str, who: str, address: str) -> None:
    """Send somebody without an account a link, once what it is about is committed; who makes it sees it too."""
    if settings.FEDSTUDY_SENDS_EMAIL:
        text = LINK_TEXT.format(who=who, address=address)
        mail = partial(send_mail, LINK_SUBJECT, text, settings.DEFAULT_FROM_EMAIL, [to])
        transaction.on_commit(mail, robust=True)


@transaction.atomic
def email(*, notification_id: str) -> bool:
    """Send the e-mail of a notification unless it went out before, or its person wants none; returns whether it went.

    Raises:
        OSError: the mail server is not to be reached or refuses (SMTPException is one); it may be tried again.
    """
    if not settings.FEDSTUDY_SENDS_EMAIL:
        return False
    waiting = selectors.unsent(timezone.now()).select_for_update(of=("self",), skip_locked=True)
    row = waiting.filter(pk=notification_id).select_related("person").first()
    if row is None:
        return False
    row.emailed_at = timezone.now()
    row.save(update_fields=["emailed_at"])
    with override(row.person.language or settings.LANGUAGE_CODE):
        subject, text = gettext(EMAIL_SUBJECT), gettext(EMAIL_TEXT)
    text = text.format(address=f"{settings.FEDSTUDY_PUBLIC_URL}{row.link}")
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [row.person.email])
    return True
