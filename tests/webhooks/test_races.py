"""A webhook is switched off while something happens that it would be told of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction

from accounts.models import User
from audit.services import record
from studies.lifecycle.models import Study
from tests.factories.studies import new_study
from tests.races import LONGEST_S, code_of, meanwhile
from webhooks import services, tasks
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.deliver, "delay", lambda _: None)


def told_study() -> tuple[Study, User, Webhook]:
    study, pi = new_study(state="active")
    url = "https://hook.example.org/in"
    webhook, _ = services.register_webhook(study=study, url=url, kinds=["run.paused"], by=pi)
    return study, pi, webhook


@transaction.atomic
def happen(study: Study) -> None:
    record(action="runs:run:paused", actor="system:engine", obj=study, study=study.pk)


def test_what_is_being_told_is_not_sent_after_the_webhook_is_off() -> None:
    study, pi, webhook = told_study()
    assert meanwhile(lambda: happen(study), lambda: services.switch_webhook(webhook=webhook, on=False, by=pi)) == ""
    assert Delivery.objects.get().problem == "The webhook was switched off."


def test_what_happens_while_a_webhook_is_being_switched_off_is_not_told() -> None:
    study, pi, webhook = told_study()
    assert meanwhile(lambda: services.switch_webhook(webhook=webhook, on=False, by=pi), lambda: happen(study)) == ""
    assert not Delivery.objects.exists()


def test_two_that_tell_do_not_wait_for_each_other() -> None:
    study, _, _ = told_study()
    with transaction.atomic():
        happen(study)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(code_of, lambda: happen(study)).result(timeout=LONGEST_S) == ""
    assert Delivery.objects.count() == 2
