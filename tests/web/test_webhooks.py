"""The pages of a study's webhooks."""

from __future__ import annotations

import re

from django.utils import timezone

from studies.lifecycle.models import Study
from tests.api.world import World
from tests.web.conftest import Browser
from webhooks.models import Delivery, Webhook

HOOK = {"url": "https://hook.example.org/in?key=x", "kinds": ["run.completed", "run.failed"]}
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


def test_a_webhook_is_registered_and_its_secret_shown_once(world: World, browser: Browser) -> None:
    pi, address = browser("pi"), f"/studies/{world.study.pk}/webhooks"
    assert "No webhook yet" in pi.get(address).content.decode()
    made = pi.post(address, HOOK)
    assert made.status_code == 201
    assert SECRET.search(made.content.decode())
    shown = pi.get(address).content.decode()
    assert not SECRET.search(shown)
    assert "hook.example.org" in shown
    assert "2 kinds of news" in shown
    assert address in pi.get(f"/studies/{world.study.pk}").content.decode()
    assert address not in browser("auditor").get(f"/studies/{world.study.pk}").content.decode()


def test_what_does_not_fit_is_said_at_the_form(world: World, browser: Browser) -> None:
    answer = browser("pi").post(f"/studies/{world.study.pk}/webhooks", {**HOOK, "url": "http://hook.example.org"})
    assert answer.status_code == 400
    assert "begins with https://" in answer.content.decode()


def test_a_webhook_s_page_shows_what_was_sent_and_sends_it_again(world: World, browser: Browser) -> None:
    pi = browser("pi")
    pi.post(f"/studies/{world.study.pk}/webhooks", HOOK)
    webhook = Webhook.objects.get()
    page = f"/webhooks/{webhook.pk}"
    assert "Nothing was sent yet" in pi.get(page).content.decode()
    Delivery.objects.create(
        webhook=webhook, kind="run.failed", body='{"type":"run.failed"}', state="failed", tries=9, status=500,
        problem="It answered 500.", tried_at=timezone.now(),
    )  # fmt: skip
    shown = pi.get(page).content.decode()
    assert "It answered 500. 9 tries." in shown
    assert "A run failed" in shown
    done = pi.post(f"/webhook-deliveries/{Delivery.objects.get().pk}/repeat", follow=True)
    assert "It is sent again" in done.content.decode()
    assert Delivery.objects.get().state == "waiting"
    assert SECRET.search(pi.post(f"{page}/rotate").content.decode())
    assert "The secret before" in pi.get(page).content.decode()
    pi.post(f"{page}/edit", {**HOOK, "kinds": ["run.stopped"]})
    assert pi.post(f"{page}/disable", follow=True).status_code == 200
    webhook.refresh_from_db()
    assert (webhook.kinds, webhook.state) == (["run.stopped"], "disabled")
    pi.post(f"{page}/remove")
    assert not Webhook.objects.exists()
    assert pi.get(page).status_code == 404


def test_a_webhook_of_a_study_that_is_over_gets_no_new_secret(world: World, browser: Browser) -> None:
    pi = browser("pi")
    pi.post(f"/studies/{world.study.pk}/webhooks", HOOK)
    page = f"/webhooks/{Webhook.objects.get().pk}"
    Study.objects.filter(pk=world.study.pk).update(state="closed")
    refused = pi.post(f"{page}/rotate", follow=True)
    assert refused.redirect_chain == [(page, 302)]
    assert "tells no more news. (E_STATE)" in refused.content.decode()
    assert not SECRET.search(refused.content.decode())
