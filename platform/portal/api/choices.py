"""Names of the sets of choices in the OpenAPI document (`ENUM_NAME_OVERRIDES` points here)."""

from nodes.registry.states import NODE
from studies.dictionary.states import DATASET
from studies.enrolment.states import ENROLMENT
from studies.lifecycle.states import STUDY
from studies.scripts.states import APPROVAL, VERSION

STUDY_STATES = list(STUDY.states)
DATASET_STATES = list(DATASET.states)
ENROLMENT_STATES = list(ENROLMENT.states)
VERSION_STATES = list(VERSION.states)
APPROVAL_STATES = list(APPROVAL.states)
NODE_STATES = list(NODE.states)
