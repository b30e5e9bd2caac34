"""The pages on which sites choose how far they take part, and investigators what part each has in a run."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from federation.runs.models import Model, Participant, Round, Run
from federation.runs.services import Plan, create_run
from studies.enrolment.models import Enrolment
from studies.enrolment.services import invite_site
from tests.api.world import World
from tests.factories.studies import new_site, site_in_study
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound
from tests.web.rounds import commit_round, set_to_work
from tests.web.test_forms import run_fields, sound

pytestmark = pytest.mark.django_db


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_a_site_accepts_at_the_level_that_it_chooses(world: World) -> None:
    site, admin = new_site()
    invited = invite_site(study=world.study, site=site, level="F2", by=world.pi)
    client = Client()
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    page = words(sound(client.get(reverse("web:enrolment", args=[invited.pk])), 200))
    assert "How far does your site take part?" in page
    assert "F2 · Model updates proposed" in page
    accept = reverse("web:enrolment-answer", args=[invited.pk, "accept"])
    sound(client.post(accept, {"level": "F1"}, follow=True), 200)
    invited.refresh_from_db()
    assert (invited.state, invited.level) == ("accepted", "F1")


def test_a_site_changes_its_level_and_the_study_s_page_tells_the_degree(world: World, browser: Browser) -> None:
    there, change = (reverse(f"web:{name}", args=[world.enrolment.pk]) for name in ("enrolment", "enrolment-level"))
    assert "Change the level" in words(sound(browser("site_admin").get(there), 200))
    assert "Change the level" not in words(sound(browser("pi").get(there), 200))
    page = words(sound(browser("site_admin").post(change, {"level": "F0"}, follow=True), 200))
    assert "takes part at level F0." in page
    assert "F0 · Validation only now" in page
    assert "E_NO_CONSENT" in sound(browser("site_admin").post(change, {"level": "F4"}, follow=True), 200).text
    study = words(sound(browser("pi").get(reverse("web:study", args=[world.study.pk])), 200))
    assert "Degree of federation" in study
    assert f"{world.site.name} from F2 to F0" in study
    assert "100.0 % of 100-499 rows stay" in study


def test_a_run_is_planned_with_the_part_of_each_site(world: World, browser: Browser) -> None:
    other = site_in_study(world.study, world.pi)
    waiting = invite_site(study=world.study, site=new_site()[0], by=world.pi)
    there = reverse("web:run-new", args=[world.study.pk])
    page = words(sound(browser("pi").get(there), 200))
    assert "trains and tests" in page
    assert f"{waiting.site.name} F2 Has not answered the invitation. not in this run" in page
    parts = {f"site:{world.enrolment.pk}": "full", f"site:{other.enrolment.pk}": "tests"}
    browser("pi").post(there, run_fields(world, **parts))
    made = Run.objects.get(label="Planned")
    assert dict(made.participants.values_list("enrolment", "role")) == {
        world.enrolment.pk: "trains",
        other.enrolment.pk: "tests",
    }
    assert (made.quorum, made.tests_apart) == (1, True)
    nobody = dict.fromkeys(parts, "out")
    assert "E_TOO_FEW_SITES" not in sound(browser("pi").get(there, nobody), 200).text
    assert "Name a site or more" in sound(browser("pi").post(there, run_fields(world, **nobody)), 400).text
    untrained = dict.fromkeys(parts, "tests")
    assert (
        "0 sites would train, of 2 sites" in sound(browser("pi").post(there, run_fields(world, **untrained)), 400).text
    )


def test_a_site_s_level_bounds_its_part(world: World, browser: Browser) -> None:
    Enrolment.objects.filter(pk=world.enrolment.pk).update(level="F0")
    html = browser("pi").get(reverse("web:run-new", args=[world.study.pk])).content.decode()
    assert "tests the model" in html
    assert "trains and tests" not in html
    assert "only tests the model" not in html


def test_the_run_page_shows_levels_and_parts(world: World, browser: Browser) -> None:
    other = site_in_study(world.study, world.pi)
    run = set_to_work(world)
    testing = Participant.objects.create(
        run=run, enrolment=other.enrolment, node=other.node, position=1, level="F0", role="tests"
    )
    there = reverse("web:run", args=[run.pk])
    page = words(sound(browser("pi").get(there), 200))
    assert "F2 trains and tests" in page
    assert "F0 only tests the model" in page
    assert "1 of 1 site that trains" in page
    Participant.objects.filter(pk=testing.pk).update(role="trains")
    assert "until its level fell to F0" in words(sound(browser("pi").get(there), 200))


def test_a_round_tells_how_many_trained_where_others_only_test(world: World, browser: Browser) -> None:
    run = set_to_work(world)
    commit_round(run, 1)
    there = reverse("web:run", args=[run.pk])
    assert (
        "trained" not in words(sound(browser("pi").get(there), 200)).split("Newest first", 1)[1].split("Model card")[0]
    )
    Participant.objects.filter(run=run).update(role="tests")
    assert "1 trained" in words(sound(browser("pi").get(there), 200))


def test_a_fork_begins_with_the_parts_of_its_origin(world: World, browser: Browser) -> None:
    other = site_in_study(world.study, world.pi)
    plan = Plan(label="Alone", rounds=3, validators=[str(other.enrolment.pk)])
    run = create_run(study=world.study, version=world.version, plan=plan, by=world.pi)
    commit_round_of_nobody(run)
    html = browser("pi").get(reverse("web:run-fork", args=[run.pk])).content.decode()
    assert_sound(html)
    chosen = html.split(f'name="site:{other.enrolment.pk}"', 1)[1].split("</select>", 1)[0]
    assert '<option value="tests" selected>' in chosen


def commit_round_of_nobody(run: Run) -> None:
    model = Model.objects.create(run=run, round_number=0, sha256="0" * 64, size=1, schema={})
    Round.objects.create(
        run=run, number=0, state="committed", model_out=model, committed_at=timezone.now(), duration_ms=0
    )
