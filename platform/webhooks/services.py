"""Registering webhooks and changing them, by those who may."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from fedstudy_core.errors import Conflict, FieldProblem, Invalid, Refusal
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from webhooks import outbox, secrets, states
from webhooks.kinds import NAMES
from webhooks.models import Delivery, Webhook
from webhooks.sending import check_url


@transaction.atomic
def register_webhook(*, study: Study, url: str, kinds: Collection[str], by: User) -> tuple[Webhook, str]:
    """Have a study's news sent to an address; the secret that is returned beside it is shown this once.

    Raises:
        Forbidden: E_FORBIDDEN.
        Invalid: E_WEBHOOK with problems by field.
        Conflict: E_STATE for a study that is over.
        Refusal: E_STATE for a study that has too many.
    """
    check(by, Permission.WEBHOOKS_MANAGE, study)
    study = Study.objects.select_for_update(of=("self",), no_key=True).get(pk=study.pk)
    check_under_way(study, "and tells no more news")
    _check(url, kinds)
    if Webhook.objects.filter(study=study).count() >= Webhook.MOST:
        raise Refusal("E_STATE", f"A study has at most {Webhook.MOST} webhooks; remove one first.")
    webhook = Webhook(study=study, url=url, kinds=_ordered(kinds), created_by=by)
    secret = secrets.new_secret()
    webhook.secret = secrets.sealed(secret, str(webhook.pk))
    webhook.save()
    _note("registered", webhook, by)
    return webhook, secret


@transaction.atomic
def change_webhook(
    *, webhook: Webhook, url: str | None = None, kinds: Collection[str] | None = None, by: User
) -> Webhook:
    """Change where news goes, or which. Raises as `register_webhook`."""
    webhook = _held(webhook, by)
    webhook.url = webhook.url if url is None else url
    webhook.kinds = webhook.kinds if kinds is None else _ordered(kinds)
    _check(webhook.url, webhook.kinds)
    webhook.save(update_fields=["url", "kinds"])
    _note("changed", webhook, by)
    return webhook


@transaction.atomic
def switch_webhook(*, webhook: Webhook, on: bool, by: User) -> Webhook:
    """Switch a webhook on or off. What happens while it is off is not told later.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when it is so already, or the study is over.
    """
    webhook = _held(webhook, by)
    if on:
        states.WEBHOOK.move(webhook, "active")
        webhook.disabled_reason = ""
        webhook.save(update_fields=["state", "disabled_reason"])
    else:
        outbox.close(webhook, f"{by.name} switched it off.")
    _note("enabled" if on else "disabled", webhook, by)
    return webhook


@transaction.atomic
def renew_secret(*, webhook: Webhook, by: User) -> tuple[Webhook, str]:
    """Give a webhook a new secret, shown this once; for a day messages are signed with the old one too."""
    webhook = _held(webhook, by)
    secret = secrets.new_secret()
    webhook.old_secret, webhook.old_until = webhook.secret, timezone.now() + Webhook.OVERLAP
    webhook.secret = secrets.sealed(secret, str(webhook.pk))
    webhook.save(update_fields=["secret", "old_secret", "old_until"])
    _note("rotated", webhook, by)
    return webhook, secret


@transaction.atomic
def remove_webhook(*, webhook: Webhook, by: User) -> None:
    """Remove a webhook with its log. Raises Conflict (E_STATE) in a study that is over, whose record stays."""
    webhook = _held(webhook, by)
    _note("removed", webhook, by)
    webhook.delete()


@transaction.atomic
def send_test(*, webhook: Webhook, by: User) -> Delivery:
    """Send a message that says nothing. Raises Conflict (E_STATE) for a webhook that is off."""
    webhook = _held(webhook, by)
    _check_on(webhook)
    _note("tested", webhook, by)
    return outbox.test_message(webhook)


@transaction.atomic
def send_again(*, delivery: Delivery, by: User) -> Delivery:
    """Send a message once more, with the id that it had. Raises Conflict (E_STATE) while it waits."""
    webhook = _held(delivery.webhook, by)
    _check_on(webhook)
    row = Delivery.objects.select_for_update(of=("self",)).get(pk=delivery.pk)
    states.DELIVERY.move(row, "waiting")
    row.tries, row.next_at = 0, timezone.now()
    row.save(update_fields=["state", "tries", "next_at"])
    _note("repeated", webhook, by)
    row.webhook = webhook
    return outbox.post(row)


def _held(webhook: Webhook, by: User) -> Webhook:
    check(by, Permission.WEBHOOKS_MANAGE, webhook.study)
    found = Webhook.objects.select_for_update(of=("self",)).select_related("study", "created_by").get(pk=webhook.pk)
    check_under_way(found.study, "and tells no more news")
    return found


def _check(url: str, kinds: Collection[str]) -> None:
    check_url(url)
    if not kinds or not set(kinds) <= set(NAMES):
        raise Invalid("E_WEBHOOK", errors=[FieldProblem("kinds", "E_WEBHOOK", "Choose at least one kind of news.")])


def _check_on(webhook: Webhook) -> None:
    if webhook.state != "active":
        raise Conflict("E_STATE", "The webhook is switched off; switch it on first.")


def _ordered(kinds: Collection[str]) -> list[str]:
    return [name for name in NAMES if name in kinds] + sorted(set(kinds) - set(NAMES))


def _note(verb: str, webhook: Webhook, by: User) -> None:
    detail = {"host": webhook.host, "kinds": ", ".join(webhook.kinds)}
    record(action=f"webhooks:webhook:{verb}", actor=by, obj=webhook, study=webhook.study_id, detail=detail)
