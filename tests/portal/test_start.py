"""What the web process and the Celery application are when they start."""

import subprocess
import sys

from django.core.management import call_command

from portal.celery import app


def test_the_web_process_loads_neither_torch_nor_flower() -> None:
    code = (
        "import sys, portal.asgi; from django.urls import get_resolver; get_resolver().url_patterns; "
        "heavy = {'torch', 'flwr', 'pandas', 'sklearn'} & set(sys.modules); sys.exit(' '.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_settings_fit_together() -> None:
    call_command("check", fail_level="WARNING")


def test_a_lost_worker_gives_its_task_back() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result


def test_the_reconciler_is_sent_every_five_seconds() -> None:
    entry = app.conf.beat_schedule["reconcile-runs"]
    assert (entry["task"], entry["schedule"]) == ("federation.runs.tasks.reconcile", 5.0)


def test_what_waits_for_servers_outside_has_a_queue_of_its_own() -> None:
    app.loader.import_default_modules()
    own = [name for name in app.tasks if not name.startswith("celery.")]
    queues = {name: app.amqp.router.route({}, name)["queue"].name for name in own}
    outside = {name for name, queue in queues.items() if queue == "outside"}
    assert outside == {
        "webhooks.tasks.deliver", "webhooks.tasks.send_due", "notifications.tasks.send_email",
        "notifications.tasks.send_waiting",
    }  # fmt: skip
    assert queues["federation.runs.tasks.drive"] == app.conf.task_default_queue == "fedstudy"
    assert 0 < app.tasks["webhooks.tasks.deliver"].expires <= app.conf.beat_schedule["send-webhooks"]["schedule"]


def test_the_reconciler_exists() -> None:
    app.loader.import_default_modules()
    assert "federation.runs.tasks.reconcile" in app.tasks
