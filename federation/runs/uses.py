"""What runs did with a site's data: every exchange with its nodes, by dataset, for the site's own people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import Count, F, Max, QuerySet, Sum

from accounts.models import Site, User
from accounts.permissions import Permission, check
from audit.services import record
from federation.runs.models import Participation


def uses_of(site: Site, *, by: User) -> QuerySet[Participation]:
    """Every exchange in which a run asked the site, with its run, its dataset and what left.

    Raises:
        NotFound: E_NOT_FOUND, for who does not see the site.
        Forbidden: E_FORBIDDEN, for all but its own people.
    """
    check(by, Permission.SITE_RESULTS_VIEW, site)
    return (
        Participation.objects.filter(participant__enrolment__site=site)
        .select_related("round__run__study", "round__run__version__script", "approval__dataset")
        .defer("round__run__version__bundle", "approval__envelope", "approval__revocation")
    )


def uses_by_dataset(uses: QuerySet[Participation]) -> Iterable[Mapping[str, object]]:
    """For each dataset: the runs and rounds that asked it, the exchanges, and the bytes that left."""
    dataset = F("approval__dataset")
    return (
        uses.filter(approval__isnull=False)
        .select_related(None)
        .defer(None)
        .order_by()
        .values(dataset=dataset, name=F("approval__dataset__name"), study=F("round__run__study__title"))
        .annotate(
            runs=Count("round__run", distinct=True),
            rounds=Count("round", distinct=True),
            exchanges=Count("pk"),
            left=Sum("bytes_received"),
            latest=Max("asked_at"),
        )
        .order_by("name", "dataset")
    )


@transaction.atomic
def note_uses_taken(*, site: Site, entries: int, by: User) -> None:
    """Note in the log that somebody took the list away as a file."""
    check(by, Permission.SITE_RESULTS_VIEW, site)
    record(action="runs:uses:exported", actor=by, obj=site, site=site, detail={"entries": str(entries)})
