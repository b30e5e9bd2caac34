"""The Celery application: `celery -A portal.celery:app worker` and `... beat`.

Celery only wakes workers. The truth about runs is in PostgreSQL, and `federation.runs.tasks.reconcile`, which beat
sends every five seconds, picks up whatever a lost message or a lost worker left behind.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("fedstudy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
