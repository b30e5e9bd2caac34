"""What a run's page offers over its life: pause, resume, fork, schedule, priority, its place in the queue, the best."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from federation.runs.models import Run, Schedule
from federation.runs.services import Plan, create_run, start_run
from portal.web.views import runs
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work


def text_of(client: Any, name: str, pk: object) -> str:
    answer = client.get(reverse(f"web:{name}", args=[pk]))
    assert answer.status_code == 200
    return assert_sound(answer.content.decode()).text


def press(client: Any, name: str, pk: object, **data: str) -> None:
    assert client.post(reverse(f"web:{name}", args=[pk]), data).status_code == 302


def test_a_run_is_paused_and_resumed_by_its_buttons(world: World, browser: Browser) -> None:
    run, pi = set_to_work(world), browser("pi")
    assert "Pause after this round" in text_of(pi, "run", run.pk)
    press(pi, "run-pause", run.pk)
    text = text_of(pi, "run", run.pk)
    assert "Pausing" in text
    assert "Pause after this round" not in text
    press(pi, "run-pause", run.pk, at_once="yes")
    assert "Nothing is sent" in browser("pi").get(reverse("web:run", args=[run.pk])).content.decode()
    press(pi, "run-resume", run.pk)
    assert Run.objects.get(pk=run.pk).state == "waiting"
    for word in ("Resume this run?", "Pause this run?", "Fork"):
        assert word not in text_of(browser("auditor"), "run", run.pk)


def test_a_queued_run_shows_its_place_and_what_it_waits_for(world: World, browser: Browser, settings: Any) -> None:
    settings.FEDSTUDY_RUNS_PER_STUDY = 1
    start_run(run=world.run, by=world.pi)
    plan = Plan(label="Second", rounds=3, priority="high")
    second = start_run(run=create_run(study=world.study, version=world.version, plan=plan, by=world.pi), by=world.pi)
    text = " ".join(text_of(browser("pi"), "run", second.pk).split())
    assert "1st of 1 in the queue, with high priority" in text
    assert "a place in its study (1 run at a time)" in text
    press(browser("pi"), "run-priority", second.pk, priority="low")
    assert Run.objects.get(pk=second.pk).priority == "low"


def test_a_priority_that_there_is_not_is_no_word_to_translate(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    translated: list[str] = []

    def translate(text: str) -> str:
        translated.append(text)
        return text

    monkeypatch.setattr(runs, "_", translate)
    for priority in ("", "Priority"):
        press(browser("pi"), "run-priority", world.run.pk, priority=priority)
        assert priority not in translated
    assert Run.objects.get(pk=world.run.pk).priority == "normal"


def test_a_fork_is_planned_from_the_best_round_with_the_runs_own_plan(world: World, browser: Browser) -> None:
    run = set_to_work(world)
    for number in range(3):
        commit_round(run, number) if number else _prepare(run)
    Run.objects.filter(pk=run.pk).update(metric="auc", better="higher", best_round=1, transport="float16")
    pi = browser("pi")
    text = text_of(pi, "run", run.pk)
    assert "Best round, by AUC" in text
    there = reverse("web:run-fork", args=[run.pk])
    page = pi.get(there)
    assert "Fork from round 1" in assert_sound(page.content.decode()).text
    form = page.context["form"]
    assert (form["rounds"].value(), form["metric"].value()) == ("2", "auc")
    values = {name: form[name].value() for name in form.fields}
    answer = pi.post(there, {name: value for name, value in values.items() if value is not None})
    fork = Run.objects.get(parent=run)
    assert answer.headers["Location"] == reverse("web:run", args=[fork.pk])
    assert (fork.parent_round, fork.rounds, fork.state, fork.transport) == (1, 2, "draft", "float16")
    assert "It began with the model of round 1" in " ".join(text_of(pi, "run", fork.pk).split())
    assert "was forked from round 1" in " ".join(text_of(pi, "run", run.pk).split())
    assert pi.get(f"{there}?round=9").status_code == 404


def _prepare(run: Run) -> None:
    from django.utils import timezone

    from federation.runs.models import Model, Round

    model = Model.objects.create(run=run, round_number=0, sha256="0" * 64, size=1, schema={})
    Round.objects.create(run=run, number=0, state="committed", model_out=model, committed_at=timezone.now())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"kind": "weekly", "weekdays": ["0", "3"], "time": "02:00", "time_zone": "Europe/Rome"},
            "every Monday, Thursday at 02:00 (Europe/Rome)",
        ),
        ({"kind": "ready", "sites_needed": "1"}, "when 1 of its sites is there"),
        ({"kind": "once", "at": "2099-01-01T02:00"}, "once"),
    ],
)
def test_a_schedule_is_made_listed_and_ended(
    world: World, browser: Browser, fields: dict[str, Any], words: str
) -> None:
    pi, there = browser("pi"), reverse("web:schedule-new", args=[world.run.pk])
    assert_sound(pi.get(there).content.decode())
    assert pi.post(there, fields).headers["Location"] == reverse("web:study-schedules", args=[world.study.pk])
    assert words in " ".join(text_of(pi, "study-schedules", world.study.pk).split())
    schedule = Schedule.objects.get()
    for verb, state in (("suspend", "suspended"), ("resume", "active"), ("end", "ended")):
        assert pi.post(reverse("web:schedule", args=[schedule.pk, verb])).status_code == 302
        schedule.refresh_from_db()
        assert schedule.state == state
    assert "End this schedule?" not in text_of(browser("auditor"), "study-schedules", world.study.pk)


def test_a_time_that_cannot_be_is_said_at_its_field(world: World, browser: Browser) -> None:
    there = reverse("web:schedule-new", args=[world.run.pk])
    answer = browser("pi").post(there, {"kind": "weekly", "time": "02:00", "time_zone": "UTC"})
    assert answer.status_code == 400
    assert "One weekday or more" in assert_sound(answer.content.decode()).text
