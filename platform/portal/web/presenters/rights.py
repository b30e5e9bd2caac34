"""What the page of an error says: of a right that somebody lacks, which one, who has it, and who can give it."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.permissions import ROLE_PERMISSIONS, Denied, Permission
from fedstudy_core.errors import FedStudyError
from portal.web.advice import NOT_ALLOWED, Advice, advice_for

P = Permission
# They follow "the right".
DEEDS = {
    P.STUDY_CREATE: gettext_noop("to begin a study"),
    P.USERS_MANAGE: gettext_noop("to manage people's accounts"),
    P.SITES_MANAGE: gettext_noop("to add sites"),
    P.HEALTH_VIEW: gettext_noop("to see the platform's health and queue"),
    P.INVESTIGATOR_APPOINT: gettext_noop("to appoint a principal investigator"),
    P.STUDY_VIEW: gettext_noop("to see the study"),
    P.STUDY_EDIT: gettext_noop("to change the study's description and protocol"),
    P.STUDY_AMEND: gettext_noop("to amend a study that is under way"),
    P.STUDY_MOVE: gettext_noop("to move the study to its next state"),
    P.STUDY_INVITE: gettext_noop("to invite sites to the study"),
    P.STUDY_GRANT: gettext_noop("to give roles in the study"),
    P.DICTIONARY_PUBLISH: gettext_noop("to write the study's data dictionary"),
    P.DATASETS_VIEW: gettext_noop("to see what the sites offer the study"),
    P.SCRIPT_SUBMIT: gettext_noop("to submit scripts to the study"),
    P.SCRIPT_READ: gettext_noop("to read the study's scripts"),
    P.RUN_START: gettext_noop("to plan and start runs of the study"),
    P.RUN_STOP: gettext_noop("to stop, pause and resume runs of the study"),
    P.RESULTS_VIEW: gettext_noop("to see the study's results"),
    P.MODEL_DOWNLOAD: gettext_noop("to download the study's models"),
    P.RELEASE_REQUEST: gettext_noop("to ask for the release of a model"),
    P.AUDIT_VIEW: gettext_noop("to read the whole log of the study"),
    P.WEBHOOKS_MANAGE: gettext_noop("to manage the study's webhooks"),
    P.SITE_VIEW: gettext_noop("to see the site"),
    P.SITE_PEOPLE: gettext_noop("to give roles at the site"),
    P.INVITATION_ANSWER: gettext_noop("to answer invitations for the site"),
    P.LEVEL_CHANGE: gettext_noop("to change the site's level of participation"),
    P.SITE_WITHDRAW: gettext_noop("to withdraw the site from a study"),
    P.DATASET_REGISTER: gettext_noop("to offer datasets of the site"),
    P.SITE_DATASETS_VIEW: gettext_noop("to see the site's datasets"),
    P.SCRIPT_APPROVE: gettext_noop("to review scripts for the site"),
    P.APPROVAL_REVOKE: gettext_noop("to revoke approvals of the site"),
    P.RELEASE_COSIGN: gettext_noop("to consent for the site to the release of a model"),
    P.NODE_ENROL: gettext_noop("to register the site's nodes"),
    P.NODE_REVOKE: gettext_noop("to revoke the site's nodes"),
    P.SITE_RESULTS_VIEW: gettext_noop("to see the uses of the site's data"),
    P.SITE_AUDIT_VIEW: gettext_noop("to read the site's part of the log"),
}
GIVEN = {
    "study": gettext_noop(
        "In a study this right belongs to: {roles}. The study's principal investigator can give you one."
    ),
    "site": gettext_noop("At a site this right belongs to: {roles}. The site's admin can give you one."),
    "platform": gettext_noop("This right belongs to platform administrators. Ask one of them to do it."),
}
OF_NODES = gettext_noop("This right belongs to the site's node alone: it is done at the node's own page or console.")
OF_NEUTRALS = gettext_noop(
    "This right is not for platform administrators, nor for people whose only roles are at hospitals or as an auditor. "
    "Ask somebody who leads studies."
)


def advice_on(error: FedStudyError) -> Advice:
    """What the page of an error says; of a right that somebody lacks, which it is and who has it."""
    if not isinstance(error, Denied):
        return advice_for(error.status, error.detail)
    lacking = _("You lack the right {deed}.").format(deed=_(DEEDS[error.permission]))
    return Advice(NOT_ALLOWED.title, error.reason or lacking, _who_has(error.permission))


def _who_has(permission: Permission) -> str:
    if permission is P.STUDY_CREATE:
        return _(OF_NEUTRALS)
    roles = [_(role.label) for role, given in ROLE_PERMISSIONS.items() if permission in given]
    if permission.scope != "platform" and not roles:
        return _(OF_NODES)
    return _(GIVEN[permission.scope]).format(roles=", ".join(roles))
