"""Read access to enrolments, restricted to what a person may see."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Site, User
from accounts.permissions import Permission
from accounts.selectors import sites_with, visible_sites
from studies.enrolment import states
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import visible_to as visible_studies


def visible_to(user: User) -> QuerySet[Enrolment]:
    """The enrolments of the studies that the person sees, and those of their own sites."""
    sites = sites_with(user, Permission.SITE_VIEW)
    return Enrolment.objects.filter(Q(study__in=visible_studies(user)) | Q(site__in=sites))


def taking_part(site_id: UUID) -> QuerySet[Enrolment]:
    """The enrolments in which a site takes part, in studies that are under way."""
    return Enrolment.objects.filter(
        site=site_id, state__in=states.TAKING_PART, study__state__in=["recruiting", "active"]
    ).select_related("study", "dataset")


def ready_sites(study: Study) -> QuerySet[Enrolment]:
    """The study's ready enrolments, by site."""
    return Enrolment.objects.filter(study=study, state="ready").select_related("site", "dataset")


def sites_of(study: Study) -> QuerySet[Site]:
    """The sites that are or were asked to take part in the study; all its people see them."""
    return Site.objects.filter(enrolments__study=study)


def sites_seen_by(user: User) -> QuerySet[Site]:
    """The sites of the studies that the person sees, and those at which they hold a role."""
    taking = Enrolment.objects.filter(study__in=visible_studies(user))
    return visible_sites(user) | Site.objects.filter(pk__in=taking.values("site"))


def invitable_sites(study: Study) -> QuerySet[Site]:
    """The sites without an open part in the study; those that declined or withdrew may be asked again."""
    return Site.objects.exclude(enrolments__in=Enrolment.objects.filter(study=study, state__in=states.OPEN))
