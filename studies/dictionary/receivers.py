"""What happens elsewhere that concerns dictionaries and datasets."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from accounts.signals import node_revoked
from audit.reasons import NODE_REVOKED
from fedstudy_core.errors import Conflict
from studies.dictionary.selectors import current_dictionary
from studies.dictionary.services import withdraw_datasets
from studies.lifecycle.models import Study
from studies.lifecycle.signals import study_moving


def connect() -> None:
    study_moving.connect(_refuse_recruiting_without_dictionary, dispatch_uid="dictionary.study_moving")
    node_revoked.connect(_withdraw_datasets_of_node, dispatch_uid="dictionary.node_revoked")


def _refuse_recruiting_without_dictionary(*, study: Study, **_: Any) -> None:
    if study.state == "recruiting" and current_dictionary(study) is None:
        raise Conflict("E_STATE", "Publish the data dictionary first, so that sites know which data the study needs.")


def _withdraw_datasets_of_node(*, node_id: UUID, site_id: UUID, by: Any, **_: Any) -> None:
    withdraw_datasets(site=site_id, node_id=node_id, reason=NODE_REVOKED, by=by)
