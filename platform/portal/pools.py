"""What pages and API both ask about pooled rows, and that needs nodes and studies together."""

from __future__ import annotations

from django.db.models import QuerySet

from nodes.registry.models import Node
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study


def nodes_to_name(study: Study) -> QuerySet[Node]:
    """The active nodes of sites that take part in a study: one of them may hold its pooled rows."""
    sites = Enrolment.objects.filter(study=study, state__in=TAKING_PART).values("site")
    return Node.objects.filter(state="active", site__in=sites).select_related("site").order_by("site__name", "name")
