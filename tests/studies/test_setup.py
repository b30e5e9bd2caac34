"""What a study has and lacks before sites take part."""

from __future__ import annotations

import pytest

from fedstudy_core.errors import Invalid
from studies.dictionary.drafts import save_draft
from studies.dictionary.services import publish_dictionary
from studies.enrolment.setup import invite_first_sites, steps_of
from studies.lifecycle.models import Study
from studies.lifecycle.services import add_protocol, edit_study
from tests.factories.studies import VARIABLES, new_site, new_study

pytestmark = pytest.mark.django_db


def told(study: Study) -> dict[str, tuple[bool, str]]:
    return {step.name: (step.is_done, step.detail) for step in steps_of(study)}


def test_each_step_tells_what_there_is() -> None:
    study, pi = new_study()
    assert told(study) == {
        "words": (False, "Not written yet: summary and aims."),
        "protocol": (False, "No document yet; sites read it before they answer."),
        "dictionary": (False, "Nothing is published."),
        "sites": (False, "No site is asked yet."),
    }
    save_draft(study=study, variables=VARIABLES[:1], by=pi)
    assert told(study)["dictionary"] == (False, "A draft of 1 variable is not published.")
    study = edit_study(study=study, summary="Short", aims="Long", by=pi)
    add_protocol(study=study, filename="protocol.pdf", content=b"%PDF-1.7", by=pi)
    publish_dictionary(study=study, variables=VARIABLES, by=pi)
    invite_first_sites(study=study, sites=[new_site()[0]], by=pi)
    assert told(study) == {
        "words": (True, "Title, summary and aims are written."),
        "protocol": (True, "Version 1: protocol.pdf."),
        "dictionary": (True, "Version 1 of 2 variables; a draft of 1 variable is not published."),
        "sites": (True, "1 site asked."),
    }
    study.refresh_from_db()
    assert study.state == "recruiting"
    invite_first_sites(study=study, sites=[new_site()[0]], by=pi)
    assert told(study)["sites"] == (True, "2 sites asked.")


def test_without_a_site_nothing_opens() -> None:
    study, pi = new_study()
    publish_dictionary(study=study, variables=VARIABLES, by=pi)
    with pytest.raises(Invalid):
        invite_first_sites(study=study, sites=[], by=pi)
    study.refresh_from_db()
    assert study.state == "draft"
