"""A study is set up in steps; whoever comes back goes on at the first that lacks something."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.urls import reverse

from accounts.services import create_site, grant_role
from studies.dictionary.services import publish_dictionary
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study
from tests.api.world import VARIABLES, World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound


@pytest.fixture
def draft(world: World) -> Study:
    return create_study(title="Sepsis", summary="Early signs", by=world.pi)


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def place(study: Study, *step: str) -> str:
    return reverse("web:study-set-up-step" if step else "web:study-set-up", args=[study.pk, *step])


def test_a_study_is_set_up_step_by_step(world: World, draft: Study, browser: Browser) -> None:
    pi, another = browser("pi"), create_site(name="Budapest", short_name="budapest", by=world.admin)
    page = sound(pi.get(place(draft)))
    assert "Step 1 of 4" in page.text
    assert "Not written yet: aims." in page.text
    words = {"title": draft.title, "summary": draft.summary, "aims": "To see it earlier"}
    answer = pi.post(place(draft, "words"), words)
    assert answer.headers["Location"] == place(draft, "protocol")
    answer = pi.post(place(draft, "protocol"), {"file": SimpleUploadedFile("protocol.pdf", b"%PDF-1.7")})
    assert answer.headers["Location"] == place(draft, "dictionary")
    page = sound(pi.get(place(draft)))
    assert "Step 3 of 4" in page.text
    assert reverse("web:dictionary-draft", args=[draft.pk]) in page.targets
    choice = {"sites": [str(world.site.pk), str(another.pk)], "level": "F2"}
    page = sound(pi.post(place(draft, "sites"), choice), 400)
    assert "Publish the data dictionary first" in page.text
    assert not Enrolment.objects.filter(study=draft).exists()
    publish_dictionary(study=draft, variables=VARIABLES, by=world.pi)
    answer = pi.post(place(draft, "sites"), choice)
    assert answer.headers["Location"] == reverse("web:study", args=[draft.pk])
    draft.refresh_from_db()
    assert (draft.state, Enrolment.objects.filter(study=draft).count()) == ("recruiting", 2)
    assert "Nothing. The study is set up." in sound(pi.get(place(draft))).text


def test_a_site_that_may_not_join_leaves_the_study_as_it_was(world: World, draft: Study, browser: Browser) -> None:
    """Whoever leads the study speaks for no site of it."""
    from accounts.roles import Role

    publish_dictionary(study=draft, variables=VARIABLES, by=world.pi)
    own = create_site(name="Budapest", short_name="budapest", by=world.admin)
    grant_role(user=world.pi, role=Role.ADMIN, obj=own, by=world.admin)
    choice = {"sites": [str(world.site.pk), str(own.pk)], "level": "F2"}
    assert "E_DUTIES" in sound(browser("pi").post(place(draft, "sites"), choice), 400).text
    draft.refresh_from_db()
    assert (draft.state, Enrolment.objects.filter(study=draft).exists()) == ("draft", False)


def test_only_the_investigator_asks_sites(world: World, draft: Study, browser: Browser) -> None:
    from accounts.roles import Role

    grant_role(user=world.stranger, role=Role.CO_INVESTIGATOR, obj=draft, by=world.pi)
    page = sound(browser("stranger").get(place(draft, "sites")))
    assert "principal investigator opens recruitment" in page.text
    sound(browser("stranger").post(place(draft, "sites"), {"sites": [str(world.site.pk)], "level": "F2"}), 403)
    sound(browser("auditor").get(place(world.study)), 403)
    sound(browser("auditor").get(place(draft)), 404)
    assert browser("pi").get(place(draft, "nothing")).status_code == 404
