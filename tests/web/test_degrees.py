"""The page of a comparison of degrees follows its runs, and takes seeds."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from federation.degrees.models import DegreeComparison
from federation.runs.models import Run
from tests.api.world import World
from tests.factories.studies import site_in_study
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.test_forms import run_fields, sound

pytestmark = pytest.mark.django_db
SEED = {"name": "seed", "type": "int", "default": 42, "min": 0.0, "max": 1000.0}
LIVE = {"HX-Request": "true"}


@pytest.fixture
def planned(world: World, browser: Browser) -> DegreeComparison:
    """Two sites, each alone and both together, each with two seeds, by the form of a new run."""
    site_in_study(world.study, world.pi)
    world.version.parameters = [*world.version.parameters, SEED]
    world.version.save(update_fields=["parameters"])
    there = reverse("web:run-new", args=[world.study.pk])
    assert "Seeds of a comparison" in sound(browser("pi").get(there), 200).text
    fields = run_fields(world, compare="yes", **{"parameter:seed": "42"})
    assert "Up to ten whole numbers" in sound(browser("pi").post(there, {**fields, "seeds": "1, x"}), 400).text
    assert "each of them once" in sound(browser("pi").post(there, {**fields, "seeds": "7 7"}), 400).text
    browser("pi").post(there, {**fields, "seeds": "7, 8"})
    return DegreeComparison.objects.get(study=world.study)


def test_a_comparison_has_the_seeds_of_the_form_and_takes_more(
    world: World, browser: Browser, planned: DegreeComparison
) -> None:
    assert (planned.seeds, planned.entries.count()) == ([7, 8], 6)
    there = reverse("web:degree-comparison", args=[planned.pk])
    page = sound(browser("pi").get(there), 200)
    assert "Each way of training is run with the seeds 7, 8." in page.text
    start = reverse("web:degree-comparison-start", args=[planned.pk])
    sound(browser("pi").post(start, {"seeds": "9"}, follow=True), 200)
    planned.refresh_from_db()
    assert (planned.seeds, planned.entries.count()) == ([7, 8, 9], 9)
    for wrong, words in (("nine", "Up to ten whole numbers"), ("5000", "E_RUN_CONFIG")):
        assert words in sound(browser("pi").post(start, {"seeds": wrong}, follow=True), 200).text
    assert "E_INVALID" in sound(browser("pi").post(start, {"personalised": "median"}, follow=True), 200).text
    assert planned.entries.count() == 9


def test_the_page_follows_its_runs_until_they_have_ended(browser: Browser, planned: DegreeComparison) -> None:
    runs = Run.objects.filter(degree_entries__comparison=planned)
    there = reverse("web:degree-comparison", args=[planned.pk])
    for before, after in (("draft", "queued"), ("queued", "waiting"), ("waiting", "running")):
        runs.filter(state=before).update(state=after)
    page = browser("pi").get(there).content.decode()
    assert f'data-about="study:{planned.study_id}"' in page
    assert "Live, updated by itself" in assert_sound(page).text
    href = page.split('id="live"', 1)[1].split('hx-get="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert browser("pi").get(href, headers=LIVE).status_code == 204, "nothing changed"
    runs.update(state="completed", ended_at=timezone.now())
    part = browser("pi").get(href, headers=LIVE).content.decode()
    assert "data-live" not in part, "it asks no more"
    assert 'id="degrees-head" hx-swap-oob="morph"' in part
    assert "6 of 6 runs completed" in " ".join(part.split())
    assert "mark=" not in part
    assert_sound(browser("pi").get(there).content.decode())
