"""The draft of a data dictionary: always one that fits together, written by those who may, and gone once published."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound
from studies.dictionary import drafts
from studies.dictionary.models import DictionaryDraft
from studies.dictionary.selectors import current_dictionary, draft_of
from studies.dictionary.services import publish_dictionary
from studies.lifecycle.models import Study
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.studies import VARIABLES, new_study

pytestmark = pytest.mark.django_db
SEX = {"name": "sex", "type": "integer"}


def names(study: Study) -> list[str]:
    return [item["name"] for item in drafts.variables_to_edit(study)[0]]


def test_variables_are_added_changed_moved_and_removed() -> None:
    study, pi = new_study()
    publish_dictionary(study=study, variables=VARIABLES, by=pi)
    drafts.save_variable(study=study, variable=SEX, position=1, by=pi)
    assert names(study) == ["sex", "age", "outcome"]
    drafts.save_variable(study=study, name="age", variable={"name": "years", "type": "number"}, by=pi)
    drafts.move_variable(study=study, name="outcome", up=True, by=pi)
    drafts.move_variable(study=study, name="sex", up=True, by=pi)  # the first one stays
    drafts.remove_variable(study=study, name="sex", by=pi)
    assert names(study) == ["outcome", "years"]
    draft = draft_of(study)
    assert draft is not None
    assert (draft.revision, draft.changed_by) == (4, pi)
    assert Event.objects.filter(action="dictionary:draft:changed").count() == 4
    newest = current_dictionary(study)
    assert newest is not None
    assert newest.number == 1, "sites see what is published"


def test_a_published_draft_is_gone_and_an_untouched_one_is_none() -> None:
    study, pi = new_study()
    with pytest.raises(Conflict, match="no draft"):
        drafts.publish_draft(study=study, revision=0, by=pi)
    drafts.save_draft(study=study, variables=VARIABLES, by=pi)
    version = drafts.publish_draft(study=study, revision=1, by=pi)
    assert (version.number, draft_of(study)) == (1, None)
    drafts.save_draft(study=study, variables=[*VARIABLES, SEX], by=pi)
    drafts.discard_draft(study=study, by=pi)
    assert (draft_of(study), names(study)) == (None, ["age", "outcome"])


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ({"name": "AGE", "type": "integer"}, "name"),
        ({"name": "9", "type": "integer"}, "name"),
        ({"name": "x", "type": "integer", "min": 9, "max": 1}, "min"),
        ({"name": "x", "type": "categorical"}, "codes"),
        ({"name": "x", "type": "categorical", "codes": [{"value": [], "label": ""}]}, "codes"),
        ({"name": "x", "type": "whole"}, "type"),
    ],
)
def test_a_variable_that_does_not_fit_says_where(variable: dict[str, Any], field: str) -> None:
    study, pi = new_study()
    drafts.save_draft(study=study, variables=VARIABLES, by=pi)
    with pytest.raises(Invalid) as refused:
        drafts.save_variable(study=study, variable=variable, by=pi)
    assert field in {problem.field for problem in refused.value.errors}
    assert names(study) == ["age", "outcome"]


def test_two_people_do_not_overwrite_each_other() -> None:
    study, pi = new_study()
    drafts.save_draft(study=study, variables=VARIABLES, revision=0, by=pi)
    with pytest.raises(Conflict, match="meanwhile"):
        drafts.save_draft(study=study, variables=[], revision=0, by=pi)
    drafts.remove_variable(study=study, name="age", by=pi)
    with pytest.raises(NotFound):
        drafts.remove_variable(study=study, name="age", by=pi)
    with pytest.raises(NotFound):
        drafts.save_variable(study=study, name="age", variable=SEX, by=pi)


def test_what_its_reader_did_not_see_is_not_published() -> None:
    study, pi = new_study()
    seen = drafts.save_draft(study=study, variables=VARIABLES, by=pi)
    drafts.save_variable(study=study, variable=SEX, by=pi)
    for revision in (0, seen.revision):
        with pytest.raises(Conflict, match="meanwhile"):
            drafts.publish_draft(study=study, revision=revision, by=pi)
    assert len(drafts.publish_draft(study=study, revision=2, by=pi).variables) == 3


def test_a_draft_does_not_undo_a_newer_version() -> None:
    study, pi = new_study()
    drafts.save_draft(study=study, variables=VARIABLES[:1], by=pi)
    publish_dictionary(study=study, variables=VARIABLES, by=pi)
    draft = drafts.save_draft(study=study, variables=[SEX], by=pi)
    assert (draft.base, draft.revision) == (0, 2)
    with pytest.raises(Conflict, match="Version 1 was published after"):
        drafts.publish_draft(study=study, revision=2, by=pi)
    assert draft_of(study) == draft
    drafts.discard_draft(study=study, by=pi)
    assert drafts.save_draft(study=study, variables=[SEX], by=pi).base == 1
    assert drafts.publish_draft(study=study, revision=1, by=pi).number == 2


def test_a_draft_may_be_empty_and_is_not_published_so() -> None:
    study, pi = new_study()
    drafts.save_draft(study=study, variables=VARIABLES, by=pi)
    drafts.save_draft(study=study, variables=[], by=pi)
    with pytest.raises(Invalid, match="E_DICTIONARY"):
        drafts.publish_draft(study=study, revision=2, by=pi)
    assert DictionaryDraft.objects.filter(study=study).exists()


def test_who_may_write_drafts() -> None:
    study, pi = new_study()
    co_investigator, auditor = holder_of(Role.CO_INVESTIGATOR, study), holder_of(Role.AUDITOR, study)
    drafts.save_draft(study=study, variables=VARIABLES, by=co_investigator)
    with pytest.raises(Forbidden):
        drafts.save_draft(study=study, variables=[], by=auditor)
    with pytest.raises(NotFound):
        drafts.discard_draft(study=study, by=UserFactory.create())
    study.state = "recruiting"
    study.save()
    with pytest.raises(Forbidden):
        drafts.publish_draft(study=study, revision=1, by=co_investigator)
    with pytest.raises(Forbidden):
        drafts.discard_draft(study=study, by=co_investigator)
    assert drafts.publish_draft(study=study, revision=1, by=pi).number == 1
