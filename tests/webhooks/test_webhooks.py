"""A study's news, from the transaction of what happens to a receiver that verifies it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from audit.models import Event
from audit.services import record
from federation.runs.services import start_run, stop_run
from fedstudy_client import webhooks as receivers
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from notifications.models import Notification
from studies.scripts.approvals import revoke_approval
from tests.api.world import World
from tests.webhooks.receiver import Receiver, receiving
from webhooks import outbox, secrets, services, tasks
from webhooks.kinds import NAMES, TEST
from webhooks.models import Delivery, Webhook

PATIENT = "Erika Mustermann"
KEPT = "000102030405060708090a0b97c688656feb8cc03a50efb18d7e25d03c74591914807fda9b86216f92ee96f0f157"


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.FEDSTUDY_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    with receiving() as made:
        yield made


def registered(world: World, receiver: Receiver, *kinds: str) -> tuple[Webhook, str]:
    return services.register_webhook(study=world.study, url=f"{receiver.url}/in", kinds=kinds or NAMES, by=world.pi)


def sent() -> Delivery:
    """The newest message, after a try to send it."""
    delivery = Delivery.objects.order_by("-created_at")[0]
    Delivery.objects.filter(pk=delivery.pk, state="waiting").update(next_at=timezone.now())
    outbox.try_delivery(str(delivery.pk))
    return Delivery.objects.get(pk=delivery.pk)


def test_a_receiver_learns_what_happened_and_who_says_so(world: World, receiver: Receiver) -> None:
    _, secret = registered(world, receiver)
    stop_run(run=world.run, by=world.pi, reason=f"{PATIENT} withdrew")
    delivery = sent()
    assert (delivery.state, delivery.status, delivery.tries) == ("delivered", 204, 1)
    ((_, headers, body),) = receiver.seen
    message = receivers.verify(secret, headers, body)
    assert (message.id, message.type) == (delivery.message, "run.stopped")
    entry = Event.objects.get(action="runs:run:stopped")
    assert message.data == {
        "event": str(entry.event_id), "study": str(world.study.pk), "run": str(world.run.pk), "state": "stopped",
    }  # fmt: skip
    assert abs(message.at - entry.at) < timedelta(seconds=1)
    assert PATIENT.encode() not in body
    for changed in (body.replace(b"stopped", b"started"), body + b" "):
        with pytest.raises(receivers.NotGenuine, match="no signature"):
            receivers.verify(secret, headers, changed)
    with pytest.raises(receivers.NotGenuine, match="no signature"):
        receivers.verify(secrets.new_secret(), headers, body)
    with pytest.raises(receivers.NotGenuine, match="too far"):
        receivers.verify(secret, headers, body, now=timezone.now().timestamp() + 301)
    with pytest.raises(receivers.NotGenuine, match="missing"):
        receivers.verify(secret, {}, body)


def test_a_site_s_word_is_told(world: World, receiver: Receiver) -> None:
    registered(world, receiver, "approval.revoked")
    revoke_approval(approval=world.approval, reason=PATIENT, by=world.site_admin)
    delivery = sent()
    told = json.loads(delivery.body)
    assert told["type"] == "approval.revoked"
    assert told["data"]["site"] == str(world.site.pk)
    assert told["data"]["approval"] == str(world.approval.pk)
    assert told["data"]["sha256"] == world.version.sha256
    assert PATIENT not in delivery.body


@pytest.mark.parametrize(
    ("action", "detail", "kind", "told"),
    [
        ("runs:run:resumed", {"rounds": 3}, "run.started", {"state": "running"}),
        ("runs:round:committed", {"round": 2}, "run.round_committed", {"round": 2}),
        ("scripts:approval:recorded", {"decision": "rejected"}, "approval.recorded", {"decision": "rejected"}),
    ],
)
def test_a_message_says_no_more_than_its_entry(
    world: World, receiver: Receiver, action: str, detail: Any, kind: str, told: Any
) -> None:
    registered(world, receiver)
    with transaction.atomic():
        entry = record(action=action, actor="system:engine", obj=world.run, study=world.study.pk, detail=detail)
    delivery = Delivery.objects.get()
    about = {"event": str(entry.event_id), "study": str(world.study.pk), "run": str(world.run.pk)}
    assert (delivery.kind, json.loads(delivery.body)["data"]) == (kind, about | told)


def test_only_what_is_wanted_is_told(world: World, receiver: Receiver) -> None:
    registered(world, receiver, "run.completed")
    stop_run(run=world.run, by=world.pi)
    assert not Delivery.objects.exists()


def test_a_message_is_written_with_what_it_tells_of_and_sent_after(
    world: World, receiver: Receiver, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    woken: list[str] = []
    monkeypatch.setattr(tasks.deliver, "delay", woken.append)
    registered(world, receiver)
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            stop_run(run=world.run, by=world.pi)
            assert Delivery.objects.count() == 1
            transaction.set_rollback(True)
        assert not Delivery.objects.exists()
        world.run.refresh_from_db()
        stop_run(run=world.run, by=world.pi)
        assert woken == []
    assert woken == [str(Delivery.objects.get().pk)]


def test_a_secret_that_was_kept_before_still_opens(settings: Settings) -> None:
    settings.SECRET_KEY = "of-before"
    assert secrets.opened(bytes.fromhex(KEPT), "a webhook") == "whsec_b2YgYmVmb3Jl"


def test_two_secrets_are_good_for_a_day(world: World, receiver: Receiver) -> None:
    webhook, old = registered(world, receiver)
    webhook, new = services.renew_secret(webhook=webhook, by=world.pi)
    services.send_test(webhook=webhook, by=world.pi)
    sent()
    for secret in (old, new):
        assert receivers.verify(secret, *receiver.seen[0][1:]).type == TEST
    Webhook.objects.update(old_until=timezone.now())
    services.send_test(webhook=webhook, by=world.pi)
    sent()
    assert receivers.verify(new, *receiver.seen[1][1:]).type == TEST
    with pytest.raises(receivers.NotGenuine):
        receivers.verify(old, *receiver.seen[1][1:])


def test_a_secret_stands_nowhere_in_clear(world: World, receiver: Receiver) -> None:
    _, secret = registered(world, receiver)
    kept = bytes(Webhook.objects.get().secret)
    assert secret.encode() not in kept
    assert base64.b64decode(secret.removeprefix("whsec_")) not in kept
    assert not Event.objects.filter(detail__contains="whsec_").exists()
    assert not Event.objects.filter(detail__contains="/in").exists()


def test_the_signature_is_that_of_the_specification() -> None:
    told = secrets.signature(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330, body='{"test": 2432232314}',
    )  # fmt: skip
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_is_tried_for_a_day_and_then_switched_off(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    stop_run(run=world.run, by=world.pi)
    receiver.statuses = [500] * 20
    waits = []
    while (delivery := sent()).state == "waiting":
        waits.append((delivery.next_at - timezone.now()).total_seconds())
    assert len(waits) == len(outbox.PAUSES)
    assert all(0.75 * pause < wait < 1.25 * pause for pause, wait in zip(outbox.PAUSES, waits, strict=True))
    assert 12 < sum(outbox.PAUSES) / 3600 < 30
    assert (delivery.state, delivery.status, delivery.problem) == ("failed", 500, "It answered 500.")
    assert len({headers["webhook-id"] for _, headers, _ in receiver.seen}) == 1
    webhook.refresh_from_db()
    assert webhook.state == "disabled"
    told = Notification.objects.get(kind="webhook")
    assert (told.person, told.link) == (world.pi, f"/webhooks/{webhook.pk}")
    assert Event.objects.filter(action="webhooks:webhook:disabled", actor="system:webhooks").exists()
    start = Delivery.objects.count()
    revoke_approval(approval=world.approval, by=world.site_admin)
    assert Delivery.objects.count() == start


def test_who_says_that_it_is_gone_is_asked_no_more(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    stop_run(run=world.run, by=world.pi)
    receiver.statuses = [410]
    assert sent().state == "failed"
    webhook.refresh_from_db()
    assert (webhook.state, webhook.disabled_reason) == ("disabled", "It says that it is gone.")


def test_a_test_message_is_tried_once(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    receiver.statuses = [503, 204]
    services.send_test(webhook=webhook, by=world.pi)
    failed = sent()
    assert (failed.state, failed.problem) == ("failed", "It answered 503.")
    services.send_again(delivery=failed, by=world.pi)
    again = sent()
    assert (again.pk, again.state, again.tries, again.problem) == (failed.pk, "delivered", 1, "")
    webhook.refresh_from_db()
    assert webhook.state == "active"


def test_a_message_is_one_worker_s(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    delivery = services.send_test(webhook=webhook, by=world.pi)
    assert outbox.try_delivery(str(delivery.pk))
    assert not outbox.try_delivery(str(delivery.pk))
    assert len(receiver.seen) == 1


def test_what_was_left_behind_is_sent_and_what_is_old_forgotten(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(tasks.deliver, "delay", woken.append)
    webhook, _ = registered(world, receiver)
    waiting = services.send_test(webhook=webhook, by=world.pi)
    old = Delivery.objects.create(
        webhook=webhook, kind=TEST, body="{}", state="failed", created_at=timezone.now() - Delivery.LIFE
    )
    tasks.send_due()
    assert woken == [str(waiting.pk)]
    assert not Delivery.objects.filter(pk=old.pk).exists()


def test_a_webhook_that_is_off_is_sent_nothing_that_still_waits(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    delivery = services.send_test(webhook=webhook, by=world.pi)
    Webhook.objects.update(state="disabled")
    assert not outbox.try_delivery(str(delivery.pk))
    assert receiver.seen == []


def test_switched_off_and_on(world: World, receiver: Receiver) -> None:
    webhook, _ = registered(world, receiver)
    services.send_test(webhook=webhook, by=world.pi)
    webhook = services.switch_webhook(webhook=webhook, on=False, by=world.pi)
    assert sent().problem == "The webhook was switched off."
    with pytest.raises(Conflict):
        services.send_test(webhook=webhook, by=world.pi)
    assert services.switch_webhook(webhook=webhook, on=True, by=world.pi).disabled_reason == ""
    services.remove_webhook(webhook=webhook, by=world.pi)
    assert not Delivery.objects.exists()


def test_who_may_have_news_sent(world: World, receiver: Receiver) -> None:
    for who, error in ((world.auditor, Forbidden), (world.site_admin, Forbidden), (world.stranger, NotFound)):
        with pytest.raises(error):
            services.register_webhook(study=world.study, url=f"{receiver.url}/in", kinds=NAMES, by=who)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"url": "gopher://x"}, "url"), ({"kinds": []}, "kinds"), ({"kinds": ["run.exploded"]}, "kinds")],
)
def test_what_does_not_fit_is_refused(world: World, receiver: Receiver, changes: Any, field: str) -> None:
    values = {"url": f"{receiver.url}/in", "kinds": NAMES, **changes}
    with pytest.raises(Invalid) as caught:
        services.register_webhook(study=world.study, **values, by=world.pi)
    assert caught.value.errors[0].field == field


def test_a_study_has_a_few_webhooks(world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Webhook, "MOST", 1)
    registered(world, receiver)
    with pytest.raises(Refusal, match="at most 1"):
        registered(world, receiver)


def test_a_portal_with_another_secret_cannot_sign_and_says_so(
    world: World, receiver: Receiver, settings: Settings
) -> None:
    webhook, _ = registered(world, receiver)
    services.send_test(webhook=webhook, by=world.pi)
    settings.SECRET_KEY = "another"
    assert sent().problem.startswith("The portal's secret has changed")


def test_every_kind_of_news_has_words() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert all(name.split(".")[0] in ("run", "approval", "release") for name in NAMES)


def test_the_run_s_life_is_told(world: World, receiver: Receiver) -> None:
    registered(world, receiver)
    start_run(run=world.run, by=world.pi)
    assert "run.queued" in Delivery.objects.values_list("kind", flat=True)
