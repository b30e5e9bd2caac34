"""Names of the sets of choices in the OpenAPI document (`ENUM_NAME_OVERRIDES` points here)."""

from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from accounts.scopes import TokenScope
from accounts.states import REQUEST
from federation.degrees.kinds import KINDS as WAYS_OF_TRAINING
from federation.degrees.kinds import WANTED
from federation.runs.roles import PHASES_OF
from fedstudy_core.analysis import Risk
from nodes.registry.states import NODE
from nodes.registry.versions import STANDINGS
from notifications.models import KINDS
from portal.health import STATES as PARTS_STATES
from studies.dictionary.states import DATASET
from studies.enrolment.setup import STEPS
from studies.enrolment.states import ENROLMENT, LEVELS, OFFERED_LEVELS
from studies.lifecycle.states import STUDY
from studies.pooling.states import CONSENT
from studies.scripts.states import APPROVAL, DECISIONS, THREAD, THREAD_KINDS, VERSION
from webhooks.kinds import NAMES
from webhooks.states import DELIVERY, WEBHOOK

STUDY_STATES = list(STUDY.states)
DATASET_STATES = list(DATASET.states)
ENROLMENT_STATES = list(ENROLMENT.states)
VERSION_STATES = list(VERSION.states)
APPROVAL_STATES = list(APPROVAL.states)
DECISION_NAMES = list(DECISIONS)
NODE_STATES = list(NODE.states)
POOL_CONSENT_STATES = list(CONSENT.states)
THREAD_STATES = list(THREAD.states)
THREAD_KIND_NAMES = list(THREAD_KINDS)
FINDING_RISKS = [risk.value for risk in Risk]
RISK_WORDS = ["none", *FINDING_RISKS]
FILE_CHANGES = ["added", "removed", "changed"]
TOKEN_SCOPES = [scope.value for scope in TokenScope]
SESSION_KINDS = ["browser", "program"]
FACTOR_KINDS = ["app", "passkey"]
ROLE_NAMES = [role.value for role in Role]
REQUEST_STATES = list(REQUEST.states)
PART_STATES = list(PARTS_STATES)
STANDING_NAMES = list(STANDINGS)
STUDY_ROLE_NAMES = [role.value for role in STUDY_ROLES]
SITE_ROLE_NAMES = [role.value for role in SITE_ROLES]
WEBHOOK_STATES = list(WEBHOOK.states)
DELIVERY_STATES = list(DELIVERY.states)
WEBHOOK_KINDS = list(NAMES)
NOTIFICATION_KINDS = list(KINDS)
ROLE_SCOPES = ["study", "site"]
OFFERED_LEVEL_NAMES = list(OFFERED_LEVELS)
LEVEL_NAMES = list(LEVELS.items())
PART_NAMES = list(PHASES_OF)
SET_UP_STEPS = list(STEPS)
DEGREE_KINDS = list(WAYS_OF_TRAINING)
WANTED_DEGREE_KINDS = list(WANTED)
