"""What happens elsewhere that concerns enrolments."""

from __future__ import annotations

from typing import Any

from accounts.signals import role_granting
from fedstudy_core.errors import Conflict
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.dictionary.signals import dataset_changed, dictionary_published
from studies.enrolment import states
from studies.enrolment.duties import refuse_two_duties
from studies.enrolment.models import Enrolment
from studies.enrolment.services import note_dataset, recheck_study
from studies.lifecycle.models import Study
from studies.lifecycle.signals import study_moving


def connect() -> None:
    role_granting.connect(refuse_two_duties, dispatch_uid="enrolment.role_granting")
    study_moving.connect(_refuse_active_without_sites, dispatch_uid="enrolment.study_moving")
    dataset_changed.connect(_note_dataset, dispatch_uid="enrolment.dataset_changed")
    dictionary_published.connect(_recheck_study, dispatch_uid="enrolment.dictionary_published")


def _refuse_active_without_sites(*, study: Study, **_: Any) -> None:
    if study.state != "active":
        return
    if not Enrolment.objects.filter(study=study, state__in=states.TAKING_PART).exists():
        raise Conflict("E_STATE", "No site takes part yet; a study becomes active once a site has accepted.")


def _note_dataset(*, dataset: Dataset, by: Any, **_: Any) -> None:
    note_dataset(dataset=dataset, by=by)


def _recheck_study(*, dictionary: DictionaryVersion, by: Any, **_: Any) -> None:
    recheck_study(study=dictionary.study, by=by)
