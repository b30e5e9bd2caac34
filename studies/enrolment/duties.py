"""Who leads or audits a study does not speak for a site that takes part in it."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet

from accounts.groups import holders
from accounts.models import Site, User
from accounts.roles import SITE_ROLES, Role
from fedstudy_core.errors import Refusal
from studies.enrolment import states
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study

APART_FROM_SITES = (Role.PI, Role.AUDITOR)


def check_site_may_join(study: Study, site: Site) -> None:
    """Raises Refusal E_DUTIES when one person leads or audits the study and speaks for the site.

    Takes the site's lock, so that nobody receives a role there meanwhile.
    """
    Site.objects.select_for_update().get(pk=site.pk)
    for study_role in APART_FROM_SITES:
        for site_role in SITE_ROLES:
            person = holders(study_role, study).filter(pk__in=holders(site_role, site)).first()
            if person is not None:
                _refuse(person, study_role, site_role, site)


def refuse_two_duties(*, user: User, role: Role, obj: Model, **_: Any) -> None:
    """Receives `role_granting`; raises Refusal E_DUTIES."""
    if isinstance(obj, Study) and role in APART_FROM_SITES:
        for site in _locked_sites(obj):
            for site_role in SITE_ROLES:
                if holders(site_role, site).filter(pk=user.pk).exists():
                    _refuse(user, role, site_role, site)
    elif isinstance(obj, Site):
        for enrolment in Enrolment.objects.filter(site=obj, state__in=states.OPEN).select_related("study"):
            for study_role in APART_FROM_SITES:
                if holders(study_role, enrolment.study).filter(pk=user.pk).exists():
                    _refuse(user, study_role, role, obj)


def _locked_sites(study: Study) -> QuerySet[Site]:
    """The study's sites, locked as `check_site_may_join` locks one: nobody receives a role there meanwhile."""
    sites = Site.objects.filter(enrolments__study=study, enrolments__state__in=states.OPEN)
    return sites.select_for_update(of=("self",)).order_by("pk")


def _refuse(person: User, study_role: Role, site_role: Role, site: Site) -> None:
    raise Refusal(
        "E_DUTIES",
        f"{person.name} cannot be {study_role.label} of a study and {site_role.label} of {site.name}, which takes part "
        "in it: nobody approves their own study.",
    )
