"""Read access to dictionaries and datasets, restricted to what a person may see."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.permissions import Permission
from accounts.selectors import sites_with
from studies.dictionary.models import Dataset, DictionaryDraft, DictionaryVersion
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import studies_with, visible_to


def versions_visible_to(user: User) -> QuerySet[DictionaryVersion]:
    """The dictionary versions of the studies that the person sees."""
    return DictionaryVersion.objects.filter(study__in=visible_to(user))


def datasets_visible_to(user: User) -> QuerySet[Dataset]:
    """The datasets of the person's studies, and those of their own sites."""
    studies = studies_with(user, Permission.DATASETS_VIEW)
    sites = sites_with(user, Permission.SITE_DATASETS_VIEW)
    return Dataset.objects.filter(Q(study__in=studies) | Q(site__in=sites))


def current_dictionary(study: Study) -> DictionaryVersion | None:
    """The newest version of the study's data dictionary."""
    return DictionaryVersion.objects.filter(study=study).order_by("-number").first()


def newest_number(study: Study) -> int:
    """The number of the newest version; 0 where nothing is published."""
    numbers = DictionaryVersion.objects.filter(study=study).order_by("-number").values_list("number", flat=True)
    return numbers.first() or 0


def draft_of(study: Study) -> DictionaryDraft | None:
    """The study's next dictionary as far as it is written; None where nobody changed anything."""
    return DictionaryDraft.objects.filter(study=study).select_related("changed_by").first()


def current_dictionaries(studies: Iterable[Study]) -> dict[UUID, DictionaryVersion]:
    """The newest version of each study's data dictionary, by the study's id; in one query."""
    rows = (
        DictionaryVersion.objects.filter(study__in=list(studies)).order_by("study_id", "-number").distinct("study_id")
    )
    return {row.study_id: row for row in rows}


def datasets_of_node(node_id: UUID | str) -> QuerySet[Dataset]:
    """What a node offers, in any study; withdrawn datasets are left out."""
    return Dataset.objects.filter(node_id=str(node_id)).exclude(state="withdrawn")
